"""Refunds and disputes over real HTTP: given back once, booked to the cent, told of."""

from __future__ import annotations

import itertools

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.stack import Reply, Stack, wait_for

_keys = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def paid(stack: Stack, method: str = "pm_card_bypassPending", **vendor: str) -> tuple[str, str]:
    """A completed driver's payment: its id and its PaymentIntent's."""
    payment_id, intent = payments.opened(stack, payments.vendor(stack, **vendor))
    reply = payments.confirm(stack, payment_id, method)
    assert reply.text("payment", "status") == "completed", reply
    return payment_id, intent


def asked(stack: Stack, payment_id: str, cents: int | None = None) -> str:
    body = {"amountCents": cents} if cents else {}
    reply = stack.api("POST", f"/payments/{payment_id}/refunds", body)
    assert reply.status == 201, reply
    return reply.text("id")


def approve(stack: Stack, refund_id: str) -> Reply:
    key = {"Idempotency-Key": f"refund-{next(_keys)}"}
    return stack.api("POST", f"/refunds/{refund_id}/approve", {}, as_="admin", **key)


def refund(stack: Stack, refund_id: str) -> dict[str, object]:
    reply = stack.api("GET", f"/refunds/{refund_id}", as_="admin")
    assert reply.status == 200, reply
    return reply.body


def wait_refund(stack: Stack, refund_id: str, status: str) -> None:
    def seen() -> bool | None:
        reply = stack.api("GET", f"/refunds/{refund_id}", as_="admin")
        return reply.body.get("status") == status or None

    wait_for(f"refund {refund_id} {status}", seen)


def refunds_at_stripe(stack: Stack, intent: str) -> list[dict[str, object]]:
    return [one for one in stack.objects("refunds") if one["payment_intent"] == intent]


def test_partial_and_full_refunds_and_every_cent_is_explained(stack: Stack) -> None:
    payment_id, intent = paid(stack, email="money-back@tow.example")
    first = approve(stack, asked(stack, payment_id, 2_500))
    assert (first.status, first.body["status"]) == (200, "succeeded")
    rest = approve(stack, asked(stack, payment_id))
    assert (rest.status, rest.body["amountCents"]) == (200, 10_000)
    refused = stack.api("POST", f"/payments/{payment_id}/refunds", {"amountCents": 1})
    assert (refused.status, refused.body["code"]) == (409, "refund_exceeds_payment")
    made = refunds_at_stripe(stack, intent)
    assert sorted(one["amount"] for one in made if isinstance(one["amount"], int)) == [
        2_500,
        10_000,
    ]
    assert {one["_idempotency_key"] for one in made} == {
        f"refund_{first.text('id')}",
        f"refund_{rest.text('id')}",
    }
    assert stack.payment(payment_id)["amountRefundedCents"] == 12_500
    mails = wait_for(
        "two e-mails of refunds",
        lambda: (
            [
                mail
                for mail in stack.mailbox.to("money-back@tow.example")
                if "given back" in str(mail["Subject"])
            ][1:]
            or None
        ),
    )
    assert mails
    assert_books_agree(stack)
    verify(stack)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "error_after", "truncate"])
def test_m9_a_refund_whose_answer_is_lost_is_given_once(stack: Stack, kind: str) -> None:
    payment_id, intent = paid(stack)
    refund_id = asked(stack, payment_id)
    stack.fault(kind=kind, route="POST /v1/refunds", count=1)
    try:
        assert approve(stack, refund_id).status in (200, 202)
        wait_refund(stack, refund_id, "succeeded")
    finally:
        stack.no_faults()
    (made,) = refunds_at_stripe(stack, intent)
    assert made["_idempotency_key"] == f"refund_{refund_id}"
    assert stack.payment(payment_id)["amountRefundedCents"] == 12_500
    assert_books_agree(stack)


def test_a_refund_made_in_stripes_dashboard_is_booked_once(stack: Stack) -> None:
    payment_id, intent = paid(stack)
    made = stack.form("POST", "/v1/refunds", f"payment_intent={intent}&amount=700")
    assert made.status == 200, made
    wait_refund(stack, made.text("id"), "succeeded")
    assert refund(stack, made.text("id"))["madeAtStripe"] is True
    assert stack.payment(payment_id)["amountRefundedCents"] == 700
    assert stack.facts(payment_id).count("RefundSucceeded") == 1
    assert_books_agree(stack)


def test_m21_a_refund_that_the_bank_sends_back_is_booked_back(stack: Stack) -> None:
    payment_id, intent = paid(stack)
    refund_id = asked(stack, payment_id)
    assert approve(stack, refund_id).status == 200
    (made,) = refunds_at_stripe(stack, intent)
    failed = stack.stripe(
        "POST",
        f"/_sandbox/refunds/{made['id']}/fail",
        {"failure_reason": "expired_or_canceled_card"},
    )
    assert failed.status == 200, failed
    wait_refund(stack, refund_id, "failed")
    assert stack.payment(payment_id)["amountRefundedCents"] == 0
    assert_books_agree(stack)
    verify(stack)


def test_a_lost_dispute_is_booked_and_forbids_refunds(stack: Stack) -> None:
    payment_id, _ = paid(stack, email="disputed@tow.example")
    charge = stack.payment(payment_id)["stripeChargeId"]
    opened = stack.stripe("POST", f"/_sandbox/charges/{charge}/dispute", {"reason": "fraudulent"})
    assert opened.status == 200, opened

    def disputes() -> list[dict[str, object]]:
        found = stack.payment(payment_id)["disputes"]
        assert isinstance(found, list)
        return found

    (dispute,) = wait_for("the dispute", lambda: disputes() or None)
    assert (dispute["withheldCents"], dispute["status"]) == (12_500, "needs_response")
    refused = stack.api("POST", f"/payments/{payment_id}/refunds", {})
    assert (refused.status, refused.body["code"]) == (409, "disputed")
    address = f"/_sandbox/disputes/{dispute['id']}/decide"
    decided = stack.stripe("POST", address, {"outcome": "lost"})
    assert decided.status == 200, decided
    wait_for("the loss", lambda: disputes()[0]["lostCents"] == 12_500 or None)
    wait_for(
        "the vendor's e-mail of the loss",
        lambda: (
            [
                mail
                for mail in stack.mailbox.to("disputed@tow.example")
                if "was lost" in str(mail["Subject"])
            ]
            or None
        ),
    )
    assert_books_agree(stack)
    verify(stack)


def test_a_won_dispute_gives_the_money_back(stack: Stack) -> None:
    payment_id, _ = paid(stack)
    charge = stack.payment(payment_id)["stripeChargeId"]
    opened = stack.stripe("POST", f"/_sandbox/charges/{charge}/dispute", {"reason": "general"})
    assert opened.status == 200, opened
    dispute_id = opened.text("id")
    wait_for("the dispute", lambda: stack.payment(payment_id)["disputes"] or None)
    stack.stripe("POST", f"/_sandbox/disputes/{dispute_id}/decide", {"outcome": "won"})

    def won() -> bool | None:
        found = stack.payment(payment_id)["disputes"]
        assert isinstance(found, list)
        return (found[0]["status"], found[0]["withheldCents"]) == ("won", 0) or None

    wait_for("the dispute to be won", won)
    assert_books_agree(stack)
