"""Transfer reversals: money back from a connected account, in parts until nothing is left."""

from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import merge_metadata
from stripe_sandbox.records import ApplicationFee, Refund, Transfer, TransferReversal
from stripe_sandbox.resources.application_fees import check_fee_refund, refund_fee, share_of_fee
from stripe_sandbox.resources.balance import book, funds
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.transfer_view import render_reversal, render_transfer
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World


def check_reversal(world: World, transfer: Transfer, amount: int, coming: int = 0) -> None:
    """Raises StripeError past what is left of the transfer, or past what the connected account
    has, with what is `coming` to it in the same breath."""
    left = transfer.amount - transfer.amount_reversed
    if left == 0:
        raise invalid(f"Transfer {transfer.id} has already been reversed.", param="amount")
    if amount < 1:
        raise refused("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise invalid(
            f"Transfer reversal ({amount}) is greater than unreversed amount on transfer ({left})",
            param="amount",
        )
    money = funds(world, transfer.destination, transfer.currency)
    held = money.available if _available_on(world, transfer) == world.now else money.pending
    if amount > held + coming:
        raise invalid(
            "The connected account does not have enough available balance for this reversal.",
            code="balance_insufficient",
        )


def _available_on(world: World, transfer: Transfer) -> int:
    """A transfer whose funds are still pending is reversed out of pending funds."""
    sent = world.balance_transactions[transfer.balance_transaction]
    return sent.available_on if sent.status == "pending" else world.now


def reverse(
    world: World,
    transfer: Transfer,
    amount: int,
    metadata: dict[str, str],
    description: str | None,
    source_refund: str | None = None,
) -> TransferReversal:
    """Take `amount` back; `source_refund` is the refund that asked for it. It was checked."""
    waits_for = _available_on(world, transfer)
    stamp = world.stamp("trr_", transfer.account)
    refund_id = _refund_of_destination_payment(world, transfer, amount, stamp["id"], waits_for)
    reversal = TransferReversal(
        **stamp,
        amount=amount,
        currency=transfer.currency,
        transfer=transfer.id,
        metadata=metadata,
        description=description,
        balance_transaction=book(
            world,
            transfer.account,
            "transfer_refund",
            amount,
            transfer.currency,
            source=stamp["id"],
            available_on=waits_for,
            description=description,
        ).id,
        destination_payment_refund=refund_id,
        source_refund=source_refund,
    )
    world.transfer_reversals.add(reversal)
    transfer.amount_reversed += amount
    world.transfers.save(transfer)
    if transfer.source_transaction is not None:
        charge = world.charges[transfer.source_transaction]
        charge.transferred -= amount
        world.charges.save(charge)
    return reversal


def _refund_of_destination_payment(
    world: World, transfer: Transfer, amount: int, reversal_id: str, available_on: int
) -> str:
    payment = world.charges[transfer.destination_payment]
    stamp = world.stamp("pyr_", transfer.destination)
    transaction = book(
        world,
        transfer.destination,
        "payment_refund",
        -amount,
        transfer.currency,
        source=stamp["id"],
        available_on=available_on,
    )
    world.refunds.add(
        Refund(
            **stamp,
            amount=amount,
            currency=transfer.currency,
            charge=payment.id,
            status="succeeded",
            balance_transaction=transaction.id,
            source_transfer_reversal=reversal_id,
        )
    )
    payment.amount_refunded += amount
    world.charges.save(payment)
    return stamp["id"]


def _find_transfer(call: Call) -> Transfer:
    transfer = call.world.transfers.get(call.path_ids[0])
    if transfer is None or transfer.account != call.account:
        raise missing_object("transfer", call.path_ids[0], "id", in_path=True)
    return transfer


def _find(call: Call) -> TransferReversal:
    transfer = _find_transfer(call)
    reversal = call.world.transfer_reversals.get(call.path_ids[1])
    if reversal is None or reversal.transfer != transfer.id:
        raise missing_object("transfer reversal", call.path_ids[1], "id", in_path=True)
    return reversal


@route(
    "POST",
    "/v1/transfers/{id}/reversals",
    models="amount description metadata refund_application_fee",
)
def create_reversal(call: Call) -> JsonObject:
    world, params = call.world, call.params
    transfer = _find_transfer(call)
    before = render_transfer(world, transfer)
    amount = params.integer("amount") if "amount" in params else None
    amount = transfer.amount - transfer.amount_reversed if amount is None else amount
    metadata = merge_metadata({}, params)
    returned = _fee_to_return(call, transfer, amount)
    check_reversal(world, transfer, amount, coming=returned[1] if returned else 0)
    if returned is not None:
        refund_fee(world, *returned, {})
    reversal = reverse(world, transfer, amount, metadata, params.text("description"))
    body = render_transfer(world, transfer)
    emit(world, "transfer.reversed", body, call.account, changed(before, body))
    return render_reversal(world, reversal)


def _fee_to_return(
    call: Call, transfer: Transfer, amount: int
) -> tuple[ApplicationFee, int] | None:
    """The platform's fee on the transfer, and what of it goes back with `amount`; checked."""
    if not call.params.flag("refund_application_fee"):
        return None
    world = call.world
    fee_id = world.charges[transfer.destination_payment].application_fee
    if fee_id is None:
        raise invalid(
            f"Transfer {transfer.id} has no application fee to refund.",
            param="refund_application_fee",
        )
    fee = world.application_fees[fee_id]
    share = share_of_fee(fee, min(amount, transfer.amount), transfer.amount)
    if share == 0:
        return None
    check_fee_refund(world, fee, share, coming=amount)
    return fee, share


@route("GET", "/v1/transfers/{transfer}/reversals/{id}")
def retrieve_reversal(call: Call) -> JsonObject:
    return render_reversal(call.world, _find(call))


@route("POST", "/v1/transfers/{transfer}/reversals/{id}", models="metadata")
def update_reversal(call: Call) -> JsonObject:
    world = call.world
    reversal = _find(call)
    reversal.metadata = merge_metadata(reversal.metadata, call.params)
    world.transfer_reversals.save(reversal)
    return render_reversal(world, reversal)


@route("GET", "/v1/transfers/{id}/reversals", models="ending_before limit starting_after")
def list_reversals(call: Call) -> JsonObject:
    world = call.world
    transfer = _find_transfer(call)
    return list_records(
        call,
        world.transfer_reversals,
        lambda reversal: render_reversal(world, reversal),
        found=world.transfer_reversals.newest("transfer", transfer.id),
    )
