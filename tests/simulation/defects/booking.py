"""Defects in what people ask for, and in the books."""

from __future__ import annotations

from dataclasses import replace

from roadcall_payments import journal
from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.ledger import posting_rules
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.workflows import verification
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.payments import Payments
from roadcall_payments.workflows.recovery import Recovery
from roadcall_payments.workflows.webhook_inbox import WebhookInbox
from roadcall_payments.workflows.write_path import Written
from tests.simulation.defects.planted import Planted, wrong_function
from tests.simulation.faults import Kind

_right_postings = posting_rules.postings


def _doubled(fact: e.Fact) -> tuple[Posting, ...]:
    lines = _right_postings(fact)
    if not isinstance(fact, e.PaymentCompleted):
        return lines
    return tuple(replace(line, amount_cents=2 * line.amount_cents) for line in lines)


_right_cancel = Payments.cancel


async def _cancels_alone(
    self: Payments,
    actor: Actor,
    payment_id: str,
    reason: str,
    idem: IdempotencyKey | None = None,
) -> Answer:
    stream = stream_of("payment", payment_id)

    def decide(current: Payment | None) -> tuple[e.Fact, ...]:
        open_ = current is not None and current.status in (Status.PROCESSING, Status.FAILED)
        return (e.PaymentCancelled(str(actor), None),) if open_ else ()

    written: Written[Payment] = await self._write_path.write(stream, decide, actor=actor)
    if written.facts:
        return Answer(written.state, 200)
    return await _right_cancel(self, actor, payment_id, reason, idem)


_right_take = WebhookInbox.take


async def _says_received(self: WebhookInbox, body: bytes, signature: str) -> str:
    try:
        return await _right_take(self, body, signature)
    except StoreUnavailable:
        return "evt_received"


async def _books_by_guess(self: Recovery, payment: Payment) -> Payment:
    """Nothing is fetched: what is not booked is left alone."""
    return payment


BOOKING = (
    Planted(
        wrong_function(
            "postings doubled",
            (journal, "postings", _doubled),
            (verification, "postings", _doubled),
        ),
        "M38",
        "a completed payment is booked twice over, and `verify` agrees",
    ),
    Planted(
        wrong_function("cancelled without Stripe", (Payments, "cancel", _cancels_alone)),
        "M2",
        "a payment is cancelled, and its PaymentIntent left open",
    ),
    Planted(
        wrong_function("200 before the inbox", (WebhookInbox, "take", _says_received)),
        "M19",
        "an event is answered 200 that could not be kept",
        neighbours=("M17",),
        # Only an event that nothing else makes good for shows it: one of many.
        boosts={Kind.COMMIT_REFUSED: 0.2},
        payments=150,
    ),
    Planted(
        wrong_function("a balance line left out", (Recovery, "_book", _books_by_guess)),
        "M17",
        "an object's balance transaction is never fetched",
    ),
)
