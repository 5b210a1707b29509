"""A vendor that can receive again has its waiting shares at once, and need not wait an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import Commit, CommitResult, InboxStatus, InboxUpdate
from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.stripe_objects import AccountStatus
from roadcall_payments.ports import Queue
from tests.fakes.connected_accounts import ABLE, TO_ONBOARD
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.workflows.office import ACCOUNT, ADMIN, Office
from tests.workflows.settlement_reading import (
    SHARE,
    is_sound,
    open_settling_office,
    sent,
    settlement_of,
)

SECONDS = timedelta(seconds=6)


class Crash(Exception):
    """The process is gone."""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def waiting_shares(office: Office) -> list[str]:
    """Two payments to one vendor whose account Stripe lets nothing through to."""
    office.stripe.show(ACCOUNT, TO_ONBOARD)
    first = await office.completed()
    vendor_id = (await office.payment(first)).vendor_id
    second = await office.completed(vendor_id=vendor_id)
    await office.attend()
    for payment_id in (first, second):
        assert (await settlement_of(office, payment_id)).deferral is not None
    return [first, second]


async def told(office: Office, status: AccountStatus, event: str = "evt_account") -> InboxStatus:
    """Stripe says how the account stands now; what became of its event."""
    shown = office.stripe.show(ACCOUNT, status)
    body = office.stripe.event(event, "account.updated", shown, ACCOUNT)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    return await fate(office, event)


async def fate(office: Office, event: str = "evt_account") -> InboxStatus:
    kept = await office.service.store.inbox_event(event)
    assert kept is not None
    return kept.status


async def the_worker_goes_on(office: Office, after: timedelta = SECONDS) -> None:
    office.clock.advance(after.total_seconds())
    await office.service.worker.work(Queue.INBOX)


async def settled(office: Office, payments: list[str]) -> list[int]:
    return [(await settlement_of(office, one)).settled_cents for one in payments]


async def test_a_vendor_that_can_receive_again_has_its_shares_within_seconds(
    office: Office,
) -> None:
    payments = await waiting_shares(office)
    assert await told(office, ABLE) is InboxStatus.WAITING
    assert sent(office) == [], "Stripe waits for our answer: a worker does it"
    await the_worker_goes_on(office)
    assert sent(office) == [f"settlement_{one}" for one in payments], "the oldest first"
    assert await settled(office, payments) == [SHARE, SHARE]
    assert await fate(office) is InboxStatus.APPLIED
    await office.attend(timedelta(hours=3))
    assert len(sent(office)) == 2
    assert await is_sound(office)


async def test_news_of_a_vendor_that_cannot_receive_wake_nothing(office: Office) -> None:
    payments = await waiting_shares(office)
    assert await told(office, TO_ONBOARD) is InboxStatus.APPLIED
    await the_worker_goes_on(office)
    assert sent(office) == []
    assert await settled(office, payments) == [0, 0]


async def test_where_nothing_waits_the_event_is_applied_at_once(office: Office) -> None:
    payment_id = await office.completed()
    await office.attend()
    assert await told(office, ABLE) is InboxStatus.APPLIED
    assert sent(office) == [f"settlement_{payment_id}"]


async def test_a_crash_after_the_shares_went_out_sends_none_again(office: Office) -> None:
    payments = await waiting_shares(office)
    await told(office, ABLE)

    def crashes(commit: Commit) -> CommitResult | None:
        if isinstance(commit.inbox, InboxUpdate):
            raise Crash
        return None

    office.troubled.trouble = crashes
    await the_worker_goes_on(office)
    assert await fate(office) is InboxStatus.WAITING
    assert len(sent(office)) == 2
    office.troubled.trouble = None
    await the_worker_goes_on(office, timedelta(minutes=10))
    assert await fate(office) is InboxStatus.APPLIED
    assert len(sent(office)) == 2
    assert await settled(office, payments) == [SHARE, SHARE]


async def test_with_stripe_away_the_event_waits_and_the_shares_with_it(office: Office) -> None:
    payments = await waiting_shares(office)
    await told(office, ABLE)
    office.stripe.down = StripeUnavailable("Stripe is away.")
    await the_worker_goes_on(office)
    assert await fate(office) is InboxStatus.WAITING
    office.stripe.down = None
    await the_worker_goes_on(office, timedelta(minutes=1))
    assert await settled(office, payments) == [SHARE, SHARE]
    assert await fate(office) is InboxStatus.APPLIED


async def test_two_workers_that_try_it_at_once_send_it_once(office: Office) -> None:
    payments = await waiting_shares(office)
    await told(office, ABLE)
    office.clock.advance(3_601)
    work = office.service.worker.work
    await asyncio.gather(work(Queue.INBOX), work(Queue.ATTENTION))
    await office.attend(timedelta(minutes=1))
    assert await settled(office, payments) == [SHARE, SHARE]
    assert len(office.stripe.made_transfers) == 2
    assert await is_sound(office)


async def test_an_event_that_never_comes_costs_an_hour(office: Office) -> None:
    payments = await waiting_shares(office)
    office.stripe.show(ACCOUNT, ABLE)
    await office.attend(timedelta(minutes=59))
    assert sent(office) == []
    await office.attend(timedelta(minutes=2))
    assert await settled(office, payments) == [SHARE, SHARE]


async def test_while_movements_are_paused_the_event_wakes_nothing(office: Office) -> None:
    payments = await waiting_shares(office)
    await told(office, ABLE)
    await office.service.movements_switch.pause(ADMIN, "a drill")
    await the_worker_goes_on(office)
    assert sent(office) == []
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(hours=1))
    assert await settled(office, payments) == [SHARE, SHARE]
