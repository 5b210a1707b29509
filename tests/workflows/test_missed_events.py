"""What Stripe lists and no webhook brought is taken, once, and told of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from roadcall_payments import telemetry
from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.errors import CredentialsRejected, StripeUnavailable
from roadcall_payments.domain.events import EventsCompared
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import StripeEvent
from roadcall_payments.measures import count_missed
from roadcall_payments.ports import CreatedWindow
from roadcall_payments.workflows.created_lists import EVENTS_KEPT
from roadcall_payments.workflows.missed_events import (
    FIRST_LOOK_BACK,
    GRACE,
    NOTED_EVERY,
    OVERLAP,
    MissedEvents,
)
from roadcall_payments.workflows.movements_switch import MOVEMENTS
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.fakes.money_back import CREATED
from tests.workflows.office import Office

EVERY_S = 900


def missed_events(office: Office, every_s: int = EVERY_S) -> MissedEvents:
    service = office.service
    return MissedEvents(
        service.gateway,
        service.clock,
        service.webhook_inbox,
        service.movements_switch,
        every_s,
        count_missed,
    )


def counted() -> float:
    return telemetry.REGISTRY.get_sample_value("roadcall_webhooks_missed_total") or 0.0


async def given_in_the_dashboard(office: Office) -> str:
    """A refund that nobody asked us for, and whose webhook never came; the payment's id."""
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    refund = office.stripe.refund(intent, 500)
    office.stripe.listed.append(office.stripe.event("evt_lost", "refund.created", refund))
    return payment_id


@pytest.fixture
def asked(office: Office) -> list[CreatedWindow]:
    """The windows for which Stripe's list was asked."""
    windows: list[CreatedWindow] = []
    events = office.stripe.events

    async def noted(created: CreatedWindow) -> Sequence[StripeEvent]:
        windows.append(created)
        return await events(created)

    office.stripe.events = noted  # type: ignore[method-assign] # the same list, and a note of it
    return windows


async def test_m16_a_refund_that_no_webhook_told_of_is_booked_once(office: Office) -> None:
    payment_id = await given_in_the_dashboard(office)
    missed, before = missed_events(office), counted()
    for _ in range(2):
        assert await missed.attend() == EVERY_S
        office.clock.advance(EVERY_S)
    payment = await office.payment(payment_id)
    assert [(one.status, one.amount.amount_cents) for one in payment.refunds] == [
        (RefundStatus.SUCCEEDED, 500)
    ]
    assert counted() == before + 1
    notes = [entry.fact for entry in await office.service.store.journal(MOVEMENTS)]
    assert [one.missed for one in notes if isinstance(one, EventsCompared)] == [1]


async def test_what_a_webhook_brought_is_not_missed(office: Office) -> None:
    await given_in_the_dashboard(office)
    before = counted()
    await office.service.webhook_inbox.take(office.stripe.listed[0], GOOD_SIGNATURE)
    await missed_events(office).attend()
    assert counted() == before


async def test_what_cannot_be_applied_yet_waits_in_the_inbox(office: Office) -> None:
    body = b"evt_odd"
    office.stripe.events_by_body[body] = StripeEvent(
        "evt_odd", "transfer.reversed", False, CREATED, None, "tr_odd", None, "it has no amount"
    )
    office.stripe.listed.append(body)
    await missed_events(office).attend()
    kept = await office.service.store.inbox_event("evt_odd")
    assert kept is not None
    assert kept.status is InboxStatus.WAITING


async def test_each_look_begins_where_the_last_one_ended_also_after_a_restart(
    office: Office, asked: list[CreatedWindow]
) -> None:
    missed = missed_events(office)
    await missed.attend()
    first = asked[-1]
    assert first.end == office.clock.now() - GRACE
    assert first.start == first.end - FIRST_LOOK_BACK
    office.clock.advance(EVERY_S)
    await missed.attend()
    assert asked[-1] == CreatedWindow(first.end - OVERLAP, office.clock.now() - GRACE)
    office.clock.advance(timedelta(days=9).total_seconds())
    await missed_events(office).attend()
    assert asked[-1] == CreatedWindow(first.end - OVERLAP, office.clock.now() - GRACE)
    office.clock.advance(timedelta(days=50).total_seconds())
    await missed_events(office).attend()
    assert asked[-1].end - asked[-1].start == EVENTS_KEPT


async def test_where_nothing_is_missed_the_journal_hears_of_it_now_and_then(
    office: Office,
) -> None:
    missed = missed_events(office)
    looks = int(NOTED_EVERY.total_seconds()) // EVERY_S
    for _ in range(2 * looks):
        await missed.attend()
        office.clock.advance(EVERY_S)
    assert len(await office.service.store.journal(MOVEMENTS)) == 2


async def test_while_stripe_is_away_nothing_is_asked_and_nothing_is_skipped(
    office: Office, asked: list[CreatedWindow]
) -> None:
    missed = missed_events(office)
    await missed.attend()
    end = asked[-1].end
    office.clock.advance(EVERY_S)
    office.stripe.down = StripeUnavailable("the breaker is open")
    assert await missed.attend() == EVERY_S
    assert len(asked) == 1
    office.stripe.down = None
    office.clock.advance(EVERY_S)
    await missed.attend()
    assert asked[-1].start == end - OVERLAP


async def test_a_key_that_is_rejected_is_told_of(office: Office) -> None:
    office.stripe.down = CredentialsRejected("rolled")
    with pytest.raises(CredentialsRejected):
        await missed_events(office).attend()


async def test_it_can_be_switched_off(office: Office, asked: list[CreatedWindow]) -> None:
    await missed_events(office, every_s=0).attend()
    assert asked == []
