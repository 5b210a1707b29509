"""M18: refunds that the books forgot with a restore are adopted, and never given again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import StatusForbids
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.domain.stripe_objects import StripeIdentity
from tests.workflows.office import ADMIN, Office
from tests.workflows.refund_reading import owed, refund_of
from tests.workflows.test_drift_repair import backed_up, repaired, restored


async def given_after_the_backup(office: Office, refund_id: str) -> None:
    """Approved, and given by Stripe, which tells of it by an event."""
    await office.service.refunds.approve(ADMIN, refund_id)
    made = list(office.stripe.made_refunds.values())[-1]
    office.stripe.listed.append(office.stripe.event(f"evt_{made.id}", "refund.created", made))


async def test_m18_a_refund_asked_for_in_the_backup_and_given_after_it_is_given_once(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    backup = backed_up(tmp_path)
    await given_after_the_backup(office, refund_id)
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        await later.service.restore_guard.release(ADMIN)
        # By now Stripe has forgotten the key: only the books keep it from being given again.
        later.clock.advance(timedelta(days=2).total_seconds())
        with pytest.raises(StatusForbids):
            await later.service.refunds.approve(ADMIN, refund_id)
        assert len(later.stripe.made_refunds) == 1
        payment = await later.payment(payment_id)
        assert [(one.id, one.status) for one in payment.refunds] == [
            (refund_id, RefundStatus.SUCCEEDED)
        ]
        assert payment.amount_refunded_cents == 3_000
        assert payment.anomalies == ("approval_lost",)
        assert await owed(later, payment_id) == 9_500
        assert await later.service.verification.verify(lambda _: None) == []


async def test_m18_each_refund_whose_approval_was_lost_is_a_case_of_its_own(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    asked = [await office.refund_requested(payment_id, cents) for cents in (3_000, 3_000, 2_000)]
    backup = backed_up(tmp_path)
    for refund_id in asked[:2]:
        await given_after_the_backup(office, refund_id)
    async with restored(office, tmp_path, backup) as later:
        await repaired(later)
        await later.service.restore_guard.release(ADMIN)
        payment = await later.payment(payment_id)
        assert [one.status for one in payment.refunds] == [
            RefundStatus.SUCCEEDED,
            RefundStatus.SUCCEEDED,
            RefundStatus.REQUESTED,
        ]
        assert payment.anomalies == ("approval_lost", "approval_lost")
        await later.service.refunds.approve(ADMIN, asked[2])
        assert (await later.payment(payment_id)).amount_refunded_cents == 8_000


async def test_m18_one_rejected_in_the_restored_books_is_booked_and_told_of(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    backup = backed_up(tmp_path)
    await given_after_the_backup(office, refund_id)
    async with restored(office, tmp_path, backup) as later:
        await later.service.refunds.reject(ADMIN, refund_id, "nobody remembers it")
        assert (await repaired(later)).passed
        payment = await later.payment(payment_id)
        assert [one.status for one in payment.refunds] == [RefundStatus.SUCCEEDED]
        assert payment.anomalies == ("approval_lost",)
        assert payment.on_review


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(Theirs.PENDING, RefundStatus.SUBMITTED), (Theirs.FAILED, RefundStatus.FAILED)],
)
async def test_m18_an_adopted_refund_stands_as_stripe_has_it(
    office: Office, tmp_path: Path, theirs: Theirs, ours: RefundStatus
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    backup = backed_up(tmp_path)
    await office.service.refunds.approve(ADMIN, refund_id)
    (made,) = office.stripe.made_refunds
    now = office.stripe.refund_becomes(made, theirs)
    office.stripe.listed.append(office.stripe.event("evt_1", "refund.updated", now))
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        refund = await refund_of(later, payment_id, refund_id)
        assert (refund.status, refund.stripe_refund) == (ours, made)
        assert await later.service.verification.verify(lambda _: None) == []


async def test_m18_a_waiting_refund_that_stripe_gave_is_found_without_its_event(
    office: Office, tmp_path: Path
) -> None:
    """Stripe keeps events for thirty days; a backup may be older."""
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    backup = backed_up(tmp_path)
    await office.service.refunds.approve(ADMIN, refund_id)
    (made,) = office.stripe.made_refunds
    async with restored(office, tmp_path, backup) as later:
        first, second = await repaired(later), await repaired(later)
        assert [(one.object_id, one.payment_id) for one in first.adopted] == [(made, payment_id)]
        assert (first.passed, second.adopted) == (True, [])
        assert (await refund_of(later, payment_id, refund_id)).status is RefundStatus.SUCCEEDED


async def test_m18_a_waiting_refund_that_nobody_gave_still_waits(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        report = await repaired(later)
        assert (report.adopted, report.passed) == ([], True)
        await later.service.restore_guard.release(ADMIN)
        await later.service.refunds.approve(ADMIN, refund_id)
        assert (await later.payment(payment_id)).amount_refunded_cents == 3_000


async def test_m18_a_waiting_refund_of_another_account_needs_its_key(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.completed()
    await office.refund_requested(payment_id, 3_000)
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        later.stripe.speaks_for = StripeIdentity("acct_other", livemode=False)
        report = await repaired(later)
        assert ("acct_platform", payment_id) in [
            (line.object_id, line.payment_id) for line in report.problems
        ]
        assert not report.passed
