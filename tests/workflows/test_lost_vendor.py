"""A vendor whose record a restore lost, and who has to give some of a share back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import StripeFailure
from roadcall_payments.ports import Channel, Queue, Refused
from roadcall_payments.stores.sqlite.backup import restoring
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, DRIVER, Office, open_office
from tests.workflows.settlement_reading import (
    REVERSAL,
    SHARE,
    debts,
    open_settling_office,
    sent,
    settlement_of,
)
from tests.workflows.test_drift_repair import backed_up, repaired

LOST = "ve_lost"
NO_MONEY_LEFT = Refused(
    StripeFailure("balance_insufficient", "Not enough."), 400, "req_x", replayed=False
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def restored(office: Office, directory: Path, backup: Path) -> AsyncIterator[Office]:
    """The backup, repaired and released, where shares are settled and staff has an address."""
    database = directory / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    told = {"operations_emails": "ops@roadcall.example"}
    async with open_office(database.parent, office, settlement=True, **told) as later:
        await later.service.restore_guard.hold(ADMIN, "restored from Monday's")
        await repaired(later)
        await later.service.restore_guard.release(ADMIN)
        yield later


async def registered(office: Office) -> None:
    contacts = Contacts("Tow & Go", "tow@example.com", None, None)
    await office.service.vendors.put(ADMIN, LOST, VendorRecord(ACCOUNT, "en-US", contacts))


async def settled_after_the_backup(office: Office, directory: Path) -> tuple[str, Path]:
    """The payment's id, and a backup in which it waits for approval, of a vendor unheard of."""
    payment_id = await office.created(PayerType.DRIVER_IC, LOST)
    backup = backed_up(directory)
    await registered(office)
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    return payment_id, backup


async def test_m18_what_a_lost_vendor_gives_back_rests_until_it_is_registered_again(
    office: Office, tmp_path: Path
) -> None:
    payment_id, backup = await settled_after_the_backup(office, tmp_path)
    async with restored(office, tmp_path, backup) as later:
        assert (await settlement_of(later, payment_id)).settled_cents == SHARE
        refund_id = await later.refund_requested(payment_id, 12_500)
        await later.service.refunds.approve(ADMIN, refund_id)
        later.stripe.script(REVERSAL, NO_MONEY_LEFT)
        with capture_logs() as logs:
            for _ in range(4):
                await later.attend(timedelta(hours=1))
        assert [one for one in logs if one["event"] == "work_failed"] == []
        payment = await later.payment(payment_id)
        assert payment.refunds[0].status is RefundStatus.SUCCEEDED
        assert payment.anomalies == ("approval_lost", "vendor_not_registered")
        assert sent(later, REVERSAL) == []
        for queue in (Queue.OUTBOX, Queue.NOTICES):
            await later.service.worker.work(queue)
        (mail,) = [one for one in later.sent(Channel.EMAIL) if LOST in one.content.text]
        assert mail.to == "ops@roadcall.example"
        assert f"vendor {LOST} is not in the books" in mail.content.text
        await registered(later)
        await later.attend(timedelta(hours=1))
        assert list((await debts(later, payment_id)).values()) == [SHARE]
        assert await later.service.verification.verify(lambda _: None) == []
