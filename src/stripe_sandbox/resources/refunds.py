"""Refunds: in parts, pending, failing later, and never beyond what was captured."""

from stripe_sandbox.cards import BY_NAME, RefundFate
from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.expansion import expandable, resolver
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object, list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Charge, Refund
from stripe_sandbox.resources.balance import book, funds
from stripe_sandbox.resources.charges import render_charge
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.refund_shares import MODELS, shares, take_shares
from stripe_sandbox.routes import Call, route
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

CUSTOMER_ANSWERS_S = 45 * 86_400
"""How long a customer is asked for a bank account before the refund fails."""


def render_refund(world: World, refund: Refund) -> JsonObject:
    body: JsonObject = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": _destination(world, refund),
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": refund.source_transfer_reversal,
        "status": refund.status,
        "transfer_reversal": refund.transfer_reversal,
    }
    if refund.failure_balance_transaction is not None:
        body["failure_balance_transaction"] = refund.failure_balance_transaction
    if refund.failure_reason is not None:
        body["failure_reason"] = refund.failure_reason
    if refund.pending_reason is not None:
        body["pending_reason"] = refund.pending_reason
    if refund.instructions_email is not None:
        body["instructions_email"] = refund.instructions_email
    if refund.status == "requires_action":
        asked: JsonObject = {
            "email_sent_at": refund.created,
            "email_sent_to": refund.instructions_email,
        }
        body["next_action"] = {
            "type": "display_details",
            "display_details": {"email_sent": asked, "expires_at": refund.settles_at},
        }
    return body


def _destination(world: World, refund: Refund) -> JsonObject:
    if world.charges[refund.charge].card is None:
        return {"type": "stripe_account"}
    return {
        "card": {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        },
        "type": "card",
    }


def _refunds_of_charge(world: World, charge_id: str) -> JsonObject | None:
    refunds = [render_refund(world, refund) for refund in world.refunds.newest("charge", charge_id)]
    return list_object(f"/v1/charges/{charge_id}/refunds", list(refunds))


expandable("refund", "refunds", render_refund)
resolver("list:refund", _refunds_of_charge)


@route(
    "POST",
    "/v1/refunds",
    models=f"amount charge instructions_email metadata payment_intent reason {MODELS}",
)
def create_refund(call: Call) -> JsonObject:
    world, params = call.world, call.params
    charge = _charge_to_refund(call)
    left = charge.amount_captured - charge.amount_refunded
    _check_refundable(world, charge, left)
    amount = params.integer("amount") if "amount" in params else None
    amount = left if amount is None else amount
    if amount < 1:
        raise refused("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            param="amount",
        )
    back = shares(world, charge, amount, params)
    refund = Refund(
        **world.stamp("re_", call.account),
        amount=amount,
        currency=charge.currency,
        charge=charge.id,
        payment_intent=charge.payment_intent,
        status="pending",
        reason=params.text("reason"),
        metadata=merge_metadata({}, params),
        instructions_email=_instructions_email(params, charge),
    )
    world.refunds.add(refund)
    take_shares(world, back, refund)
    _start(world, refund, charge)
    charge.amount_refunded += amount
    world.charges.save(charge)
    body = render_refund(world, refund)
    emit(world, "refund.created", body, call.account)
    emit(world, "charge.refunded", render_charge(world, charge), call.account)
    return body


def _instructions_email(params: Params, charge: Charge) -> str | None:
    """Where the customer of a charge without a way back is asked for a bank account."""
    if charge.returnable:
        return None
    email = params.text("instructions_email") or charge.billing.email or charge.receipt_email
    if email is None:
        raise invalid(
            "This payment method cannot be refunded by itself: pass `instructions_email`, where "
            "the customer receives instructions for the refund.",
            code="parameter_missing",
            param="instructions_email",
        )
    return email


def _charge_to_refund(call: Call) -> Charge:
    world, params = call.world, call.params
    charge_id, intent_id = params.text("charge"), params.text("payment_intent")
    if (charge_id is None) == (intent_id is None):
        raise refused(
            "One of the following params should be provided for this request: payment_intent or "
            "charge."
        )
    if intent_id is not None:
        intent = world.payment_intents.get(intent_id)
        if intent is None or intent.account != call.account:
            raise missing_object("payment_intent", intent_id, "payment_intent")
        charge_id = intent.latest_charge
        if intent.status != "succeeded" or charge_id is None:
            raise invalid(
                f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
            )
    charge = world.charges.get(charge_id or "")
    if charge is None or charge.account != call.account:
        raise missing_object("charge", charge_id or "", "charge")
    return charge


def _check_refundable(world: World, charge: Charge, left: int) -> None:
    if charge.status != "succeeded" or not charge.captured or charge.source_transfer is not None:
        raise invalid(f"Charge {charge.id} has not been captured, and cannot be refunded.")
    if left == 0:
        raise invalid(
            f"Charge {charge.id} has already been refunded.", code="charge_already_refunded"
        )
    for dispute in world.disputes.where("charge", charge.id):
        if not dispute.inquiry and dispute.status != "won":
            raise invalid(
                f"Charge {charge.id} has been charged back; cannot issue a refund.",
                code="charge_disputed",
            )


def _start(world: World, refund: Refund, charge: Charge) -> None:
    """Take the money from the balance, or wait for there to be some."""
    if not _enough(world, refund, charge):
        refund.pending_reason = "insufficient_funds"
        _settle_at(world, refund, world.now + world.config.refund_settles_s)
        return
    _pay(world, refund, charge)


def _enough(world: World, refund: Refund, charge: Charge) -> bool:
    """Refunds draw on what is available, and on the pending money of their own charge."""
    money = funds(world, refund.account, refund.currency)
    transaction = world.balance_transactions[charge.balance_transaction or ""]
    own = money.pending if transaction.status == "pending" else 0
    return refund.amount <= money.available or refund.amount <= own


def _pay(world: World, refund: Refund, charge: Charge) -> None:
    transaction = world.balance_transactions[charge.balance_transaction or ""]
    money = funds(world, refund.account, refund.currency)
    from_pending = refund.amount > money.available
    refund.balance_transaction = book(
        world,
        refund.account,
        "refund",
        -refund.amount,
        refund.currency,
        source=refund.id,
        available_on=transaction.available_on if from_pending else world.now,
        description=f"REFUND FOR CHARGE ({charge.description or charge.id})",
    ).id
    refund.pending_reason = None
    if not charge.returnable:
        refund.status = "requires_action"
        _settle_at(world, refund, world.now + CUSTOMER_ANSWERS_S)
        return
    fate = BY_NAME[charge.card or "visa"].refund
    refund.status = "succeeded"
    if fate is RefundFate.SUCCEEDS:
        refund.settles_at = None
        return
    if fate is RefundFate.PENDING_THEN_SUCCEEDS:
        refund.status, refund.pending_reason = "pending", "processing"
    _settle_at(world, refund, world.now + world.config.refund_settles_s)


def _settle_at(world: World, refund: Refund, at: int) -> None:
    refund.settles_at = at
    world.schedule.add(at, Duty.SETTLE_REFUND, refund.id)


def settle_refund(world: World, refund_id: str) -> None:
    """Time has come: a pending refund succeeds, a failing one fails, a waiting one tries again."""
    refund = world.refunds[refund_id]
    if refund.settles_at is None or refund.settles_at > world.now:
        return
    charge = world.charges[refund.charge]
    refund.settles_at = None
    if refund.status == "succeeded":
        fail_refund(world, refund, "expired_or_canceled_card")
        return
    if refund.status == "requires_action":
        fail_refund(world, refund, "unknown")
        return
    if refund.status != "pending":
        return
    if refund.balance_transaction is None:
        _start(world, refund, charge)
        if refund.balance_transaction is None:
            world.refunds.save(refund)
            return
    else:
        refund.status, refund.pending_reason = "succeeded", None
    _announce(world, refund, "refund.updated", "charge.refund.updated")


def answer_refund(world: World, refund: Refund) -> None:
    """The customer says to which bank account the money shall go.

    Raises StripeError where the customer was not asked.
    """
    if refund.status != "requires_action":
        raise invalid(f"This refund's status is {refund.status}: it asks the customer nothing.")
    refund.status, refund.pending_reason = "pending", "processing"
    _settle_at(world, refund, world.now + world.config.refund_settles_s)
    _announce(world, refund, "refund.updated", "charge.refund.updated")


def fail_refund(world: World, refund: Refund, reason: str) -> None:
    """The bank sends a refund back, or the customer never answers: the money returns to the
    balance."""
    if refund.status not in ("pending", "requires_action", "succeeded"):
        raise invalid(f"This refund's status is {refund.status}: it cannot fail.")
    refund.status, refund.failure_reason = "failed", reason
    _take_back(world, refund)
    _announce(world, refund, "refund.failed", "refund.updated", "charge.refund.updated")


def _take_back(world: World, refund: Refund) -> None:
    charge = world.charges[refund.charge]
    if refund.balance_transaction is not None:
        refund.failure_balance_transaction = book(
            world,
            refund.account,
            "refund_failure",
            refund.amount,
            refund.currency,
            source=refund.id,
        ).id
    refund.pending_reason = refund.settles_at = None
    charge.amount_refunded -= refund.amount
    world.charges.save(charge)


def _announce(world: World, refund: Refund, *events: str) -> None:
    world.refunds.save(refund)
    body = render_refund(world, refund)
    for event in events:
        emit(world, event, body, refund.account)


def _find(call: Call) -> Refund:
    refund = call.world.refunds.get(call.path_ids[0])
    if refund is None or refund.account != call.account:
        raise missing_object("refund", call.path_ids[0], "id", in_path=True)
    return refund


@route("GET", "/v1/refunds/{refund}")
def retrieve_refund(call: Call) -> JsonObject:
    return render_refund(call.world, _find(call))


@route("POST", "/v1/refunds/{refund}", models="metadata")
def update_refund(call: Call) -> JsonObject:
    world = call.world
    refund = _find(call)
    before = render_refund(world, refund)
    refund.metadata = merge_metadata(refund.metadata, call.params)
    world.refunds.save(refund)
    body = render_refund(world, refund)
    for event in ("refund.updated", "charge.refund.updated"):
        emit(world, event, body, refund.account, changed(before, body))
    return body


@route("POST", "/v1/refunds/{refund}/cancel")
def cancel_refund(call: Call) -> JsonObject:
    world = call.world
    refund = _find(call)
    if refund.status != "requires_action":
        raise invalid(
            f"This refund's status is {refund.status}: only refunds that require an action by the "
            "customer can be canceled."
        )
    refund.status = "canceled"
    _take_back(world, refund)
    _announce(world, refund, "refund.updated", "charge.refund.updated")
    return render_refund(world, refund)


@route(
    "GET",
    "/v1/refunds",
    models="charge created ending_before limit payment_intent starting_after",
)
def list_refunds(call: Call) -> JsonObject:
    return _list(call, call.params)


@route("GET", "/v1/charges/{charge}/refunds", models="ending_before limit starting_after")
def list_charge_refunds(call: Call) -> JsonObject:
    if call.path_ids[0] not in call.world.charges:
        raise missing_object("charge", call.path_ids[0], "id", in_path=True)
    return _list(call, Params({"charge": call.path_ids[0]}))


def _list(call: Call, filters: Params) -> JsonObject:
    world = call.world
    charge, intent = filters.text("charge"), filters.text("payment_intent")
    found = None
    if charge is not None:
        found = world.refunds.newest("charge", charge)
    elif intent is not None:
        found = world.refunds.newest("payment_intent", intent)

    def keep(refund: Refund) -> bool:
        return intent is None or refund.payment_intent == intent

    return list_records(
        call, world.refunds, lambda refund: render_refund(world, refund), keep, found
    )
