"""Application fees: what a platform takes of a connected account's charge, and gives back."""

from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object, list_records
from stripe_sandbox.parameters import merge_metadata
from stripe_sandbox.records import ApplicationFee, Charge, FeeRefund
from stripe_sandbox.resources.balance import book, funds
from stripe_sandbox.resources.events import emit
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

APPLICATION = "ca_sandbox"
LISTED_REFUNDS_MAX = 10


def collect_fee(
    world: World,
    charge: Charge,
    amount: int,
    *,
    originating: Charge | None,
    available_on: int,
) -> ApplicationFee:
    """Book the platform's side; the connected account's `charge` was booked less the fee."""
    stamp = world.stamp("fee_", world.platform)
    fee = ApplicationFee(
        **stamp,
        amount=amount,
        currency=charge.currency,
        paid_by=charge.account,
        charge=charge.id,
        originating_charge=originating.id if originating else None,
        balance_transaction=book(
            world,
            world.platform,
            "application_fee",
            amount,
            charge.currency,
            source=stamp["id"],
            available_on=available_on,
        ).id,
    )
    world.application_fees.add(fee)
    charge.application_fee = fee.id
    world.charges.save(charge)
    emit(world, "application_fee.created", render_fee(world, fee), world.platform)
    return fee


def share_of_fee(fee: ApplicationFee, part: int, whole: int) -> int:
    """What of the fee goes back with `part` of `whole`, half up, and all that is left with all."""
    left = fee.amount - fee.amount_refunded
    return left if part == whole else min(left, (2 * fee.amount * part + whole) // (2 * whole))


def check_fee_refund(world: World, fee: ApplicationFee, amount: int, coming: int = 0) -> None:
    """Raises StripeError past what is left of the fee, or past what the platform has, with what is
    `coming` to it in the same breath."""
    left = fee.amount - fee.amount_refunded
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on the application fee "
            f"({left})",
            param="amount",
        )
    money = funds(world, fee.account, fee.currency)
    if amount > money.available + money.pending + coming:
        raise invalid(
            "The platform does not have enough available balance to refund this fee.",
            code="balance_insufficient",
        )


def refund_fee(
    world: World, fee: ApplicationFee, amount: int, metadata: dict[str, str]
) -> FeeRefund:
    """Give `amount` back to the connected account, out of the same funds; it was checked."""
    earned = world.balance_transactions[fee.balance_transaction]
    available_on = earned.available_on if earned.status == "pending" else world.now
    stamp = world.stamp("fr_", fee.account)
    refund = FeeRefund(
        **stamp,
        amount=amount,
        currency=fee.currency,
        fee=fee.id,
        metadata=metadata,
        balance_transaction=book(
            world,
            fee.account,
            "application_fee_refund",
            -amount,
            fee.currency,
            source=stamp["id"],
            available_on=available_on,
        ).id,
    )
    book(
        world,
        fee.paid_by,
        "adjustment",
        amount,
        fee.currency,
        source=stamp["id"],
        available_on=available_on,
        description="Application fee refund",
        category="fee",
    )
    world.fee_refunds.add(refund)
    fee.amount_refunded += amount
    world.application_fees.save(fee)
    emit(world, "application_fee.refunded", render_fee(world, fee), fee.account)
    return refund


def render_fee(world: World, fee: ApplicationFee) -> JsonObject:
    refunds = [render_fee_refund(world, each) for each in world.fee_refunds.newest("fee", fee.id)]
    return {
        "id": fee.id,
        "object": "application_fee",
        "account": fee.paid_by,
        "amount": fee.amount,
        "amount_refunded": fee.amount_refunded,
        "application": APPLICATION,
        "balance_transaction": fee.balance_transaction,
        "charge": fee.charge,
        "created": fee.created,
        "currency": fee.currency,
        "fee_source": {"charge": fee.charge, "type": "charge"},
        "livemode": False,
        "originating_transaction": fee.originating_charge,
        "refunded": fee.amount_refunded == fee.amount,
        "refunds": list_object(
            f"/v1/application_fees/{fee.id}/refunds",
            list(refunds[:LISTED_REFUNDS_MAX]),
            has_more=len(refunds) > LISTED_REFUNDS_MAX,
        ),
    }


def render_fee_refund(world: World, refund: FeeRefund) -> JsonObject:
    return {
        "id": refund.id,
        "object": "fee_refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "created": refund.created,
        "currency": refund.currency,
        "fee": refund.fee,
        "metadata": refund.metadata,
    }


expandable("application_fee", "application_fees", render_fee)
expandable("fee_refund", "fee_refunds", render_fee_refund)


def _find(call: Call) -> ApplicationFee:
    fee = call.world.application_fees.get(call.path_ids[0])
    if fee is None or fee.account != call.account:
        raise missing_object("application fee", call.path_ids[0], "id", in_path=True)
    return fee


def _find_refund(call: Call) -> FeeRefund:
    fee = _find(call)
    refund = call.world.fee_refunds.get(call.path_ids[1])
    if refund is None or refund.fee != fee.id:
        raise missing_object("fee refund", call.path_ids[1], "id", in_path=True)
    return refund


@route("GET", "/v1/application_fees/{id}")
def retrieve_fee(call: Call) -> JsonObject:
    return render_fee(call.world, _find(call))


@route("GET", "/v1/application_fees", models="charge created ending_before limit starting_after")
def list_fees(call: Call) -> JsonObject:
    world, charge = call.world, call.params.text("charge")

    def keep(fee: ApplicationFee) -> bool:
        return charge is None or charge in (fee.charge, fee.originating_charge)

    return list_records(call, world.application_fees, lambda fee: render_fee(world, fee), keep)


@route("POST", "/v1/application_fees/{id}/refunds", models="amount metadata")
def create_fee_refund(call: Call) -> JsonObject:
    world, params = call.world, call.params
    fee = _find(call)
    left = fee.amount - fee.amount_refunded
    if left == 0:
        raise invalid(f"Application fee {fee.id} has already been refunded.")
    named = params.integer("amount")
    amount = left if named is None else named
    if amount < 1:
        raise refused("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    check_fee_refund(world, fee, amount)
    return render_fee_refund(world, refund_fee(world, fee, amount, merge_metadata({}, params)))


@route("GET", "/v1/application_fees/{fee}/refunds/{id}")
def retrieve_fee_refund(call: Call) -> JsonObject:
    return render_fee_refund(call.world, _find_refund(call))


@route("POST", "/v1/application_fees/{fee}/refunds/{id}", models="metadata")
def update_fee_refund(call: Call) -> JsonObject:
    world = call.world
    refund = _find_refund(call)
    refund.metadata = merge_metadata(refund.metadata, call.params)
    world.fee_refunds.save(refund)
    body = render_fee_refund(world, refund)
    emit(world, "application_fee.refund.updated", body, call.account)
    return body


@route("GET", "/v1/application_fees/{id}/refunds", models="ending_before limit starting_after")
def list_fee_refunds(call: Call) -> JsonObject:
    world = call.world
    fee = _find(call)
    return list_records(
        call,
        world.fee_refunds,
        lambda refund: render_fee_refund(world, refund),
        found=world.fee_refunds.newest("fee", fee.id),
    )
