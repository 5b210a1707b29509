"""What goes back with a refund: the transfer of a destination charge, the platform's fee."""

from dataclasses import dataclass

from stripe_sandbox.errors import invalid
from stripe_sandbox.parameters import Params
from stripe_sandbox.records import ApplicationFee, Charge, Refund, Transfer
from stripe_sandbox.resources.application_fees import check_fee_refund, refund_fee, share_of_fee
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.transfer_reversals import check_reversal, reverse
from stripe_sandbox.resources.transfer_view import render_transfer
from stripe_sandbox.world import World

MODELS = "refund_application_fee reverse_transfer"


@dataclass(frozen=True, slots=True)
class Shares:
    """What was asked for and can be done; amounts in minor units, 0 for nothing."""

    transfer: Transfer | None = None
    reversed: int = 0
    fee: ApplicationFee | None = None
    returned: int = 0


def shares(world: World, charge: Charge, amount: int, params: Params) -> Shares:
    """In proportion to `amount` of the charge, and with all of the charge all that is left.

    Raises StripeError where there is nothing to take back, or it is not there any more.
    """
    whole = charge.amount_captured
    fee: ApplicationFee | None = None
    transfer: Transfer | None = None
    taken = returned = 0
    if params.flag("reverse_transfer"):
        if charge.transfer is None:
            raise invalid(
                f"Charge {charge.id} has no associated transfer to reverse.",
                param="reverse_transfer",
            )
        transfer = world.transfers[charge.transfer]
        left = transfer.amount - transfer.amount_reversed
        part = (2 * transfer.amount * amount + whole) // (2 * whole)
        taken = left if amount == whole else min(left, part)
    if params.flag("refund_application_fee"):
        if charge.application_fee is None:
            raise invalid(
                f"Charge {charge.id} has no application fee to refund.",
                param="refund_application_fee",
            )
        fee = world.application_fees[charge.application_fee]
        returned = share_of_fee(fee, amount, whole)
        check_fee_refund(world, fee, returned, coming=taken)
    if transfer is not None and taken:
        check_reversal(world, transfer, taken, coming=returned)
    return Shares(transfer, taken, fee, returned)


def take_shares(world: World, shares: Shares, refund: Refund) -> None:
    """First the fee goes back to the connected account, then the transfer is reversed."""
    if shares.fee is not None and shares.returned:
        refund_fee(world, shares.fee, shares.returned, {})
    if shares.transfer is not None and shares.reversed:
        before = render_transfer(world, shares.transfer)
        reversal = reverse(
            world, shares.transfer, shares.reversed, {}, None, source_refund=refund.id
        )
        refund.transfer_reversal = reversal.id
        body = render_transfer(world, shares.transfer)
        emit(world, "transfer.reversed", body, shares.transfer.account, changed(before, body))
