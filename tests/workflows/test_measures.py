"""The numbers an operator looks at: counted once, whoever commits, and gauges set in one place."""

from __future__ import annotations

from datetime import timedelta

from roadcall_payments.commit import Commit, InboxEvent, InboxInsert, InboxStatus
from roadcall_payments.domain.events import PayerType
from roadcall_payments.measures import FRESH_S, LEDGER_EVERY_S
from roadcall_payments.ports import Queue
from roadcall_payments.telemetry import REGISTRY
from tests.workflows.office import ADMIN, DISPATCHER, Office


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"roadcall_{name}", labels) or 0.0


async def test_a_payment_is_counted_when_it_is_committed_and_only_then(office: Office) -> None:
    before = {
        status: sample("payments_total", status=status)
        for status in ("pending_approval", "approved", "processing", "completed")
    }
    timed = sample("payment_processing_seconds_count")
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    # Published, twice over: that counts nothing.
    await office.service.worker.work_off()
    assert {
        status: sample("payments_total", status=status) - count for status, count in before.items()
    } == dict.fromkeys(before, 1.0)
    assert sample("payment_processing_seconds_count") == timed + 1


async def test_processing_time_is_told_by_the_process_that_ends_it(office: Office) -> None:
    """The start may have been another process's: it stands in the payment."""
    payment_id = await office.opened()
    took = sample("payment_processing_seconds_sum")
    office.clock.advance(90)
    await office.service.payments.confirm(DISPATCHER, payment_id, "pm_card_visa")
    assert sample("payment_processing_seconds_sum") == took + 90


async def test_the_gauges_say_what_waits_and_for_how_long(office: Office) -> None:
    await office.created(PayerType.BACK_OFFICE)
    office.clock.advance(90)
    (claim, *_) = await office.service.store.claim(
        Queue.OUTBOX, now=office.clock.now(), lease_s=60, limit=1, worker="w"
    )
    await office.service.store.park(claim, now=office.clock.now(), reason="the bus is down")
    event = InboxEvent(
        "evt_1", "payout.paid", "platform", office.clock.now(), b"{}", InboxStatus.REVIEW
    )
    await office.service.store.commit([Commit(inbox=InboxInsert(event))])
    office.clock.advance(60)
    await office.service.measures.refresh()
    assert sample("queue_parked", queue="outbox") == 1
    assert sample("queue_oldest_dead_letter_age_seconds", queue="outbox") == 60
    assert sample("queue_oldest_age_seconds", queue="outbox") == 150
    assert sample("inbox_review") == 1


async def test_the_gauges_tell_a_pause_from_a_hold(office: Office) -> None:
    await office.service.movements_switch.pause(ADMIN, "a drill")
    await office.service.measures.refresh()
    assert (sample("movements_paused"), sample("movements_held")) == (1, 0)
    await office.service.movements_switch.resume(ADMIN)
    await office.service.restore_guard.hold(ADMIN, "restored")
    office.clock.advance(timedelta(seconds=FRESH_S).total_seconds())
    await office.service.measures.refresh()
    assert (sample("movements_paused"), sample("movements_held")) == (0, 1)


async def test_scrapes_that_come_together_are_answered_from_one_look(office: Office) -> None:
    await office.service.measures.refresh()
    await office.service.movements_switch.pause(ADMIN, "a drill")
    await office.service.measures.refresh()
    assert sample("movements_paused") == 0
    office.clock.advance(FRESH_S)
    await office.service.measures.refresh()
    assert sample("movements_paused") == 1


async def test_the_ledger_is_summed_by_the_clock_and_balances(office: Office) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    assert await office.service.measures.balance() == LEDGER_EVERY_S
    assert REGISTRY.get_sample_value("roadcall_ledger_imbalance_cents", {"currency": "usd"}) == 0
