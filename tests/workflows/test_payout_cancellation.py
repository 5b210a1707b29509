"""A payout that is taken back while it is pending: asked for, sent once, known by the payout."""

from __future__ import annotations

import pytest

from roadcall_payments.domain.errors import (
    RoadcallError,
    StatusForbids,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import PayoutStatus
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Refused
from tests.fakes.bank_payouts import NOT_PENDING
from tests.workflows.office import ACCOUNT, ADMIN, Office
from tests.workflows.payout_reading import (
    AMOUNT,
    CANCEL,
    PAYOUT,
    SOON,
    TIMEOUT,
    bank_told,
    book,
    facts,
    key,
    payout_of,
    requested,
    sent,
    vendor_with,
)


async def test_a_pending_payout_is_cancelled_under_a_key_of_its_own(office: Office) -> None:
    payout = await requested(office)
    answer = await office.service.payouts.cancel(ADMIN, payout.id, key("cancel"))
    assert (answer.status, answer.payout.status) == (200, PayoutStatus.CANCELLED)
    (cancel,) = [one for one in office.stripe.sent if one.operation is CANCEL]
    assert cancel.idempotency_key == f"payout_cancel_{payout.id}"
    assert cancel.connected_account == ACCOUNT
    assert await facts(office, payout.id) == [
        "PayoutRequested",
        "PayoutOpened",
        "PayoutCancelRequested",
        "PayoutCancelled",
    ]
    assert await book(office) == {}
    repeat = await office.service.payouts.cancel(ADMIN, payout.id, key("cancel"))
    assert (repeat.status, repeat.repeated) == (200, True)


async def test_a_cancel_that_comes_too_late_says_so_and_the_payout_goes_on(office: Office) -> None:
    payout = await requested(office)
    office.stripe.payout_becomes(payout.stripe_payout or "", Theirs.IN_TRANSIT)
    answer = await office.service.payouts.cancel(ADMIN, payout.id)
    assert (answer.status, answer.payout.status) == (409, PayoutStatus.IN_TRANSIT)
    with pytest.raises(StatusForbids):
        await office.service.payouts.cancel(ADMIN, payout.id)


async def test_a_cancel_whose_answer_was_lost_is_known_by_the_payout(office: Office) -> None:
    payout = await requested(office)
    office.stripe.lose_answer(CANCEL)
    answer = await office.service.payouts.cancel(ADMIN, payout.id)
    assert (answer.status, answer.payout.cancelling) == (202, True)
    with pytest.raises(StatusForbids) as under_way:
        await office.service.payouts.cancel(ADMIN, payout.id)
    assert under_way.value.code == "cancel_under_way"
    await office.attend(SOON)
    assert (await payout_of(office, payout.id)).status is PayoutStatus.CANCELLED
    assert len(sent(office, CANCEL)) == 1


async def test_a_cancel_that_stripe_never_got_is_sent_again_under_the_same_key(
    office: Office,
) -> None:
    payout = await requested(office)
    office.stripe.script(CANCEL, TIMEOUT)
    await office.service.payouts.cancel(ADMIN, payout.id)
    await office.attend(SOON)
    assert (await payout_of(office, payout.id)).status is PayoutStatus.CANCELLED
    assert sent(office, CANCEL) == [f"payout_cancel_{payout.id}"] * 2


async def test_after_a_refusal_a_cancel_may_be_asked_for_anew(office: Office) -> None:
    payout = await requested(office)
    office.stripe.script(CANCEL, Refused(NOT_PENDING, 400, "req_1", replayed=False))
    assert (await office.service.payouts.cancel(ADMIN, payout.id)).status == 409
    assert (await office.service.payouts.cancel(ADMIN, payout.id)).status == 200
    assert sent(office, CANCEL) == [
        f"payout_cancel_{payout.id}",
        f"payout_cancel_{payout.id}_2",
    ]


async def test_stripes_own_payouts_and_unknown_ones_are_not_cancelled(office: Office) -> None:
    vendor_id = await vendor_with(office)
    made = office.stripe.pay_out(ACCOUNT, Money(2_500, "usd"))
    body = office.stripe.event("evt_1", "payout.created", made, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    office.stripe.script(PAYOUT, TIMEOUT)
    unknown = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    for payout_id, code in ((made.id, "automatic_payout"), (unknown.id, "payout_outcome_unknown")):
        with pytest.raises(RoadcallError) as refused:
            await office.service.payouts.cancel(ADMIN, payout_id)
        assert refused.value.code == code


async def test_what_the_worker_leaves_behind_verifies(office: Office) -> None:
    payout = await requested(office)
    await bank_told(office, payout, Theirs.PAID)
    await bank_told(office, payout, Theirs.FAILED, "no_account")
    cancelled = (await office.service.payouts.request(ADMIN, payout.vendor_id or "", AMOUNT)).payout
    await office.service.payouts.cancel(ADMIN, cancelled.id)
    assert await office.service.verification.verify(lambda _: None) == []
