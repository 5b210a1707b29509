"""Who hears of refunds and disputes, and until when it is true."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    DisputeStatus,
)
from roadcall_payments.workflows.vendors import Contacts
from tests.workflows.town import (
    APPROVED,
    STARTED,
    VENDOR,
    Town,
    completed,
)

FIFTY = Money(5_000, "usd")
ASKED = e.RefundRequested("rf_1", FIFTY, e.RefundReason.DUPLICATE, None, "dispatcher:dana")


def refund_made(refund_id: str) -> e.RefundSucceeded:
    return e.RefundSucceeded(
        refund_id, "re_1", FIFTY, "acct_p", False, "co_1", VENDOR, False, e.Source.WEBHOOK
    )


def refund_failed(refund_id: str) -> e.RefundFailed:
    return e.RefundFailed(
        refund_id=refund_id,
        amount=FIFTY,
        code="declined",
        message="The payer's bank declined it.",
        account="acct_p",
        livemode=False,
        vendor_id=VENDOR,
        from_suspense=False,
        returned=True,
        drawn=False,
        source=e.Source.WEBHOOK,
        stripe_refund="re_1",
    )


DUE = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
DISPUTED = e.DisputeOpened(
    "du_1", "ch_1", FIFTY, "fraudulent", DisputeStatus.NEEDS_RESPONSE, DUE, "acct_p", False
)
EVIDENCE_DUE = e.EvidenceDeadlineNeared("du_1", DUE)
LOST = e.DisputeClosed("du_1", DisputeStatus.LOST, FIFTY, e.Bearer.VENDOR, "acct_p", VENDOR)
PAID_BY_DRIVER: list[e.Fact] = [APPROVED, STARTED, completed(e.PayerType.DRIVER_IC)]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (
            [*PAID_BY_DRIVER, ASKED],
            ["approver@example.com", "second@example.com", "tow@example.com"],
        ),
        (
            [*PAID_BY_DRIVER, e.RefundObserved("re_1", FIFTY, None), refund_made("re_1")],
            ["office@example.com", "tow@example.com", "tow@example.com"],
        ),
        (
            [
                *PAID_BY_DRIVER,
                e.RefundObserved("re_1", FIFTY, None),
                refund_made("re_1"),
                refund_failed("re_1"),
            ],
            [*["office@example.com"] * 2, *["tow@example.com"] * 3],
        ),
        (
            [*PAID_BY_DRIVER, DISPUTED, EVIDENCE_DUE],
            [*["office@example.com"] * 2, *["tow@example.com"] * 2],
        ),
        (
            [*PAID_BY_DRIVER, DISPUTED, LOST],
            [*["office@example.com"] * 2, *["tow@example.com"] * 3],
        ),
    ],
)
async def test_the_right_people_hear_of_money_that_goes_back(
    town: Town, facts: list[e.Fact], told: list[str]
) -> None:
    await town.register(Contacts("Tow & Go", "tow@example.com", None, None))
    await town.happened(*facts)
    await town.worker.work_off()
    assert sorted(message.to for message in town.mail()) == told


async def test_nobody_is_asked_to_approve_a_refund_that_is_decided(town: Town) -> None:
    rejected = e.RefundRejected("rf_1", "admin:ada", None)
    await town.happened(*PAID_BY_DRIVER, ASKED, rejected, payer_type=e.PayerType.DRIVER_IC)
    await town.worker.work_off()
    assert town.mail() == []


async def test_a_reminder_names_the_deadline_and_is_dropped_once_answered(town: Town) -> None:
    stream = await town.happened(*PAID_BY_DRIVER, DISPUTED, payer_type=e.PayerType.DRIVER_IC)
    await town.worker.work_off()
    await town.write(stream, EVIDENCE_DUE)
    await town.worker.work_off()
    assert "March 11, 2026" in town.mail()[-1].content.text
    told = len(town.mail())
    answered = e.DisputeChanged("du_1", FIFTY, DisputeStatus.UNDER_REVIEW, None)
    await town.write(stream, EVIDENCE_DUE, answered)
    await town.worker.work_off()
    assert len(town.mail()) == told
