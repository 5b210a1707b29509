"""A transfer that the platform's funds do not cover waits, in order, and goes by itself."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain import events as e
from roadcall_payments.domain.funding_events import QueueReason
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.ports import PaymentQuery, Queue, Refused, Unknown, UnknownReason
from roadcall_payments.workflows.idempotency import IdempotencyKey
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.workflows.office import APPROVER, DISPATCHER, Office, open_office

BACK_OFFICE = e.PayerType.BACK_OFFICE
TRANSFER = Operation.CREATE_TRANSFER
HIGH, NORMAL, LOW = e.Priority.HIGH, e.Priority.NORMAL, e.Priority.LOW
NO_FUNDS = Refused(StripeFailure("balance_insufficient", "Not enough."), 400, "req_x", False)


async def asked(
    office: Office,
    cents: int = 10_000,
    priority: e.Priority | None = None,
    currency: str = "usd",
) -> str:
    payment_id = await office.created(BACK_OFFICE, amount=Money(cents, currency))
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None, priority=priority)
    office.clock.advance(1)
    return payment_id


async def queue(office: Office) -> list[str]:
    return [one.payment_id for one in await office.service.transfers.queue()]


async def test_what_the_funds_do_not_cover_waits_and_goes_when_they_come(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 9_999
    payment_id = await asked(office)
    payment = await office.payment(payment_id)
    assert (payment.status, payment.queued) == (Status.APPROVED, True)
    assert payment.funding is not None
    assert payment.funding.reason is QueueReason.INSUFFICIENT_FUNDS
    assert (payment.funding.needed, payment.funding.available) == (
        Money(10_000, "usd"),
        Money(9_999, "usd"),
    )
    assert office.stripe.sent == []
    await office.service.transfers.attend()
    assert (await office.payment(payment_id)).queued

    office.stripe.platform_funds["usd"] = 10_000
    await office.service.transfers.attend()
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    facts = await office.facts(payment_id)
    assert facts[-4:] == [
        "TransferQueued",
        "TransferReleased",
        "ProcessingStarted",
        "PaymentCompleted",
    ]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_it_stays_above_the_reserve(tmp_path: Path) -> None:
    reserve = {"*": 500, "jpy": 0}
    async with open_office(tmp_path, funds_reserve_cents=reserve) as office:
        office.stripe.platform_funds.update(usd=10_499, jpy=10_000, kwd=10_500)
        waits = await asked(office)
        for currency in ("jpy", "kwd"):
            done = await asked(office, currency=currency)
            assert (await office.payment(done)).status is Status.COMPLETED
        office.stripe.platform_funds["usd"] += 1
        assert await office.service.transfers.release() == 1
        assert (await office.payment(waits)).status is Status.COMPLETED


async def test_the_order_is_priority_then_age_and_nobody_overtakes(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    big = await asked(office, 50_000)
    later = await asked(office, 1_000)
    urgent = await asked(office, 2_000, HIGH)
    patient = await asked(office, 1_000, LOW)
    assert await queue(office) == [urgent, big, later, patient]
    # There is enough for the small ones, but a big one waits before them.
    office.stripe.platform_funds["usd"] = 10_000
    assert await office.service.transfers.release() == 1
    assert await queue(office) == [big, later, patient]
    newcomer = await asked(office, 1_000)
    funding = (await office.payment(newcomer)).funding
    assert funding is not None
    assert funding.reason is QueueReason.BEHIND_OTHERS
    # Whoever asks with more urgency than all who wait goes at once.
    assert (await office.payment(await asked(office, 1_000, HIGH))).status is Status.COMPLETED
    office.stripe.platform_funds["usd"] = 53_000
    assert await office.service.transfers.release() == 4
    assert await queue(office) == []


async def test_asking_again_keeps_the_place_or_takes_another_by_priority(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    first, second = await asked(office), await asked(office)
    key = IdempotencyKey("us_1 process", "key", "digest")
    for _ in range(2):
        answer = await office.service.payments.process(DISPATCHER, second, None, key)
        assert (answer.status, answer.payment.queued) == (202, True)
    assert await queue(office) == [first, second]
    await office.service.payments.process(DISPATCHER, second, None, priority=HIGH)
    assert await queue(office) == [second, first]
    office.stripe.platform_funds["usd"] = 20_000
    await office.service.transfers.release()
    answer = await office.service.payments.process(DISPATCHER, second, None, key)
    assert (answer.status, answer.payment.status) == (200, Status.COMPLETED)


async def test_m6_funds_taken_by_somebody_else_put_it_back_under_a_new_key(office: Office) -> None:
    office.stripe.script(TRANSFER, NO_FUNDS)
    payment_id = await asked(office)
    payment = await office.payment(payment_id)
    assert (payment.status, payment.queued, payment.failure) == (Status.APPROVED, True, None)
    assert payment.funding is not None
    assert payment.funding.reason is QueueReason.REFUSED_BY_STRIPE
    # It rests a little, or it would ask Stripe all the time.
    assert await office.service.transfers.release() == 0
    office.clock.advance(60)
    assert await office.service.transfers.release() == 1
    first, second = office.stripe.sent
    assert second.idempotency_key == f"{first.idempotency_key}_2"
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    assert len(office.stripe.made_transfers) == 1


@pytest.mark.parametrize("later", [None, LOW])
async def test_a_refused_transfer_waits_with_the_priority_it_was_asked_with(
    office: Office, later: e.Priority | None
) -> None:
    office.stripe.script(TRANSFER, NO_FUNDS)
    urgent = await asked(office, priority=HIGH)
    office.stripe.platform_funds["usd"] = 0
    other = await asked(office)
    assert await queue(office) == [urgent, other]
    if later is not None:
        await office.service.payments.process(DISPATCHER, urgent, None, priority=later)
        assert await queue(office) == [other, urgent]
    funding = (await office.payment(urgent)).funding
    assert funding is not None
    assert funding.priority is (later or HIGH)


async def test_a_refused_transfer_keeps_the_age_it_waits_with(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    first, second = await asked(office), await asked(office)
    office.stripe.platform_funds["usd"] = 10_000
    office.stripe.script(TRANSFER, NO_FUNDS)
    await office.service.transfers.release()
    assert await queue(office) == [first, second], "it is not put behind those that came later"


async def test_what_waits_can_be_cancelled(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    payment_id = await asked(office)
    answer = await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    assert answer.payment.status is Status.CANCELLED
    office.stripe.platform_funds["usd"] = 10**9
    assert await office.service.transfers.release() == 0
    assert await queue(office) == []
    assert office.stripe.sent == []


async def test_two_workers_release_no_more_than_the_funds_cover(office: Office) -> None:
    """Stripe's balance shows a transfer only once it is made: each sees the others' calls."""
    office.stripe.platform_funds["usd"] = 0
    for _ in range(6):
        await asked(office, 10_000)
    office.stripe.platform_funds["usd"] = 30_000
    await asyncio.gather(*(office.service.transfers.release() for _ in range(3)))
    assert office.stripe.platform_funds["usd"] == 0
    assert len(office.stripe.made_transfers) == 3
    assert len(await queue(office)) == 3


async def test_an_open_transfer_counts_until_its_end_is_known(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    first, second = await asked(office), await asked(office)
    office.stripe.platform_funds["usd"] = 10_000
    office.stripe.lose_answer(TRANSFER)
    await office.service.transfers.release()
    # Made and unheard of: the balance shows it already, so it is taken off twice for a while.
    office.stripe.platform_funds["usd"] = 10_000
    assert await office.service.transfers.release() == 0
    await office.attend(timedelta(seconds=31))
    assert (await office.payment(first)).status is Status.COMPLETED
    assert await office.service.transfers.release() == 1
    assert (await office.payment(second)).status is Status.COMPLETED


async def test_stripes_word_of_new_funds_releases_at_once(office: Office) -> None:
    body = json.dumps({"id": "evt_1", "type": "balance.available"}).encode()
    office.stripe.platform_funds["usd"] = 0
    payment_id = await asked(office)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    # Stripe waits for the answer: the transfer is a worker's.
    assert (await office.payment(payment_id)).queued
    office.stripe.platform_funds["usd"] = 10_000
    office.clock.advance(6)
    await office.service.worker.work(Queue.INBOX)
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    kept = await office.service.store.inbox_event("evt_1")
    assert kept is not None
    assert kept.status is InboxStatus.KEPT


async def test_m18_nothing_is_released_while_movements_are_held(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 0
    payment_id = await asked(office)
    office.stripe.platform_funds["usd"] = 10_000
    await office.service.movements_switch.pause(APPROVER, "drill")
    assert await office.service.transfers.release() == 0
    await office.service.movements_switch.resume(APPROVER)
    assert await office.service.transfers.release() == 1
    assert (await office.payment(payment_id)).status is Status.COMPLETED


@pytest.mark.parametrize("queued", [True, False])
async def test_it_is_listed(office: Office, queued: bool) -> None:
    office.stripe.platform_funds["usd"] = 10_000
    await asked(office)
    payment_id = await asked(office)
    page = await office.service.store.payments(PaymentQuery(queued=queued))
    assert ([one.id for one in page.items] == [payment_id]) is queued


async def test_what_is_under_way_is_not_taken_from_the_reserve(tmp_path: Path) -> None:
    async with open_office(tmp_path, funds_reserve_cents={"*": 10_000}) as office:
        office.stripe.platform_funds["usd"] = 20_000
        office.stripe.script(TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer"))
        first, second = await asked(office), await asked(office)
        assert (await office.payment(first)).status is Status.PROCESSING
        assert (await office.payment(second)).queued, "what is left belongs to the first"


async def test_nothing_is_released_while_transfers_are_switched_off(office: Office) -> None:
    office.stripe.platform_funds["usd"] = 1
    payment_id = await asked(office)
    office.stripe.platform_funds["usd"] = 10**9
    office.stripe.connect = False
    await office.service.transfers.attend()
    assert (await office.payment(payment_id)).queued
    office.stripe.connect = True
    await office.service.transfers.attend()
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def approved(office: Office, vendor_id: str | None = None) -> str:
    payment_id = await office.created(BACK_OFFICE, vendor_id, Money(10_000, "usd"))
    await office.service.approvals.approve(APPROVER, payment_id)
    return payment_id


async def test_transfers_asked_for_at_once_leave_the_reserve(tmp_path: Path) -> None:
    async with open_office(tmp_path, funds_reserve_cents={"*": 10_000}) as office:
        office.stripe.platform_funds["usd"] = 39_999
        payments = [await approved(office) for _ in range(4)]
        process = office.service.payments.process
        office.stripe.looks_meet = asyncio.Barrier(len(payments))
        await asyncio.gather(*(process(DISPATCHER, one, None) for one in payments))
        # One that is under way while the balance shows it already is counted twice, and waits.
        assert office.stripe.platform_funds["usd"] in (19_999, 29_999)
        await office.service.transfers.release()
        assert office.stripe.platform_funds["usd"] == 19_999
        assert len(await queue(office)) == 2
        assert await office.service.verification.verify(lambda _: None) == []


async def test_a_release_and_a_more_urgent_transfer_at_once_leave_the_reserve(
    tmp_path: Path,
) -> None:
    """They start different payments, so that no stream of theirs keeps them apart."""
    async with open_office(tmp_path, funds_reserve_cents={"*": 10_000}) as office:
        office.stripe.platform_funds["usd"] = 0
        waits = await asked(office)
        urgent = await approved(office)
        office.stripe.platform_funds["usd"] = 20_000
        office.stripe.looks_meet = asyncio.Barrier(2)
        await asyncio.gather(
            office.service.transfers.release(),
            office.service.payments.process(DISPATCHER, urgent, None, priority=HIGH),
        )
        assert office.stripe.platform_funds["usd"] == 10_000
        (left,) = await queue(office)
        assert left in (waits, urgent)
