"""A driver's payment becomes its vendor's money, and comes back, on real processes."""

from __future__ import annotations

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, ledger, verify
from tests.flows.stack import Stack, wait_for

PAID, FEE, SHARE = 12_500, 1_300, 11_200


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """A tenth of a payment is the platform's, and half a dollar."""
    return {
        "ROADCALL_SETTLEMENT": "on",
        "ROADCALL_PLATFORM_FEE_BPS": "1000",
        "ROADCALL_PLATFORM_FEE_FIXED_CENTS": "50",
    }


def paid(stack: Stack) -> str:
    payment_id, _ = payments.opened(stack, payments.vendor(stack), PAID)
    reply = payments.confirm(stack, payment_id, "pm_card_bypassPending")
    assert reply.text("payment", "status") == "completed", reply
    return payment_id


def settlement(stack: Stack, payment_id: str) -> dict[str, object]:
    seen = stack.payment(payment_id)["settlement"]
    assert isinstance(seen, dict)
    return seen


def wait_settled(stack: Stack, payment_id: str, cents: int) -> None:
    def settled() -> bool | None:
        seen = settlement(stack, payment_id)
        return (seen["status"], seen["settledCents"]) == ("settled", cents) or None

    wait_for(f"{cents} settled of {payment_id}", settled)


def assert_sent_once(stack: Stack, payment_id: str, *, reversed_cents: int) -> None:
    """One transfer at Stripe, out of this payment's own charge."""
    (sent,) = payments.transfers_of(stack, payment_id)
    assert (sent["amount"], sent["amount_reversed"]) == (SHARE, reversed_cents)
    (charge,) = payments.charges_of(stack, payment_id)
    assert sent["source_transaction"] == charge["id"]


def test_the_share_goes_out_less_the_fee_and_a_refund_takes_its_part_back(stack: Stack) -> None:
    payment_id = paid(stack)
    wait_settled(stack, payment_id, SHARE)
    assert settlement(stack, payment_id)["platformFeeCents"] == FEE
    asked = stack.api("POST", f"/payments/{payment_id}/refunds", {"amountCents": 2_500})
    assert asked.status == 201, asked
    given = stack.api("POST", f"/refunds/{asked.text('id')}/approve", {}, as_="admin")
    assert given.body["status"] == "succeeded", given
    wait_settled(stack, payment_id, SHARE - 2_500)
    assert_sent_once(stack, payment_id, reversed_cents=2_500)
    assert_books_agree(stack)
    verify(stack)


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
def test_m20_a_share_whose_answer_is_lost_is_sent_once(stack: Stack, kind: str) -> None:
    stack.fault(kind=kind, route="POST /v1/transfers", count=1)
    try:
        payment_id = paid(stack)
        wait_settled(stack, payment_id, SHARE)
    finally:
        stack.no_faults()
    assert_sent_once(stack, payment_id, reversed_cents=0)
    assert_books_agree(stack)


def test_nothing_is_owed_to_anybody_in_the_end(stack: Stack) -> None:
    payable = {key: cents for key, cents in ledger(stack).items() if "vendor_payable" in key[1]}
    assert payable == {}
    verify(stack)
