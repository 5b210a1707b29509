"""Payouts of vendors' accounts that no event told of are found in the accounts' own lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.errors import CredentialsRejected, RoadcallError, StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import PayoutStatus
from roadcall_payments.domain.stripe_objects import Payout
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import CreatedWindow
from roadcall_payments.workflows.account_payouts import AccountPayouts
from roadcall_payments.workflows.missed_events import GRACE, OFF_LOOK_S
from roadcall_payments.workflows.missed_payouts import (
    LOOK_BACK,
    ROUND_EVERY,
    VENDORS_A_LOOK,
    MissedPayouts,
)
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from roadcall_payments.workflows.write_path import WritePath
from tests.fakes.gateway import GOOD_SIGNATURE, FakeGateway
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, Office
from tests.workflows.payout_reading import AMOUNT, facts
from tests.workflows.test_drift_repair import backed_up, repaired, restored
from tests.workflows.test_payout_schedule import TO_THE_HOUR

EVERY_S = 900
OTHER = "acct_other"
WITHDRAWN = CredentialsRejected("They ended our access.", code="stripe_permission")


def missed_payouts(office: Office, every_s: int = EVERY_S) -> MissedPayouts:
    service = office.service
    write_path = WritePath(service.store, service.clock, service.ids)
    payouts = AccountPayouts(write_path, service.gateway)
    return MissedPayouts(service.store, service.gateway, service.clock, payouts, every_s)


async def paid_vendor(office: Office, account: str) -> str:
    """A vendor with the money of a job in its account; its id."""
    vendor_id = await office.vendor(account)
    await paid_for_a_job(office, vendor_id)
    return vendor_id


async def paid_for_a_job(office: Office, vendor_id: str) -> None:
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id)
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)


def left_unseen(office: Office, account: str, amount: Money = AMOUNT) -> Payout:
    """Stripe's schedule paid it out, and none of its events came."""
    made = office.stripe.pay_out(account, amount)
    return office.stripe.payout_becomes(made.id, Theirs.PAID)


async def in_account(office: Office, account: str) -> int:
    lines = await office.service.store.balances(account)
    return sum(line.amount_cents for line in lines if line.account == "stripe_balance")


class Lists:
    """Which accounts' payouts were asked for; some of them cannot be read."""

    def __init__(self, stripe: FakeGateway) -> None:
        self.asked: list[tuple[str, CreatedWindow]] = []
        self.failing: dict[str, RoadcallError] = {}
        self._payouts = stripe.payouts
        stripe.payouts = self._listed  # type: ignore[method-assign] # the same, and a note of it

    async def _listed(self, account: str, created: CreatedWindow) -> Sequence[Payout]:
        self.asked.append((account, created))
        if account in self.failing:
            raise self.failing[account]
        return await self._payouts(account, created)

    @property
    def accounts(self) -> list[str]:
        return [account for account, _ in self.asked]


@pytest.fixture
def lists(office: Office) -> Lists:
    return Lists(office.stripe)


async def test_m16_a_payout_that_no_event_told_of_is_booked_once(office: Office) -> None:
    vendor_id = await paid_vendor(office, OTHER)
    before = await in_account(office, OTHER)
    made = left_unseen(office, OTHER)
    missed = missed_payouts(office)
    for _ in range(2):
        assert await missed.attend() == EVERY_S
        office.clock.advance(ROUND_EVERY.total_seconds())
    assert await facts(office, made.id) == ["PayoutObserved", "PayoutPaid"]
    assert await in_account(office, OTHER) == before - AMOUNT.amount_cents
    told = await office.service.vendor_statements.statement(vendor_id, None)
    closing = [one.closing.amount_cents for one in told.statement.accounts]
    assert closing == [before - AMOUNT.amount_cents]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_an_account_is_asked_once_a_day_and_only_while_it_has_money(
    office: Office, lists: Lists
) -> None:
    await paid_vendor(office, OTHER)
    await office.vendor("acct_empty")
    missed, began = missed_payouts(office), office.clock.now()
    for _ in range(4):
        await missed.attend()
        office.clock.advance(EVERY_S)
    assert lists.asked == [(OTHER, CreatedWindow(began - LOOK_BACK, began - GRACE))]
    office.clock.advance(ROUND_EVERY.total_seconds())
    await missed.attend()
    assert lists.accounts == [OTHER, OTHER]


async def test_a_round_of_many_vendors_takes_several_looks(office: Office, lists: Lists) -> None:
    for _ in range(VENDORS_A_LOOK):
        await office.vendor(None)
    contacts = Contacts("Tow & Go", "tow@example.com", None, None)
    await office.service.vendors.put(ADMIN, "ve_last", VendorRecord(OTHER, "en-US", contacts))
    await paid_for_a_job(office, "ve_last")
    missed = missed_payouts(office)
    await missed.attend()
    assert lists.accounts == []
    office.clock.advance(EVERY_S)
    await missed.attend()
    assert lists.accounts == [OTHER]


async def test_an_account_that_cannot_be_read_stops_no_other_and_is_tried_again(
    office: Office, lists: Lists
) -> None:
    await paid_vendor(office, "acct_first")
    await paid_vendor(office, OTHER)
    made = left_unseen(office, OTHER)
    late = left_unseen(office, "acct_first")
    lists.failing["acct_first"] = StripeUnavailable("no answer")
    missed = missed_payouts(office)
    assert await missed.attend() == EVERY_S
    assert await facts(office, made.id) == ["PayoutObserved", "PayoutPaid"]
    lists.failing.clear()
    office.clock.advance(EVERY_S)
    await missed.attend()
    assert await facts(office, late.id) == ["PayoutObserved", "PayoutPaid"]
    assert lists.accounts == ["acct_first", OTHER, "acct_first"]


async def test_an_account_whose_owner_ended_our_access_waits_for_the_next_day(
    office: Office, lists: Lists
) -> None:
    await paid_vendor(office, OTHER)
    lists.failing[OTHER] = WITHDRAWN
    missed = missed_payouts(office)
    await missed.attend()
    await missed.attend()
    assert lists.accounts == [OTHER]


async def test_nothing_is_asked_while_stripe_is_away_or_it_is_switched_off(
    office: Office, lists: Lists
) -> None:
    await paid_vendor(office, OTHER)
    office.stripe.down = StripeUnavailable("down")
    missed = missed_payouts(office)
    assert await missed.attend() == EVERY_S
    office.stripe.down = None
    assert await missed_payouts(office, every_s=0).attend() == OFF_LOOK_S
    office.stripe.connect = False
    await missed.attend()
    assert lists.asked == []
    office.stripe.connect = True
    await missed.attend()
    assert lists.accounts == [OTHER]


async def test_the_worker_looks_for_them(office: Office) -> None:
    await paid_vendor(office, OTHER)
    made = left_unseen(office, OTHER)
    await office.service.missed_payouts.attend()
    assert await facts(office, made.id) == ["PayoutObserved", "PayoutPaid"]


async def test_m18_what_left_a_vendors_account_since_the_backup_is_booked(
    office: Office, tmp_path: Path
) -> None:
    await paid_vendor(office, OTHER)
    before = await in_account(office, OTHER)
    backup = backed_up(tmp_path)
    made = left_unseen(office, OTHER)
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert report.passed
        assert [line.object_id for line in report.adopted] == [made.id]
        assert await facts(later, made.id) == ["PayoutObserved", "PayoutPaid"]
        assert await in_account(later, OTHER) == before - AMOUNT.amount_cents
        assert (await repaired(later)).adopted == []


async def test_m18_an_account_that_is_ours_no_more_is_a_warning_and_an_outage_ends_the_repair(
    office: Office, tmp_path: Path
) -> None:
    await paid_vendor(office, "acct_first")
    await paid_vendor(office, OTHER)
    backup = backed_up(tmp_path)
    made = left_unseen(office, OTHER)
    async with restored(office, tmp_path, backup) as later:
        lists = Lists(later.stripe)
        lists.failing["acct_first"] = WITHDRAWN
        report = await repaired(later)
        assert [line.object_id for line in report.adopted] == [made.id]
        (warning,) = report.warnings
        assert "acct_first" in warning
        lists.failing[OTHER] = StripeUnavailable("down")
        with pytest.raises(StripeUnavailable):
            await repaired(later)


async def test_m18_a_former_account_of_a_vendor_is_looked_through_as_well(
    office: Office, tmp_path: Path
) -> None:
    vendor_id = await paid_vendor(office, OTHER)
    contacts = Contacts("Tow & Go", "tow@example.com", None, None)
    record = VendorRecord("acct_newer", "en-US", contacts)
    await office.service.vendors.put(ADMIN, vendor_id, record)
    backup = backed_up(tmp_path)
    made = left_unseen(office, OTHER)
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert [line.object_id for line in report.adopted] == [made.id]
        payout = await later.service.payouts.get(made.id)
        assert (payout.account, payout.vendor_id) == (OTHER, vendor_id)


async def daily_vendor(office: Office) -> None:
    contacts = Contacts("Tow & Go", None, None, None)
    record = VendorRecord(OTHER, "en-US", contacts, pays_daily=True)
    await office.service.vendors.put(ADMIN, "ve_daily", record)
    office.stripe.fund(OTHER, Money(5_000, "usd"))


async def test_m18_the_days_payout_that_a_restore_lost_is_not_made_again(
    office: Office, tmp_path: Path
) -> None:
    await daily_vendor(office)
    backup = backed_up(tmp_path)
    await office.attend(TO_THE_HOUR)
    (made,) = office.stripe.made_payouts.values()
    # More became available since: the day's payout went out without it.
    office.stripe.fund(OTHER, Money(3_000, "usd"))
    async with restored(office, tmp_path, backup) as later:
        await later.attend()
        await repaired(later)
        lost = await later.service.payouts.get(made.id)
        assert (lost.day, lost.claims) == ("2026-03-03", made.metadata["payoutId"])
        await later.service.restore_guard.release(ADMIN)
        await later.attend(timedelta(minutes=2))
        assert list(later.stripe.made_payouts) == [made.id]
        await later.attend(timedelta(days=1))
        later_ones = [one for one in later.stripe.made_payouts.values() if one.id != made.id]
        assert [one.amount for one in later_ones] == [Money(3_000, "usd")]
        assert later_ones[0].metadata["day"] == "2026-03-04"


async def test_m16_a_second_payout_of_a_day_is_booked_without_the_day(
    office: Office,
) -> None:
    await daily_vendor(office)
    await office.attend(TO_THE_HOUR)
    (made,) = office.stripe.made_payouts.values()
    metadata = {**made.metadata, "payoutId": "lost_one"}
    second = office.stripe.pay_out(OTHER, AMOUNT, automatic=False, metadata=metadata)
    body = office.stripe.event("evt_second", "payout.created", second, OTHER)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    seen = await office.service.payouts.get(second.id)
    assert (seen.status, seen.day, seen.claims) == (PayoutStatus.PENDING, None, "lost_one")
    kept = await office.service.store.inbox_event("evt_second")
    assert kept is not None
    assert kept.status is InboxStatus.APPLIED
    assert await office.service.verification.verify(lambda _: None) == []


async def test_m16_a_stranger_that_names_a_day_does_not_take_it(office: Office) -> None:
    await daily_vendor(office)
    metadata = {"day": "2026-03-03"}
    theirs = office.stripe.pay_out(OTHER, Money(1_000, "usd"), metadata=metadata)
    body = office.stripe.event("evt_theirs", "payout.created", theirs, OTHER)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    assert (await office.service.payouts.get(theirs.id)).day is None
    await office.attend(TO_THE_HOUR)
    (ours,) = [one for one in office.stripe.made_payouts.values() if one.id != theirs.id]
    assert (ours.metadata["day"], ours.amount) == ("2026-03-03", Money(4_000, "usd"))
