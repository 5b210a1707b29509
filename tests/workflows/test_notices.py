"""Who is told what: the right people, once, truly, and nobody whose address was erased."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import FinalError, TransientError
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.publication import published_name
from roadcall_payments.ports import Channel, Queue
from roadcall_payments.workflows.notices import EVENT_NAMES
from roadcall_payments.workflows.vendors import Contacts
from tests.workflows.town import (
    APPROVED,
    EVERYWHERE,
    HIGH_RISK,
    LOW_RISK,
    REFUSED,
    REVERSED,
    STARTED,
    Town,
    completed,
)


async def test_a_completed_transfer_reaches_the_vendor_on_every_channel(town: Town) -> None:
    await town.register(EVERYWHERE)
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    assert sorted(town.sent()) == [
        (Channel.EMAIL, "tow@example.com"),
        (Channel.PUSH, "push-device-7"),
        (Channel.SMS, "+15551234567"),
    ]
    (mail,) = town.mail()
    assert mail.content.subject == "We have sent $125.00 to your Stripe account"
    assert "Hello Tow & Go," in mail.content.text
    (sms,) = town.channels[Channel.SMS].sent
    assert "We have sent $125.00" in sms.content.text


async def test_a_drivers_payment_is_not_called_the_vendors_money(town: Town) -> None:
    await town.register(EVERYWHERE)
    story = (LOW_RISK, APPROVED, STARTED, completed(e.PayerType.DRIVER_IC))
    await town.happened(*story, payer_type=e.PayerType.DRIVER_IC)
    await town.worker.work_off()
    assert len(town.sent()) == 3
    for box in town.channels.values():
        for message in box.sent:
            words = message.content.text
            assert "The driver has paid $125.00" in words
            assert "our money follows" in words
            assert "We have sent" not in words


async def test_only_channels_with_an_address_are_used(town: Town) -> None:
    await town.register(Contacts("Tow & Go", None, "+15551234567", None))
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    assert town.sent() == [(Channel.SMS, "+15551234567")]


async def test_events_published_again_send_nothing_again(town: Town) -> None:
    await town.register(EVERYWHERE)
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    for event in town.heard:
        if event.name in EVENT_NAMES:
            await town.notices.plan(event)
            await town.notices.plan(event)
    await town.worker.work_off()
    assert len(town.sent()) == 3


@pytest.mark.parametrize(
    ("facts", "told", "words"),
    [
        ([LOW_RISK], ["approver@example.com", "second@example.com"], "waits for approval"),
        ([HIGH_RISK], ["reviewer@example.com"], "amount over limit"),
        (
            [HIGH_RISK, e.ReviewCleared("admin:ada", None)],
            ["approver@example.com", "reviewer@example.com", "second@example.com"],
            "",
        ),
        (
            [HIGH_RISK, e.ReviewBlocked("admin:ada", None)],
            ["office@example.com", "reviewer@example.com"],
            "",
        ),
        (
            [e.PaymentRejected("admin:ada", None)],
            ["office@example.com", "tow@example.com"],
            "The payment of",
        ),
        ([APPROVED, STARTED, REFUSED], ["office@example.com"], "Not enough funds."),
        (
            [APPROVED, STARTED, e.AttemptVoided(1, "it never reached Stripe")],
            ["office@example.com"],
            "it never reached Stripe",
        ),
        (
            [APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE), REVERSED],
            ["office@example.com", "tow@example.com", "tow@example.com"],
            "$",
        ),
        (
            [e.StrayMoneyObserved("ch_9", "charge", Money(700, "usd"), "acct_p", "why", "refund")],
            ["ops@example.com"],
            "ch_9",
        ),
        ([e.AnomalyRecorded("odd_account", "its account differs")], ["ops@example.com"], "odd"),
    ],
)
async def test_the_right_people_are_told(
    town: Town, facts: list[e.Fact], told: list[str], words: str
) -> None:
    await town.register(Contacts("Tow & Go", "tow@example.com", None, None))
    await town.happened(*facts)
    await town.worker.work_off()
    assert sorted(message.to for message in town.mail()) == told
    assert all(words in message.content.text for message in town.mail())


async def test_a_failed_payout_is_told_with_its_reason(town: Town) -> None:
    failed = e.PayoutFailed(
        "po_1", "acct_v", Money(9_900, "kwd"), "account_closed", "Closed.", "evt_1", False
    )
    await town.write(stream_of("payout", "po_1"), failed)
    await town.worker.work_off()
    (mail,) = town.mail()
    assert mail.to == "office@example.com"
    assert mail.content.subject == "Payout po_1 of KWD9.900 failed"
    assert "account_closed" in mail.content.text


async def test_nobody_is_asked_to_approve_what_is_decided(town: Town) -> None:
    stream = await town.happened(LOW_RISK)
    await town.write(stream, APPROVED)
    await town.worker.work_off()
    assert town.sent() == []
    assert await town.store.dead_letters() == []


async def test_the_reader_is_written_to_in_their_language(town: Town) -> None:
    await town.register(Contacts("Grúas Sol", "sol@example.com", None, None), locale="es-ES")
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    (mail,) = town.mail()
    assert mail.content.subject == "Hemos enviado 125,00\xa0US$ a su cuenta de Stripe"


async def test_contacts_that_vanished_are_told_nothing(town: Town) -> None:
    await town.register(EVERYWHERE)
    town.channels[Channel.EMAIL].failures = [TransientError("later")]
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    await town.register(Contacts("Tow & Go", None, "+15551234567", None))
    town.clock.advance(10)
    assert await town.worker.work_off() > 0
    assert town.mail() == []
    assert await town.store.dead_letters() == []


async def test_an_unknown_vendor_is_no_error(town: Town) -> None:
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE))
    await town.worker.work_off()
    assert town.sent() == []
    assert await town.store.dead_letters() == []


async def test_a_failure_that_may_pass_is_tried_again(town: Town) -> None:
    town.channels[Channel.EMAIL].failures = [TransientError("later"), TransientError("later")]
    await town.happened(HIGH_RISK)
    await town.worker.work_off()
    assert town.mail() == []
    for _ in range(2):
        town.clock.advance(20)
        await town.worker.work_off()
    assert [message.to for message in town.mail()] == ["reviewer@example.com"]


async def test_a_failure_for_good_is_parked_at_once_and_can_be_redriven(town: Town) -> None:
    town.channels[Channel.EMAIL].failures = [FinalError("no such mailbox")]
    await town.happened(HIGH_RISK)
    await town.worker.work_off()
    (dead,) = await town.store.dead_letters(Queue.NOTICES)
    assert "no such mailbox" in dead.reason
    assert await town.store.redrive(Queue.NOTICES, dead.key, now=town.clock.now())
    await town.worker.work_off()
    assert [message.to for message in town.mail()] == ["reviewer@example.com"]


async def test_the_providers_id_is_kept(town: Town) -> None:
    await town.happened(HIGH_RISK)
    await town.worker.work_off()
    (mail,) = town.mail()
    notice = await town.store.notice(mail.notice_id)
    assert notice is not None
    assert (notice.provider_id, notice.sent_at) == ("provider-1", town.clock.now())


async def test_a_crash_after_sending_repeats_under_the_same_id_at_most(town: Town) -> None:
    await town.happened(HIGH_RISK)
    await town.worker.work(Queue.OUTBOX)
    (claim,) = await town.store.claim(
        Queue.NOTICES, now=town.clock.now(), lease_s=60, limit=9, worker="w"
    )
    # It is sent and noted, but the worker dies before the claim is finished.
    await town.store.notice_sent(claim.key, at=town.clock.now(), provider_id="p")
    town.clock.advance(timedelta(minutes=2).total_seconds())
    await town.worker.work_off()
    assert town.mail() == []


async def test_no_address_is_kept_with_a_notice(town: Town, tmp_path: Path) -> None:
    await town.register(EVERYWHERE)
    await town.happened(LOW_RISK, APPROVED, STARTED, completed(e.PayerType.BACK_OFFICE), REVERSED)
    await town.worker.work(Queue.OUTBOX)
    claims = await town.store.claim(
        Queue.NOTICES, now=town.clock.now(), lease_s=60, limit=50, worker="w"
    )
    assert claims
    for claim in claims:
        notice = await town.store.notice(claim.key)
        assert notice is not None
        kept = f"{notice.insert}"
        for personal in ("@example.com", "+1555", "push-device", "Tow & Go"):
            assert personal not in kept


def test_every_fact_that_somebody_hears_of_is_subscribed_to() -> None:
    unheard = {kind.__name__ for kind in get_args(e.Fact)} - set(EVENT_NAMES)
    assert "PaymentCreated" in unheard
    assert published_name(REVERSED) in EVENT_NAMES
    assert published_name(HIGH_RISK) in EVENT_NAMES
    assert set(EVENT_NAMES) - {kind.__name__ for kind in get_args(e.Fact)} == {
        "FraudDetected",
        "PaymentTransferReversed",
        "RefundCompleted",
    }
