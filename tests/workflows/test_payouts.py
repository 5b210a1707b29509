"""From a vendor's balance to its bank: once, under one key, and followed to its end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from roadcall_payments.domain.errors import (
    CredentialsRejected,
    InvalidInput,
    MovementsPaused,
    NotAllowed,
    NotFound,
    StatusForbids,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import PayoutStatus
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.domain.stripe_objects import StripeFailure
from roadcall_payments.ports import Queue, Refused, Unknown, UnknownReason
from tests.fakes.gateway import IDENTITY
from tests.workflows.office import ACCOUNT, ADMIN, Office
from tests.workflows.payout_reading import (
    AMOUNT,
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

# --- asked for ---------------------------------------------------------------------------------


async def test_m4_a_payout_is_committed_with_what_it_sends_before_it_is_sent(
    office: Office,
) -> None:
    vendor_id = await vendor_with(office)

    async def not_before() -> None:
        assert await facts(office, sent(office)[0].removeprefix("payout_")) == ["PayoutRequested"]

    office.stripe.during(PAYOUT, not_before)
    answer = await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    payout, (request,) = answer.payout, list(office.stripe.sent)
    assert (answer.status, payout.status) == (201, PayoutStatus.PENDING)
    assert request == payout.request
    assert request.connected_account == ACCOUNT
    assert request.idempotency_key == f"payout_{payout.id}"
    assert json.loads(request.params)["metadata"] == {"purpose": "payout", "payoutId": payout.id}
    assert payout.vendor_id == vendor_id
    assert await facts(office, payout.id) == ["PayoutRequested", "PayoutOpened"]


async def test_more_than_is_available_is_refused_before_anything_is_written(
    office: Office,
) -> None:
    vendor_id = await vendor_with(office, Money(3_999, "usd"))
    with pytest.raises(StatusForbids) as refused:
        await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    assert refused.value.code == "payout_exceeds_balance"
    with pytest.raises(StatusForbids):
        await office.service.payouts.request(ADMIN, vendor_id, Money(4_000, "eur"))
    assert office.stripe.sent == []
    assert [one.stream for one in await office.service.store.streams()] == [f"vendor/{vendor_id}"]


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (Money(999, "usd"), "below_minimum"),
        (Money(0, "usd"), "amount_not_carried"),
        (Money(-5_000, "usd"), "amount_not_carried"),
        (Money(12_345, "kwd"), "amount_not_carried"),
        (Money(150_050, "huf"), "amount_not_carried"),
        (Money(5_000, "xyz"), "amount_not_carried"),
    ],
)
async def test_what_no_bank_is_sent_is_invalid(office: Office, amount: Money, code: str) -> None:
    vendor_id = await vendor_with(office)
    with pytest.raises(InvalidInput) as invalid:
        await office.service.payouts.request(ADMIN, vendor_id, amount)
    assert invalid.value.code == code
    assert office.stripe.sent == []


@pytest.mark.parametrize(
    "amount", [Money(1_000, "jpy"), Money(12_340, "kwd"), Money(99_999_990, "usd")]
)
async def test_every_kind_of_currency_and_the_largest_amount_goes_out_and_comes_back(
    office: Office, amount: Money
) -> None:
    payout = await requested(office, amount)
    assert office.stripe.made_payouts[payout.stripe_payout or ""].amount.currency == amount.currency
    for status in (Theirs.IN_TRANSIT, Theirs.PAID):
        await bank_told(office, payout, status)
    assert await book(office) == {
        "bank": amount.amount_cents,
        "stripe_balance": -amount.amount_cents,
    }
    await bank_told(office, payout, Theirs.FAILED, "account_closed")
    assert await book(office) == {}


async def test_who_cannot_be_paid_out_is_told_why(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.service.payouts.request(ADMIN, "ve_none", AMOUNT)
    nobody = await office.vendor(account=None)
    with pytest.raises(StatusForbids) as refused:
        await office.service.payouts.request(ADMIN, nobody, AMOUNT)
    assert refused.value.code == "no_connected_account"


async def test_nothing_is_written_while_payouts_could_not_be_sent(office: Office) -> None:
    vendor_id = await vendor_with(office)
    await office.service.movements_switch.pause(ADMIN, "an incident")
    with pytest.raises(MovementsPaused):
        await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    await office.service.movements_switch.resume(ADMIN)
    office.stripe.down = StripeUnavailable("down")
    with pytest.raises(StripeUnavailable):
        await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    office.stripe.down, office.stripe.connect = None, False
    with pytest.raises(NotAllowed) as refused:
        await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    assert refused.value.code == "connect_disabled"
    assert office.stripe.sent == []
    assert [one.stream for one in await office.service.store.streams()] == [
        "control/movements",
        f"vendor/{vendor_id}",
    ]


async def test_switching_connect_off_strands_no_payout_that_stripe_may_have(
    office: Office,
) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, TIMEOUT)
    payout = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    office.stripe.connect = False
    await office.attend(SOON)
    payout = await payout_of(office, payout.id)
    assert payout.status is PayoutStatus.PENDING
    await office.service.payouts.cancel(ADMIN, payout.id)
    assert (await payout_of(office, payout.id)).status is PayoutStatus.CANCELLED


async def test_m31_a_double_click_is_one_payout_and_two_equal_ones_are_two(office: Office) -> None:
    vendor_id = await vendor_with(office)
    payouts = office.service.payouts
    first, again = await asyncio.gather(
        *(payouts.request(ADMIN, vendor_id, AMOUNT, key("one")) for _ in range(2))
    )
    assert first.payout.id == again.payout.id
    assert first.repeated != again.repeated
    other = await payouts.request(ADMIN, vendor_id, AMOUNT, key("two"))
    assert other.payout.id != first.payout.id
    assert len(office.stripe.made_payouts) == 2
    repeat = await payouts.request(ADMIN, vendor_id, AMOUNT, key("one"))
    assert (repeat.status, repeat.repeated, repeat.payout) == (201, True, repeat.payout)


# --- three outcomes ----------------------------------------------------------------------------


async def test_m9_a_refused_payout_is_over_and_a_new_try_is_a_new_payout(office: Office) -> None:
    vendor_id = await vendor_with(office)
    failure = StripeFailure("balance_insufficient", "You have insufficient funds.")
    office.stripe.script(PAYOUT, Refused(failure, 400, "req_1", replayed=False))
    answer = await office.service.payouts.request(ADMIN, vendor_id, AMOUNT, key("one"))
    assert (answer.status, answer.payout.status) == (400, PayoutStatus.FAILED)
    assert answer.payout.failure_code == "balance_insufficient"
    repeat = await office.service.payouts.request(ADMIN, vendor_id, AMOUNT, key("one"))
    assert (repeat.status, repeat.payout.id) == (400, answer.payout.id)
    await office.attend(timedelta(days=2))
    assert len(sent(office)) == 1
    another = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    assert sent(office) == [f"payout_{answer.payout.id}", f"payout_{another.id}"]


@pytest.mark.parametrize("reason", UnknownReason)
async def test_m5_m9_an_unknown_payout_settles_under_its_one_key(
    office: Office, reason: UnknownReason
) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, Unknown(reason, "said nothing certain"))
    answer = await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)
    assert answer.status == (503 if reason is UnknownReason.AUTHENTICATION else 202)
    assert answer.payout.answer_open
    await office.attend(SOON)
    assert (await payout_of(office, answer.payout.id)).status is PayoutStatus.PENDING
    assert set(sent(office)) == {f"payout_{answer.payout.id}"}
    assert len(office.stripe.made_payouts) == 1


async def test_m7_a_payout_whose_answer_was_lost_is_found_by_listing(office: Office) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.lose_answer(PAYOUT)
    lost = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    await office.attend(SOON)
    found = await payout_of(office, lost.id)
    assert list(office.stripe.made_payouts) == [found.stripe_payout]
    assert len(sent(office)) == 1


async def test_m8_past_its_keys_deadline_a_payout_is_only_looked_for(office: Office) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, TIMEOUT)
    lost = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    await office.attend(timedelta(hours=23, seconds=1))
    assert (await payout_of(office, lost.id)).answer_open
    await office.attend(timedelta(hours=2, minutes=1))
    gone = await payout_of(office, lost.id)
    assert (gone.status, gone.failure_code) == (PayoutStatus.FAILED, "payout_voided")
    assert len(sent(office)) == 1


async def test_m16_a_payout_given_up_as_absent_is_taken_when_stripe_has_it(office: Office) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, TIMEOUT)
    lost = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    await office.attend(timedelta(hours=23, seconds=1))
    await office.attend(timedelta(hours=2, minutes=1))
    metadata = {"purpose": "payout", "payoutId": lost.id}
    late = office.stripe.pay_out(ACCOUNT, AMOUNT, automatic=False, metadata=metadata)
    body = office.stripe.event("evt_1", "payout.created", late, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    taken = await payout_of(office, lost.id)
    assert (taken.status, taken.stripe_payout) == (PayoutStatus.PENDING, late.id)
    assert taken.failure_code is None


async def test_m18_a_look_with_another_accounts_key_proves_nothing(office: Office) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, TIMEOUT)
    lost = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    office.stripe.speaks_for = type(IDENTITY)("acct_other", livemode=False)
    await office.attend(timedelta(hours=26))
    await office.attend(timedelta(hours=2))
    assert (await payout_of(office, lost.id)).absences == ()


async def test_an_account_whose_owner_withdrew_our_access_is_asked_less_and_less_often(
    office: Office,
) -> None:
    """Its unknown payout stays unknown, and is found once we may look again."""
    vendor_id = await vendor_with(office)
    office.stripe.lose_answer(PAYOUT)
    office.stripe.payout_lists_down = CredentialsRejected("No access.", code="stripe_permission")
    payout = (await office.service.payouts.request(ADMIN, vendor_id, AMOUNT)).payout
    looks = 0
    for _ in range(180):
        office.clock.advance(60)
        looks += await office.service.worker.work(Queue.ATTENTION)
    assert 2 <= looks <= 20
    assert (await payout_of(office, payout.id)).answer_open
    office.stripe.payout_lists_down = None
    await office.attend(timedelta(hours=1))
    assert (await payout_of(office, payout.id)).status is PayoutStatus.PENDING


async def test_a_payout_is_found_by_the_name_that_the_bank_and_the_vendor_know(
    office: Office,
) -> None:
    payout = await requested(office)
    found = await office.service.queries.find(payout.stripe_payout or "")
    assert found == [f"payout/{payout.id}"]
