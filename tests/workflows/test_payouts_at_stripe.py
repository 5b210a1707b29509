"""What Stripe tells of payouts, ours and its own: one movement, one stream."""

from __future__ import annotations

from datetime import timedelta

import pytest

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Channel
from tests.fakes.gateway import Read
from tests.workflows.office import ACCOUNT, ADMIN, Office
from tests.workflows.payout_reading import (
    AMOUNT,
    PAYOUT,
    TIMEOUT,
    bank_told,
    book,
    facts,
    payout_of,
    requested,
    vendor_with,
)

DAY = timedelta(days=1)


async def test_an_event_before_the_answer_claims_the_open_payout(office: Office) -> None:
    vendor_id = await vendor_with(office)

    async def told_early() -> None:
        (made,) = office.stripe.made_payouts.values()
        body = office.stripe.event("evt_1", "payout.created", made, ACCOUNT)
        await office.service.webhook_inbox.take(body, "t=1,v1=good")

    office.stripe.during(PAYOUT, told_early)
    payout = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    assert await facts(office, payout.id) == ["PayoutRequested", "PayoutOpened"]
    kept = await office.service.store.inbox_event("evt_1")
    assert kept is not None
    assert (kept.status, kept.stream) == ("applied", f"payout/{payout.id}")
    assert await office.service.store.load(f"payout/{payout.stripe_payout}") is None


@pytest.mark.parametrize("differs", ["amount", "account", "unknown id"])
async def test_m13_a_stranger_with_our_metadata_is_booked_as_its_own(
    office: Office, differs: str
) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, TIMEOUT)
    ours = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    claimed = "po_nobodys" if differs == "unknown id" else ours.id
    account = "acct_else" if differs == "account" else ACCOUNT
    amount = Money(3_000, "usd") if differs == "amount" else AMOUNT
    metadata = {"purpose": "payout", "payoutId": claimed}
    stranger = office.stripe.pay_out(account, amount, automatic=False, metadata=metadata)
    body = office.stripe.event("evt_1", "payout.created", stranger, account)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    assert (await payout_of(office, ours.id)).answer_open
    seen = await payout_of(office, stranger.id)
    assert (seen.status, seen.claims, seen.request) == (PayoutStatus.PENDING, claimed, None)


async def test_m16_an_automatic_payout_is_followed_in_a_stream_of_its_own(office: Office) -> None:
    vendor_id = await vendor_with(office)
    made = office.stripe.pay_out(ACCOUNT, Money(2_500, "usd"))
    for status in (Theirs.PENDING, Theirs.IN_TRANSIT, Theirs.PAID):
        shown = office.stripe.payout_becomes(made.id, status)
        body = office.stripe.event(f"evt_{status}", "payout.updated", shown, ACCOUNT)
        await office.service.webhook_inbox.take(body, "t=1,v1=good")
    assert await facts(office, made.id) == ["PayoutObserved", "PayoutInTransit", "PayoutPaid"]
    assert (await payout_of(office, made.id)).automatic
    assert await book(office) == {"bank": 2_500, "stripe_balance": -2_500}
    assert vendor_id


async def test_events_in_any_order_move_a_payout_forwards_only(office: Office) -> None:
    payout = await requested(office)
    early = office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.IN_TRANSIT)
    await bank_told(office, payout, Theirs.PAID)
    body = office.stripe.event("evt_late", "payout.updated", early, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    assert (await payout_of(office, payout.id)).status is PayoutStatus.PAID
    await bank_told(office, payout, Theirs.FAILED, "no_account")
    late_paid = office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.PAID)
    body = office.stripe.event("evt_paid_again", "payout.paid", late_paid, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    assert (await payout_of(office, payout.id)).status is PayoutStatus.FAILED
    assert await book(office) == {}


async def test_m15_a_failure_applies_from_the_payout_fetched(office: Office) -> None:
    payout = await requested(office)
    failed = office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.FAILED, "no_account")
    office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.IN_TRANSIT)
    body = office.stripe.event("evt_1", "payout.failed", failed, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    assert (await payout_of(office, payout.id)).status is PayoutStatus.IN_TRANSIT


async def test_a_payouts_lost_events_are_made_up_for_by_looking(office: Office) -> None:
    payout = await requested(office)
    office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.PAID)
    await office.attend(timedelta(days=3))
    assert (await payout_of(office, payout.id)).status is PayoutStatus.PAID
    assert payout.arrival is not None


async def paid(office: Office) -> Payout:
    payout = await requested(office)
    for status in (Theirs.IN_TRANSIT, Theirs.PAID):
        await bank_told(office, payout, status)
    return await payout_of(office, payout.id)


@pytest.mark.parametrize("days", [0, 1, 3, 7, 13])
async def test_a_payout_that_came_back_and_whose_event_never_came_is_found(
    office: Office, days: int
) -> None:
    payout = await paid(office)
    for _ in range(days):
        await office.attend(DAY)
    office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.FAILED, "account_closed")
    for _ in range(2 * days + 2):
        await office.attend(DAY)
    payout = await payout_of(office, payout.id)
    assert (payout.status, payout.failure_code) == (PayoutStatus.FAILED, "account_closed")
    assert await book(office) == {}
    assert await office.service.verification.verify(lambda _: None) == []


async def test_a_paid_payout_is_looked_at_less_and_less_often_until_it_cannot_come_back(
    office: Office,
) -> None:
    payout = await paid(office)
    looks: list[timedelta] = []

    async def looked() -> None:
        looks.append(office.clock.now() - (payout.paid_at or office.clock.now()))
        office.stripe.during(Read.PAYOUT, looked)

    office.stripe.during(Read.PAYOUT, looked)
    for _ in range(30):
        await office.attend(DAY)
    assert [look.days for look in looks] == [1, 2, 4, 8, 14]
    assert (await facts(office, payout.id))[-2:] == ["PayoutPaid", "PayoutReturnPeriodEnded"]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_a_failure_after_the_looking_has_ended_is_taken_all_the_same(
    office: Office,
) -> None:
    payout = await paid(office)
    for _ in range(15):
        await office.attend(DAY)
    await bank_told(office, payout, Theirs.FAILED, "account_closed")
    assert (await payout_of(office, payout.id)).status is PayoutStatus.FAILED
    assert await book(office) == {}


async def test_a_look_that_stripe_does_not_answer_is_made_again_soon(office: Office) -> None:
    payout = await paid(office)
    office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.FAILED, "account_closed")
    office.stripe.down = StripeUnavailable("down")
    await office.attend(DAY)
    office.stripe.down = None
    await office.attend(timedelta(minutes=2))
    assert (await payout_of(office, payout.id)).status is PayoutStatus.FAILED


async def test_payouts_from_before_the_vendor_are_the_vendors_once_it_has_the_account(
    office: Office,
) -> None:
    made = office.stripe.pay_out(ACCOUNT, Money(2_500, "usd"))
    body = office.stripe.event("evt_1", "payout.created", made, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    vendor_id, another = await office.vendor(), await office.vendor("acct_another")
    statement = office.service.payout_statement
    owned = await statement.owned(await payout_of(office, made.id))
    assert owned.vendor_id == vendor_id
    assert [one.id for one in (await statement.payouts(vendor_id, None, 10)).items] == [made.id]
    assert (await statement.payouts(another, None, 10)).items == ()
    for status in (Theirs.IN_TRANSIT, Theirs.PAID):
        shown = office.stripe.payout_becomes(made.id, status)
        body = office.stripe.event(f"evt_{status}", "payout.updated", shown, ACCOUNT)
        await office.service.webhook_inbox.take(body, "t=1,v1=good")
    await office.service.worker.work_off()
    told = [one.content.subject for one in office.sent(Channel.EMAIL)]
    assert told == ["$25.00 is on its way to your bank", "$25.00 has been paid to your bank"]
