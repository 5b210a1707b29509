"""Connected accounts: why a vendor cannot be paid, what is a change, and who hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain import connected_account as c
from roadcall_payments.domain import vendor_events as v
from roadcall_payments.domain.fact_parts import Source, TextRef
from roadcall_payments.domain.stripe_objects import (
    Account,
    AccountStatus,
    BankAccount,
    Operation,
    Requirements,
    StripeRequest,
)
from roadcall_payments.domain.vendor import FORMER_CONTACTS_MAX, Vendor, apply

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ABLE = AccountStatus("active", payouts_enabled=True, details_submitted=True)
BANKS = [BankAccount("usd", "6789", None, "fp_1"), BankAccount("usd", "1116", None, "fp_2")]
REQUEST = StripeRequest(
    Operation.CREATE_ACCOUNT, "/v1/accounts", "{}", "account_ve_1", "acct_p", False, "v"
)


def registered(account: str | None = "acct_1") -> Vendor:
    fact = v.VendorRegistered("ve_1", account, "en_US", TextRef("t0", "d0"), "admin:a")
    return apply(None, fact, NOON)


def shown(vendor: Vendor, status: AccountStatus, at: datetime = NOON) -> Vendor:
    account = Account("acct_1", status)
    for fact in c.account_seen(vendor, account, False, Source.LOOKUP, at):
        vendor = apply(vendor, fact, at)
    return vendor


def code_of(vendor: Vendor) -> c.Obstacle | None:
    reason = c.cannot_receive(vendor)
    return reason.code if reason else None


DUE = Requirements(currently_due=("external_account",), past_due=("tos_acceptance.date",))


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [
        (ABLE, None),
        # Payouts are the vendor's own business: it can be paid into its balance.
        (replace(ABLE, payouts_enabled=False), None),
        (replace(ABLE, transfers="inactive", requirements=DUE), c.Obstacle.TRANSFERS_INACTIVE),
        (replace(ABLE, transfers="pending"), c.Obstacle.TRANSFERS_INACTIVE),
        (replace(ABLE, transfers=None), c.Obstacle.TRANSFERS_INACTIVE),
        (AccountStatus("inactive", False, requirements=DUE), c.Obstacle.NOT_ONBOARDED),
        (
            replace(
                ABLE,
                transfers="inactive",
                requirements=Requirements((), (), (), None, "rejected.fraud"),
            ),
            c.Obstacle.REJECTED,
        ),
    ],
)
def test_a_vendor_is_paid_where_stripe_lets_transfers_through(
    status: AccountStatus, obstacle: c.Obstacle | None
) -> None:
    assert code_of(shown(registered(), status)) == obstacle


def test_what_is_due_is_told_past_due_first_and_in_words() -> None:
    vendor = shown(registered(), replace(ABLE, transfers="inactive", requirements=DUE))
    reason = c.cannot_receive(vendor)
    assert reason is not None
    assert reason.due == ("tos_acceptance.date", "external_account")
    assert "tos acceptance date, external account" in reason.message


def test_before_stripe_said_anything_nothing_is_assumed() -> None:
    assert code_of(registered(None)) is c.Obstacle.NO_ACCOUNT
    assert code_of(registered()) is c.Obstacle.NOT_SEEN
    asked = apply(registered(None), v.AccountRequested(1, REQUEST, "admin:a"), NOON)
    assert code_of(asked) is c.Obstacle.ACCOUNT_OPENING


def test_m18_what_the_other_mode_showed_is_not_known_of_this_one() -> None:
    vendor = shown(registered(), ABLE)
    assert c.is_known_able(vendor, livemode=False)
    assert not c.is_known_able(vendor, livemode=True)


statuses = st.builds(
    AccountStatus,
    st.sampled_from([None, "active", "inactive", "pending"]),
    st.booleans(),
    details_submitted=st.booleans(),
    banks=st.lists(st.sampled_from(BANKS), max_size=2, unique=True).map(tuple),
    requirements=st.builds(
        Requirements,
        currently_due=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple),
    ),
)


@given(st.lists(statuses, max_size=12))
def test_the_vendor_is_as_stripe_showed_it_last_and_a_repeat_says_nothing(
    history: list[AccountStatus],
) -> None:
    vendor = registered()
    for status in history:
        vendor = shown(vendor, status)
        assert vendor.connected is not None
        assert vendor.connected.status == c.kept_of(status)
        again = Account("acct_1", status)
        assert not c.account_seen(vendor, again, False, Source.WEBHOOK, NOON)


@given(st.lists(st.lists(st.sampled_from(BANKS), max_size=2, unique=True), max_size=8))
def test_every_change_of_bank_is_told_once_there_was_one(history: list[list[BankAccount]]) -> None:
    vendor, had = registered(), False
    before: tuple[BankAccount, ...] = ()
    for banks in history:
        status = replace(ABLE, banks=tuple(banks))
        facts = c.account_seen(vendor, Account("acct_1", status), False, Source.LOOKUP, NOON)
        told = [fact for fact in facts if isinstance(fact, v.BankAccountChanged)]
        assert bool(told) == (had and status.banks != before)
        for fact in facts:
            vendor = apply(vendor, fact, NOON)
        had, before = had or bool(banks), status.banks


@given(st.lists(st.integers(0, 40), min_size=1, max_size=25))
def test_whoever_was_a_contact_in_the_last_30_days_is_told(days: list[int]) -> None:
    vendor, at, replaced_at = registered(), NOON, list[datetime]()
    for number, wait in enumerate(days, 1):
        at += timedelta(days=wait)
        changed = v.VendorChanged("acct_1", "en_US", TextRef(f"t{number}", "d"), "admin:a")
        vendor = apply(vendor, changed, at)
        replaced_at.append(at)
    told = [ref.id for ref in c.whom_to_tell(vendor, at)]
    recent = [f"t{n}" for n, when in enumerate(replaced_at) if when > at - timedelta(days=30)]
    assert told[0] == f"t{len(days)}"
    if len(recent) <= FORMER_CONTACTS_MAX:
        assert told[1:] == recent
    else:
        assert told[1:] == recent[:FORMER_CONTACTS_MAX], "changing often pushes nobody out"


def test_requirements_are_kept_within_bounds_and_in_one_order() -> None:
    many = tuple(f"person_{n}.first_name" for n in range(200, 0, -1))
    status = c.kept_of(replace(ABLE, requirements=Requirements(currently_due=many)))
    kept = status.requirements.currently_due
    assert len(kept) == c.REQUIREMENTS_MAX
    assert kept == tuple(sorted(kept))


def test_each_deadline_is_reminded_of_once() -> None:
    first, second = NOON + timedelta(days=10), NOON + timedelta(days=40)
    vendor = registered()
    for deadline in (first, second):
        due = Requirements(("external_account",), deadline=deadline)
        vendor = shown(vendor, replace(ABLE, requirements=due))
        at = deadline - c.REMINDED_BEFORE
        assert c.due_at(vendor, timedelta()) == at
        assert not c.reminder(vendor, at - timedelta(seconds=1))
        (fact,) = c.reminder(vendor, at)
        vendor = apply(vendor, fact, at)
        assert c.due_at(vendor, timedelta()) is None
        assert not c.reminder(vendor, at)
