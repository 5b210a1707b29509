"""A vendor's debt that is given up, and what was given up and is owed by nobody after all."""

from __future__ import annotations

from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.money import Money
from roadcall_payments.ledger.posting_rules import Posting, postings

PLATFORM = "acct_platform"
PAYABLE = "vendor_payable:ve_1"
AMOUNT = Money(1_250, "usd")
FORGIVEN = d.VendorDebtForgiven(
    "ve_1", "debt_1", AMOUNT, PLATFORM, "admin:ada", TextRef("text_1", "00")
)
UNDONE = d.DebtForgivenessReversed("ve_1", "debt_1", AMOUNT, PLATFORM)


def test_a_forgiven_debt_is_the_platforms_loss_and_no_longer_the_vendors() -> None:
    assert set(postings(FORGIVEN)) == {
        Posting(PLATFORM, "debts_forgiven", "usd", 1_250),
        Posting(PLATFORM, PAYABLE, "usd", -1_250),
    }


def test_what_was_given_up_comes_back_when_its_cause_is_undone() -> None:
    both = [*postings(FORGIVEN), *postings(UNDONE)]
    sums = {line.account: 0 for line in both}
    for line in both:
        sums[line.account] += line.amount_cents
    assert len(both) == 4
    assert sums == {"debts_forgiven": 0, PAYABLE: 0}
