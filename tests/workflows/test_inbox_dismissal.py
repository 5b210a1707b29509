"""An event that can never be applied is put aside by a person, by name (M18, M19)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.errors import (
    CredentialsRejected,
    InvalidInput,
    NotFound,
    StatusForbids,
    StripeUnavailable,
    TransientError,
)
from roadcall_payments.domain.events import InboxEventDismissed, PayerType
from roadcall_payments.domain.stripe_objects import RefundStatus, StripeEvent
from roadcall_payments.workflows.movements_switch import MOVEMENTS
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.fakes.money_back import CREATED
from tests.workflows.office import ADMIN, DISPATCHER, Office
from tests.workflows.test_drift_repair import backed_up, repaired, restored

UNREADABLE = "it has no amount"


async def unreadable(office: Office, event_id: str = "evt_odd") -> str:
    """An event about an object that cannot be understood, which waits."""
    body = event_id.encode()
    office.stripe.events_by_body[body] = StripeEvent(
        event_id, "transfer.reversed", False, CREATED, None, "tr_odd", None, UNREADABLE
    )
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    return event_id


async def dismiss(office: Office, event_id: str, reason: str = "the shop's own") -> InboxStatus:
    event = await office.service.inbox_dismissal.dismiss(ADMIN, event_id, reason)
    return event.status


async def status_of(office: Office, event_id: str) -> InboxStatus:
    event = await office.service.store.inbox_event(event_id)
    assert event is not None
    return event.status


async def test_m19_the_journal_keeps_who_put_it_aside_and_why(office: Office) -> None:
    event_id = await unreadable(office)
    assert await dismiss(office, event_id) is InboxStatus.DISMISSED
    (entry,) = await office.service.store.journal(MOVEMENTS)
    assert entry.fact == InboxEventDismissed(
        str(ADMIN), event_id, "transfer.reversed", "the shop's own", UNREADABLE
    )
    assert entry.actor == str(ADMIN)
    assert await office.service.movements_switch.held() is False


async def test_what_was_put_aside_is_never_tried_again(office: Office) -> None:
    event_id = await unreadable(office)
    await dismiss(office, event_id)
    assert not await office.service.webhook_inbox.retry_now(event_id)
    office.clock.advance(7 * 86_400)
    await office.service.worker.work_off()
    await unreadable(office)
    assert await status_of(office, event_id) is InboxStatus.DISMISSED
    assert await dismiss(office, event_id, "once more") is InboxStatus.DISMISSED
    assert len(await office.service.store.journal(MOVEMENTS)) == 1


async def test_what_can_be_applied_is_applied_and_not_put_aside(office: Office) -> None:
    event_id = await unreadable(office)
    body = event_id.encode()
    event = office.stripe.events_by_body[body]
    office.stripe.events_by_body[body] = replace(event, untranslatable=None)
    assert await dismiss(office, event_id) is InboxStatus.KEPT
    assert await office.service.store.journal(MOVEMENTS) == []


async def test_it_takes_an_event_and_a_reason(office: Office) -> None:
    event_id = await unreadable(office)
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(InvalidInput) as refused:
            await dismiss(office, event_id, reason)
        assert refused.value.field == "reason"
    with pytest.raises(NotFound):
        await dismiss(office, "evt_nowhere")
    assert await status_of(office, event_id) is InboxStatus.WAITING


async def test_m18_a_hold_is_lifted_over_what_was_put_aside_and_over_nothing_else(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        first, second = await unreadable(later, "evt_1"), await unreadable(later, "evt_2")
        assert [line.object_id for line in (await repaired(later)).problems] == [first, second]
        await dismiss(later, first)
        assert [line.object_id for line in (await repaired(later)).problems] == [second]
        with pytest.raises(StatusForbids):
            await later.service.restore_guard.release(ADMIN)
        await dismiss(later, second)
        assert (await repaired(later)).passed
        await later.service.restore_guard.release(ADMIN)
        await later.service.payments.process(DISPATCHER, payment_id, None)
        assert len(later.stripe.made_transfers) == 1


@pytest.mark.parametrize(
    "down", [StripeUnavailable("Stripe does not answer."), CredentialsRejected("No key.")]
)
async def test_what_could_not_be_tried_is_not_put_aside_but_on_purpose(
    office: Office, down: TransientError
) -> None:
    """The refund is the payment's, and only Stripe can say what became of it."""
    payment_id = await office.completed()
    [intent] = office.stripe.intents
    refund = office.stripe.refund(intent, 2_000, status=RefundStatus.PENDING)
    office.stripe.lists_down = down
    await office.told("evt_1", "refund.created", refund)
    with pytest.raises(StripeUnavailable, match="could not be tried") as refused:
        await dismiss(office, "evt_1")
    assert refused.value.retry_after_s == 60
    assert await status_of(office, "evt_1") is InboxStatus.WAITING
    aside = await office.service.inbox_dismissal.dismiss(
        ADMIN, "evt_1", "the account is closed", untried=True
    )
    assert aside.status is InboxStatus.DISMISSED
    office.stripe.lists_down = None
    await office.told("evt_2", "refund.updated", refund)
    assert (await office.payment(payment_id)).refunds != ()
