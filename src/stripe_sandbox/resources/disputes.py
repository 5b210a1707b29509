"""Disputes: a card holder takes the money back, and evidence decides who keeps it."""

from stripe_sandbox.cards import BY_NAME
from stripe_sandbox.errors import invalid, missing_object
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import merge_metadata
from stripe_sandbox.records import Charge, Dispute
from stripe_sandbox.resources.balance import book, render_balance_transaction
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.routes import Call, route
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

EVIDENCE_DUE_S = 9 * 86_400
"""Within what Stripe documents, 7 to 21 days by card network."""

_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)

_TEXT_EVIDENCE = tuple(
    name
    for name in _EVIDENCE
    if name
    not in (
        "cancellation_policy",
        "customer_communication",
        "customer_signature",
        "duplicate_charge_documentation",
        "receipt",
        "refund_policy",
        "service_documentation",
        "shipping_documentation",
        "uncategorized_file",
    )
)
"""Those that are words; the others are uploaded files, which the sandbox does not model."""

OPEN = ("needs_response", "warning_needs_response", "under_review", "warning_under_review")
ANSWERABLE = ("needs_response", "warning_needs_response")

_REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "general": "13.7"}


def open_dispute(
    world: World,
    charge: Charge,
    reason: str,
    *,
    inquiry: bool = False,
    amount: int | None = None,
) -> Dispute:
    """The card holder's bank asks (an inquiry), or takes `amount` back, with a fee; None: all that
    is left of the charge."""
    dispute = Dispute(
        **world.stamp("du_", charge.account),
        amount=_left(charge) if amount is None else amount,
        currency=charge.currency,
        charge=charge.id,
        payment_intent=charge.payment_intent,
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
        inquiry=inquiry,
        due_by=world.now + EVIDENCE_DUE_S,
        brand=BY_NAME[charge.card or "visa"].brand,
        reason_code=_REASON_CODES.get(reason),
    )
    world.disputes.add(dispute)
    schedule_dispute(world, dispute)
    charge.disputed = True
    world.charges.save(charge)
    if not inquiry:
        _withdraw(world, dispute)
    body = render_dispute(world, dispute)
    emit(world, "charge.dispute.created", body, dispute.account)
    if not inquiry:
        emit(world, "charge.dispute.funds_withdrawn", body, dispute.account)
    return dispute


def schedule_dispute(world: World, dispute: Dispute) -> None:
    """Put the day by which evidence is due into the schedule, new or read back from storage."""
    if dispute.status in ANSWERABLE and dispute.due_by is not None:
        world.schedule.add(dispute.due_by, Duty.CLOSE_DISPUTE, dispute.id)


def close_unanswered(world: World, dispute_id: str) -> None:
    """The day has come: a dispute without evidence is lost, an inquiry is dropped."""
    dispute = world.disputes[dispute_id]
    if dispute.status in ANSWERABLE and dispute.due_by is not None and dispute.due_by <= world.now:
        decide_dispute(world, dispute, won=False)


def can_escalate(world: World, dispute: Dispute) -> bool:
    still_open = dispute.inquiry and dispute.status in OPEN
    return still_open and _left(world.charges[dispute.charge]) > 0


def _left(charge: Charge) -> int:
    return charge.amount_captured - charge.amount_refunded


def escalate_dispute(world: World, dispute: Dispute) -> None:
    """An inquiry becomes a chargeback, and what is left of the charge is withdrawn now.

    Raises StripeError where it is no open inquiry, or nothing is left.
    """
    if not can_escalate(world, dispute):
        raise invalid("Only an open inquiry into a charge with money left can be escalated.")
    before = render_dispute(world, dispute)
    dispute.inquiry = False
    dispute.amount = min(dispute.amount, _left(world.charges[dispute.charge]))
    dispute.status = "needs_response"
    dispute.due_by = world.now + EVIDENCE_DUE_S
    schedule_dispute(world, dispute)
    _withdraw(world, dispute)
    world.disputes.save(dispute)
    body = render_dispute(world, dispute)
    emit(world, "charge.dispute.updated", body, dispute.account, changed(before, body))
    emit(world, "charge.dispute.funds_withdrawn", body, dispute.account)


def _withdraw(world: World, dispute: Dispute) -> None:
    transaction = book(
        world,
        dispute.account,
        "adjustment",
        -dispute.amount,
        dispute.currency,
        source=dispute.id,
        fee=world.config.dispute_fee,
        description=f"Chargeback withdrawal for {dispute.charge}",
        category="dispute",
    )
    dispute.balance_transactions = [*dispute.balance_transactions, transaction.id]


def decide_dispute(world: World, dispute: Dispute, *, won: bool) -> None:
    """The bank decides. What was withdrawn comes back on a win, the fee does not."""
    before = render_dispute(world, dispute)
    if dispute.inquiry:
        dispute.status = "warning_closed"
    else:
        dispute.status = "won" if won else "lost"
    if won and not dispute.inquiry:
        transaction = book(
            world,
            dispute.account,
            "adjustment",
            dispute.amount,
            dispute.currency,
            source=dispute.id,
            description=f"Chargeback reversal for {dispute.charge}",
            category="dispute_reversal",
        )
        dispute.balance_transactions = [*dispute.balance_transactions, transaction.id]
    world.disputes.save(dispute)
    body = render_dispute(world, dispute)
    if won and not dispute.inquiry:
        emit(world, "charge.dispute.funds_reinstated", body, dispute.account)
    emit(world, "charge.dispute.closed", body, dispute.account, changed(before, body))


def render_dispute(world: World, dispute: Dispute) -> JsonObject:
    evidence: dict[str, JsonValue] = {name: dispute.evidence.get(name) for name in _EVIDENCE}
    evidence["enhanced_evidence"] = {}
    transactions = [world.balance_transactions[each] for each in dispute.balance_transactions]
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [
            render_balance_transaction(world, transaction) for transaction in transactions
        ],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": dispute.due_by if dispute.status in ANSWERABLE else None,
            "enhanced_eligibility": {},
            "has_evidence": bool(dispute.evidence),
            "past_due": dispute.due_by is not None and world.now > dispute.due_by,
            "submission_count": dispute.submissions,
        },
        "is_charge_refundable": dispute.inquiry and dispute.status in OPEN,
        "livemode": False,
        "metadata": dispute.metadata,
        "payment_intent": dispute.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": dispute.brand,
                "case_type": "inquiry" if dispute.inquiry else "chargeback",
                "network": dispute.brand,
                "network_reason_code": dispute.reason_code,
            },
            "type": "card",
        },
        "reason": dispute.reason,
        "status": dispute.status,
    }


expandable("dispute", "disputes", render_dispute)


def _find(call: Call) -> Dispute:
    dispute = call.world.disputes.get(call.path_ids[0])
    if dispute is None or dispute.account != call.account:
        raise missing_object("dispute", call.path_ids[0], "id", in_path=True)
    return dispute


@route("GET", "/v1/disputes/{dispute}")
def retrieve_dispute(call: Call) -> JsonObject:
    return render_dispute(call.world, _find(call))


@route(
    "POST",
    "/v1/disputes/{dispute}",
    models="metadata submit " + " ".join(f"evidence.{name}" for name in _TEXT_EVIDENCE),
)
def update_dispute(call: Call) -> JsonObject:
    """Evidence is submitted unless `submit` is false; `winning_evidence` and `losing_evidence` as
    its uncategorized text decide the dispute at once, and `escalate_inquiry_evidence` makes an
    inquiry a chargeback, as in Stripe's test mode."""
    world, params = call.world, call.params
    dispute = _find(call)
    sent = params.string_map("evidence")
    if sent and dispute.status not in ANSWERABLE:
        raise invalid(f"This dispute's status is {dispute.status}: it takes no more evidence.")
    before = render_dispute(world, dispute)
    dispute.metadata = merge_metadata(dispute.metadata, params)
    evidence = {**dispute.evidence, **sent}
    dispute.evidence = {name: text for name, text in evidence.items() if text}
    submitted = bool(sent) and params.flag("submit") is not False
    if submitted:
        dispute.submissions += 1
        dispute.status = "warning_under_review" if dispute.inquiry else "under_review"
    world.disputes.save(dispute)
    body = render_dispute(world, dispute)
    emit(world, "charge.dispute.updated", body, dispute.account, changed(before, body))
    verdict = dispute.evidence.get("uncategorized_text")
    if submitted and verdict == "escalate_inquiry_evidence" and can_escalate(world, dispute):
        escalate_dispute(world, dispute)
    elif submitted and verdict in ("winning_evidence", "losing_evidence"):
        decide_dispute(world, dispute, won=verdict == "winning_evidence")
    return render_dispute(world, dispute)


@route("POST", "/v1/disputes/{dispute}/close")
def close_dispute(call: Call) -> JsonObject:
    """The merchant gives in."""
    dispute = _find(call)
    if dispute.status not in OPEN:
        raise invalid("This dispute is already closed.")
    decide_dispute(call.world, dispute, won=False)
    return render_dispute(call.world, dispute)


@route(
    "GET",
    "/v1/disputes",
    models="charge created ending_before limit payment_intent starting_after",
)
def list_disputes(call: Call) -> JsonObject:
    world, params = call.world, call.params
    charge, intent = params.text("charge"), params.text("payment_intent")
    found = None
    if charge is not None:
        found = world.disputes.newest("charge", charge)
    elif intent is not None:
        found = world.disputes.newest("payment_intent", intent)

    def keep(dispute: Dispute) -> bool:
        return intent is None or dispute.payment_intent == intent

    return list_records(
        call, world.disputes, lambda dispute: render_dispute(world, dispute), keep, found
    )
