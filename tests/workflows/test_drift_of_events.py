"""M18, M19: no hold is lifted over an event that is not in the books, nor over a gap in silence."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.errors import StatusForbids, StripeUnavailable
from roadcall_payments.domain.stripe_objects import Refund
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.workflows.webhook_delivery import ATTEMPTS_MAX
from tests.workflows.office import ADMIN, Office
from tests.workflows.test_drift_repair import backed_up, repaired, restored


async def pending_refund(office: Office, payment_id: str) -> Refund:
    """Made at Stripe; that it is pending applies from a fresh list alone (M15)."""
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    return office.stripe.refund(intent, 3_000, status=Theirs.PENDING)


async def fate(office: Office, event_id: str) -> InboxStatus:
    kept = await office.service.store.inbox_event(event_id)
    assert kept is not None
    return kept.status


@pytest.mark.parametrize("delivered", [False, True], ids=["replayed", "delivered while held"])
async def test_the_hold_stays_until_every_event_is_in_the_books(
    office: Office, tmp_path: Path, delivered: bool
) -> None:
    payment_id = await office.completed()
    backup = backed_up(tmp_path)
    made = await pending_refund(office, payment_id)
    office.stripe.listed.append(office.stripe.event("evt_1", "refund.created", made))
    async with restored(office, tmp_path, backup) as later:
        later.stripe.lists_down = StripeUnavailable("down")
        if delivered:
            await later.told("evt_1", "refund.created", made)
        for _ in range(2):
            report = await repaired(later)
            assert [line.object_id for line in report.problems] == ["evt_1"]
            assert await fate(later, "evt_1") is InboxStatus.WAITING
        with pytest.raises(StatusForbids):
            await later.service.restore_guard.release(ADMIN)
        later.stripe.lists_down = None
        assert (await repaired(later)).passed
        assert await fate(later, "evt_1") is InboxStatus.APPLIED
        assert [one.id for one in (await later.payment(payment_id)).refunds] == [made.id]
        await later.service.restore_guard.release(ADMIN)


async def test_an_event_whose_retries_were_used_up_since_the_restore_keeps_the_hold(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        later.stripe.lists_down = StripeUnavailable("down")
        await given_up(later, "evt_1", await pending_refund(later, payment_id))
        report = await repaired(later)
        assert [line.object_id for line in report.problems] == ["evt_1"]
        later.stripe.lists_down = None
        assert (await repaired(later)).passed
        assert await fate(later, "evt_1") is InboxStatus.APPLIED


async def test_what_waited_for_a_person_before_the_backup_is_told_of_and_keeps_no_hold(
    office: Office, tmp_path: Path
) -> None:
    """No restore lost it, and it may be one that can never be applied."""
    payment_id = await office.completed()
    office.stripe.lists_down = StripeUnavailable("down")
    await given_up(office, "evt_1", await pending_refund(office, payment_id))
    office.clock.advance(timedelta(hours=1).total_seconds())
    await office.completed()
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        report = await repaired(later)
        assert report.passed
        (warning,) = report.warnings
        assert "evt_1" in warning
        assert await fate(later, "evt_1") is InboxStatus.REVIEW


async def given_up(office: Office, event_id: str, about: Refund) -> None:
    await office.told(event_id, "refund.created", about)
    for _ in range(ATTEMPTS_MAX):
        await office.service.webhook_inbox.retry_now(event_id)
    assert await fate(office, event_id) is InboxStatus.REVIEW


async def test_a_backup_older_than_stripes_events_says_what_was_not_looked_at(
    office: Office, tmp_path: Path
) -> None:
    await office.completed()
    backup = backed_up(tmp_path)
    async with restored(office, tmp_path, backup) as later:
        later.clock.advance(timedelta(days=29).total_seconds())
        assert (await repaired(later)).warnings == []
        later.clock.advance(timedelta(days=2).total_seconds())
        (warning,) = (await repaired(later)).warnings
        assert "by hand" in warning
