"""What a PaymentIntent asks of Connect: a destination, the platform's fee, on whose behalf."""

from dataclasses import dataclass

from stripe_sandbox.errors import invalid
from stripe_sandbox.parameters import Params
from stripe_sandbox.records import PaymentIntent
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.resources.account_view import can_charge
from stripe_sandbox.resources.transfer_booking import find_destination
from stripe_sandbox.world import World

AMOUNTS = "application_fee_amount transfer_data.amount"
"""What may still change later."""

ALL = f"{AMOUNTS} on_behalf_of transfer_data.destination"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What holds for a PaymentIntent after a request. Amounts are minor units."""

    destination: str | None
    share: int | None
    fee: int | None
    behalf: str | None

    def apply(self, intent: PaymentIntent) -> None:
        intent.transfer_destination, intent.transfer_amount = self.destination, self.share
        intent.application_fee_amount = self.fee
        intent.on_behalf_of = self.behalf


def wishes(world: World, intent: PaymentIntent, params: Params, amount: int) -> Wishes:
    """What the request asks, over what the PaymentIntent of `amount` has. Raises StripeError where
    it cannot be."""
    data = params.object("transfer_data")
    destination = data.text("destination") or intent.transfer_destination
    fee, share = intent.application_fee_amount, intent.transfer_amount
    if "application_fee_amount" in params:
        fee = params.integer("application_fee_amount")
    if "amount" in data:
        share = data.integer("amount")
    if intent.account != world.platform and destination is not None:
        raise invalid(
            "Only a platform can send a charge on, and on its own account.",
            param="transfer_data[destination]",
        )
    if "destination" in data and destination is not None:
        find_destination(world, destination, "transfer_data[destination]")
    behalf = params.text("on_behalf_of")
    if behalf is not None and not can_charge(find_account(world, behalf)):
        raise invalid(
            f"The account {behalf} cannot be charged on behalf of: it needs the card_payments "
            "capability.",
            param="on_behalf_of",
        )
    check_shares(world, intent, amount, destination, fee, share)
    return Wishes(destination, share, fee, behalf or intent.on_behalf_of)


def check_shares(
    world: World,
    intent: PaymentIntent,
    amount: int,
    destination: str | None,
    fee: int | None,
    share: int | None,
) -> None:
    """Raises StripeError where fee and share do not fit together, or into `amount`."""
    direct = intent.account != world.platform
    if fee is not None and destination is None and not direct:
        raise invalid(
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a "
            "direct payment (using an OAuth key or Stripe-Account header) or destination payment "
            "(using `transfer_data[destination]`).",
            param="application_fee_amount",
        )
    if share is not None and destination is None:
        raise invalid(
            "transfer_data[amount] needs a transfer_data[destination].",
            param="transfer_data[amount]",
        )
    if fee is not None and share is not None:
        raise invalid(
            "You may only specify one of these parameters: application_fee_amount, "
            "transfer_data[amount]."
        )
    for name, part in (("application_fee_amount", fee), ("transfer_data[amount]", share)):
        if part is not None and not 1 <= part <= amount:
            raise invalid(
                f"The {name} must be between 1 and the amount of the charge ({amount}).",
                param=name,
            )
