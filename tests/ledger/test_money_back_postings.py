"""Refunds and disputes in the ledger: whose money it was, and that what comes back cancels out."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import DisputeStatus
from roadcall_payments.ledger.posting_rules import postings

PLATFORM = "acct_platform"
AMOUNTS = st.builds(Money, st.integers(1, 10**12), st.sampled_from(["usd", "jpy", "kwd"]))


def succeeded(amount: Money, *, stray: bool) -> e.RefundSucceeded:
    return e.RefundSucceeded(
        "rf_1", "re_1", amount, PLATFORM, False, "co_1", "ve_1", stray, e.Source.ANSWER
    )


def failed(amount: Money, *, stray: bool, returned: bool) -> e.RefundFailed:
    return e.RefundFailed(
        refund_id="rf_1",
        amount=amount,
        code="declined",
        message="No.",
        account=PLATFORM,
        livemode=False,
        vendor_id="ve_1",
        from_suspense=stray,
        returned=returned,
        drawn=False,
        source=e.Source.WEBHOOK,
        stripe_refund="re_1",
    )


def withdrawn(amount: Money) -> e.DisputeFundsWithdrawn:
    return e.DisputeFundsWithdrawn("du_1", amount, "txn_1", PLATFORM)


def closed(loss: Money, bearer: e.Bearer) -> e.DisputeClosed:
    return e.DisputeClosed("du_1", DisputeStatus.LOST, loss, bearer, PLATFORM, "ve_1")


def sums(*facts: e.Fact) -> dict[str, int]:
    lines = itertools.chain.from_iterable(map(postings, facts))
    totals: Counter[str] = Counter()
    for line in lines:
        totals[line.account] += line.amount_cents
    return {account: cents for account, cents in totals.items() if cents}


@given(AMOUNTS, st.booleans())
def test_m21_a_refund_that_came_back_leaves_nothing(amount: Money, stray: bool) -> None:
    owner = "suspense:stray" if stray else "vendor_payable:ve_1"
    given_back = {owner: amount.amount_cents, "stripe_clearing": -amount.amount_cents}
    assert sums(succeeded(amount, stray=stray)) == given_back
    back = failed(amount, stray=stray, returned=True)
    assert sums(succeeded(amount, stray=stray), back) == {}


def test_a_refund_that_never_succeeded_posts_nothing() -> None:
    assert sums(failed(Money(500, "usd"), stray=False, returned=False)) == {}


@pytest.mark.parametrize(
    ("bearer", "account"),
    [
        (e.Bearer.VENDOR, "vendor_payable:ve_1"),
        (e.Bearer.PLATFORM, "dispute_losses"),
        (e.Bearer.SUSPENSE, "suspense:stray"),
    ],
)
@given(amount=AMOUNTS)
def test_a_lost_dispute_goes_to_its_bearer_and_back(
    amount: Money, bearer: e.Bearer, account: str
) -> None:
    cents = amount.amount_cents
    lost = (withdrawn(amount), closed(amount, bearer))
    assert sums(*lost) == {account: cents, "stripe_clearing": -cents}
    reinstated = e.DisputeFundsReinstated("du_1", amount, "txn_2", PLATFORM)
    assert sums(*lost, reinstated, closed(-amount, bearer)) == {}


def test_a_dispute_without_a_loss_posts_nothing() -> None:
    assert sums(closed(Money(0, "usd"), e.Bearer.VENDOR)) == {}
