"""Transfers: money from the platform's balance to a connected account's."""

from stripe_sandbox.currencies import check_amount, check_currency
from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Charge, Transfer
from stripe_sandbox.resources.balance import funds
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.transfer_booking import find_destination, make_transfer
from stripe_sandbox.resources.transfer_view import render_transfer
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World


def find_transfer(call: Call) -> Transfer:
    transfer = call.world.transfers.get(call.path_ids[0])
    if transfer is None or transfer.account != call.account:
        raise missing_object("transfer", call.path_ids[0], "id", in_path=True)
    return transfer


@route(
    "POST",
    "/v1/transfers",
    models="amount currency description destination metadata source_transaction transfer_group",
)
def create_transfer(call: Call) -> JsonObject:
    """Fails at once past the available balance, unless it names its source charge: then it waits
    for that charge's funds, and never exceeds them."""
    world, params = call.world, call.params
    if call.account != world.platform:
        raise invalid("Transfers can only be created by a platform, on its own account.")
    currency = check_currency(params.required_text("currency"))
    source = _source_charge(call, params)
    destination = find_destination(world, params.required_text("destination"), "destination")
    amount = params.integer("amount")
    if amount is None:
        if source is None:
            raise refused(
                "Missing required param: amount.", code="parameter_missing", param="amount"
            )
        amount = source.amount_captured
    check_amount(amount, currency)
    metadata = merge_metadata({}, params)
    if source is not None:
        _check_source(source, amount, currency)
        available_on = world.balance_transactions[source.balance_transaction or ""].available_on
    else:
        _check_available(world, amount, currency)
        available_on = world.now
    return render_transfer(
        world,
        make_transfer(
            world,
            destination.id,
            amount,
            currency,
            source=source,
            available_on=available_on,
            transfer_group=params.text("transfer_group"),
            description=params.text("description"),
            metadata=metadata,
        ),
    )


def _source_charge(call: Call, params: Params) -> Charge | None:
    named = params.text("source_transaction")
    if named is None:
        return None
    charge = call.world.charges.get(named)
    if charge is None or charge.account != call.account:
        raise missing_object("charge", named, "source_transaction")
    return charge


def _check_source(charge: Charge, amount: int, currency: str) -> None:
    if charge.status != "succeeded" or not charge.captured:
        raise invalid(
            f"Cannot use charge {charge.id} as a source_transaction because it was not captured.",
            param="source_transaction",
        )
    if charge.currency != currency:
        raise invalid(
            f"The currency of source_transaction's balance transaction ({charge.currency}) must "
            f"be the same as the transfer currency ({currency}).",
            param="currency",
        )
    left = charge.amount_captured - charge.amount_refunded - charge.transferred
    if amount > left:
        raise invalid(
            f"The transfer's amount ({amount}) exceeds what is left of the source charge ({left}).",
            param="amount",
        )


def _check_available(world: World, amount: int, currency: str) -> None:
    if amount > funds(world, world.platform, currency).available:
        raise invalid(
            "You have insufficient available funds in your Stripe account. Try adding funds "
            "directly to your available balance by creating Charges using the 4000000000000077 "
            "test card. See: https://stripe.com/docs/testing#available-balance",
            code="balance_insufficient",
        )


@route("GET", "/v1/transfers/{transfer}")
def retrieve_transfer(call: Call) -> JsonObject:
    return render_transfer(call.world, find_transfer(call))


@route("POST", "/v1/transfers/{transfer}", models="description metadata")
def update_transfer(call: Call) -> JsonObject:
    world, params = call.world, call.params
    transfer = find_transfer(call)
    before = render_transfer(world, transfer)
    transfer.metadata = merge_metadata(transfer.metadata, params)
    if "description" in params:
        transfer.description = params.text("description")
    world.transfers.save(transfer)
    body = render_transfer(world, transfer)
    emit(world, "transfer.updated", body, transfer.account, changed(before, body))
    return body


@route(
    "GET",
    "/v1/transfers",
    models="created destination ending_before limit starting_after transfer_group",
)
def list_transfers(call: Call) -> JsonObject:
    world, params = call.world, call.params
    group, destination = params.text("transfer_group"), params.text("destination")
    found = None
    if group is not None:
        found = world.transfers.newest("transfer_group", group)
    elif destination is not None:
        found = world.transfers.newest("destination", destination)

    def keep(transfer: Transfer) -> bool:
        return destination is None or transfer.destination == destination

    return list_records(
        call, world.transfers, lambda transfer: render_transfer(world, transfer), keep, found
    )
