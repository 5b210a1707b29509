"""Drivers' payments settled: the share goes out once, whatever happens meanwhile (M20)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import Commit, CommitResult
from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.platform_fee import FeePolicy
from roadcall_payments.domain.settlement import Step
from roadcall_payments.domain.stripe_objects import (
    StripeFailure,
    Transfer,
)
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.fakes.connected_accounts import ABLE, TO_ONBOARD
from tests.fakes.money_back import CREATED
from tests.workflows.office import ACCOUNT, ADMIN, DISPATCHER, Office, open_office
from tests.workflows.settlement_reading import (
    SHARE,
    SOON,
    TRANSFER,
    books,
    is_sound,
    open_settling_office,
    sent,
    settled,
    settlement_of,
)

TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
NO_ACCOUNT = Refused(
    StripeFailure("account_invalid", "No such account."), 400, "req_1", replayed=False
)
CONTACTS = Contacts("Tow & Go", "tow@example.com", None, None)


class Crash(Exception):
    """The process is gone."""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


# --- the share goes out ---


async def test_m20_the_vendors_share_follows_its_payment(office: Office) -> None:
    payment_id = await office.completed()
    assert sent(office) == [], "the worker does it, not the payer's request"
    await office.attend()
    [request] = [one for one in office.stripe.sent if one.operation is TRANSFER]
    payment = await office.payment(payment_id)
    assert request.idempotency_key == f"settlement_{payment_id}"
    assert json.loads(request.params) == {
        "amount": SHARE,
        "currency": "usd",
        "destination": ACCOUNT,
        "source_transaction": payment.charge,
        "transfer_group": payment_id,
        "metadata": {
            "purpose": "settlement",
            "paymentId": payment_id,
            "attempt": "1",
            "feeCents": "1280",
            "setOffCents": "0",
        },
        "expand": ["balance_transaction"],
    }
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE}
    assert await is_sound(office)
    await office.attend(timedelta(days=2))
    assert len(sent(office)) == 1


async def test_off_by_setting_and_decided_when_the_payment_is_processed(tmp_path: Path) -> None:
    async with open_office(tmp_path / "off") as off:
        payment_id = await off.completed()
        await off.attend(timedelta(days=1))
        assert (await off.payment(payment_id)).settlement is None
        assert sent(off) == []


async def test_a_vendors_own_fee_goes_before_the_usual(office: Office) -> None:
    payment_id = await office.completed()
    vendor_id = (await office.payment(payment_id)).vendor_id
    record = VendorRecord(ACCOUNT, "en-US", CONTACTS, FeePolicy(500, 0))
    vendor = await office.service.vendors.put(ADMIN, vendor_id, record)
    assert vendor.fee == FeePolicy(500, 0)
    await office.attend()
    assert await books(office, payment_id) == {"fees": 625, "earnings": 11_875}


@pytest.mark.parametrize(
    ("amount", "fee_cents"),
    [
        (Money(999, "jpy"), 129),
        (Money(12_340, "kwd"), 1_260),
        (Money(50, "usd"), 35),
        (Money(99_999_999, "usd"), 10_000_029),
        (Money(50, "jpy"), 35),
    ],
)
async def test_any_currency_and_the_limits(office: Office, amount: Money, fee_cents: int) -> None:
    payment_id = await office.completed(amount)
    await office.attend()
    share = amount.amount_cents - fee_cents
    expected = {"fees": fee_cents, "earnings": share}
    assert await books(office, payment_id) == {name: c for name, c in expected.items() if c}
    assert len(sent(office)) == (1 if share else 0)
    assert await is_sound(office)


async def test_a_lost_answer_is_found_and_never_sent_again(office: Office) -> None:
    office.stripe.lose_answer(TRANSFER)
    payment_id = await office.completed()
    await office.attend()
    assert (await settlement_of(office, payment_id)).open_transfer is not None
    await office.attend(SOON)
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    assert len(office.stripe.made_transfers) == 1
    assert len(sent(office)) == 1
    assert await is_sound(office)


async def test_what_never_arrived_is_sent_again_under_its_key(office: Office) -> None:
    office.stripe.script(TRANSFER, TIMEOUT)
    payment_id = await office.completed()
    await office.attend()
    await office.attend(SOON)
    assert sent(office) == [f"settlement_{payment_id}"] * 2
    assert len(office.stripe.made_transfers) == 1


async def test_m8_two_absences_void_it_and_the_next_try_has_a_new_key(office: Office) -> None:
    office.stripe.script(TRANSFER, TIMEOUT)
    payment_id = await office.completed()
    await office.attend()
    office.stripe.lists_down = StripeUnavailable("The lists are down.")
    await office.attend(timedelta(hours=23))
    office.stripe.lists_down = None
    await office.attend(timedelta(hours=1))
    await office.attend(timedelta(hours=2))
    settlement = await settlement_of(office, payment_id)
    assert [one.status for one in settlement.transfers] == [Step.FAILED]
    await office.attend(timedelta(hours=2))
    assert sent(office) == [f"settlement_{payment_id}", f"settlement_{payment_id}_2"]
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    assert await is_sound(office)


async def test_a_refusal_is_tried_again_slowly_after_looking(office: Office) -> None:
    office.stripe.script(TRANSFER, NO_ACCOUNT)
    payment_id = await office.completed()
    await office.attend()
    assert "SettlementFailed" in await office.facts(payment_id)
    await office.attend(SOON)
    assert len(sent(office)) == 1
    await office.attend(timedelta(hours=1))
    assert sent(office) == [f"settlement_{payment_id}", f"settlement_{payment_id}_2"]
    assert len(office.stripe.made_transfers) == 1


async def test_m28_a_share_that_is_refused_for_good_is_tried_ever_less_often_and_told_of(
    office: Office,
) -> None:
    office.stripe.script(TRANSFER, *[NO_ACCOUNT] * 20)
    payment_id = await office.completed()
    await office.attend()
    for hour in range(1, 128):
        await office.attend(timedelta(hours=1, minutes=1))
        if hour == 2:
            assert "AnomalyRecorded" not in await office.facts(payment_id)
    assert len(sent(office)) == 8, "after 0, 1, 3, 7, 15, 31, 63 and 127 hours"
    assert len(set(sent(office))) == 8, "each under a key of its own, after looking"
    assert (await office.payment(payment_id)).anomalies == ("share_refused_again",)
    assert (await office.facts(payment_id)).count("AnomalyRecorded") == 1
    assert await is_sound(office)


async def test_with_transfers_switched_off_the_share_waits(office: Office) -> None:
    payment_id = await office.completed()
    office.stripe.connect = False
    await office.attend()
    assert sent(office) == []
    deferral = (await settlement_of(office, payment_id)).deferral
    assert deferral is not None
    assert deferral.reason == "connect_disabled"
    office.stripe.connect = True
    await office.attend(timedelta(hours=1))
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE


async def test_a_vendor_who_cannot_receive_waits_with_the_reason(office: Office) -> None:
    payment_id = await office.completed()
    vendor_id = (await office.payment(payment_id)).vendor_id
    none = VendorRecord(None, "en-US", CONTACTS)
    await office.service.vendors.put(ADMIN, vendor_id, none)
    await office.attend()
    deferral = (await settlement_of(office, payment_id)).deferral
    assert deferral is not None
    assert deferral.reason == "no_account"
    office.stripe.show("acct_new", TO_ONBOARD)
    new = VendorRecord("acct_new", "en-US", CONTACTS)
    await office.service.vendors.put(ADMIN, vendor_id, new)
    await office.attend(timedelta(hours=1))
    deferral = (await settlement_of(office, payment_id)).deferral
    assert deferral is not None
    assert deferral.reason == "not_onboarded"
    assert sent(office) == []
    office.stripe.show("acct_new", ABLE)
    await office.attend(timedelta(hours=3))
    settlement = await settlement_of(office, payment_id)
    assert (settlement.settled_cents, settlement.deferral) == (SHARE, None)
    assert (await office.facts(payment_id)).count("SettlementDeferred") == 2


async def test_nothing_goes_out_while_movements_are_paused(office: Office) -> None:
    payment_id = await office.completed()
    await office.service.movements_switch.pause(ADMIN, "a drill")
    await office.attend()
    await office.attend(timedelta(minutes=5))
    assert sent(office) == []
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(minutes=2))
    assert sent(office) == [f"settlement_{payment_id}"]


# --- beside Stripe's events ---


@pytest.mark.parametrize("lost", [False, True])
async def test_the_event_before_the_answer_books_it_once(office: Office, lost: bool) -> None:
    payment_id = await office.completed()

    async def told() -> None:
        [made] = office.stripe.made_transfers.values()
        await office.told("evt_1", "transfer.created", made)

    if lost:
        office.stripe.lose_answer(TRANSFER)
    office.stripe.during(TRANSFER, told)
    await office.attend()
    assert (await office.facts(payment_id)).count("SettlementCompleted") == 1
    await office.attend(SOON)
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE}
    assert await is_sound(office)


async def test_m13_a_share_and_a_back_office_transfer_are_never_taken_for_each_other(
    office: Office,
) -> None:
    payment_id = await settled(office)
    other_id = await office.approved(PayerType.BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, other_id, None)
    [share] = office.stripe.made_transfers.values()
    forged = replace(share, id="tr_forged", metadata={**share.metadata, "paymentId": other_id})
    for event, about in (("evt_1", forged), ("evt_2", replace(forged, id="tr_forged_2"))):
        await office.told(event, "transfer.created", about)
    changed = replace(share, metadata={"purpose": "vendor_payment", "paymentId": payment_id})
    await office.told("evt_3", "transfer.created", changed)
    assert (await office.payment(other_id)).transfer is None
    assert (await office.payment(payment_id)).strays == ()
    assert await is_sound(office)


async def test_a_stranger_with_our_metadata_is_kept_and_not_applied(office: Office) -> None:
    office.stripe.script(TRANSFER, TIMEOUT)
    payment_id = await office.completed()
    await office.attend()
    [request] = [one for one in office.stripe.sent if one.operation is TRANSFER]
    claimed = json.loads(request.params)["metadata"]
    stranger = Transfer(
        "tr_0", Money(1, "usd"), ACCOUNT, False, CREATED, claimed, payment_id, Money(0, "usd")
    )
    await office.told("evt_1", "transfer.created", stranger)
    assert (await settlement_of(office, payment_id)).open_transfer is not None
    row = await office.service.store.inbox_event("evt_1")
    assert row is not None
    assert row.status == "kept"


# --- two at once, and crashes ---


async def test_two_workers_make_one_transfer(office: Office) -> None:
    payment_id = await office.completed()
    payment = await office.payment(payment_id)
    attend = office.service.recovery.attended
    await asyncio.gather(*(attend(payment) for _ in range(3)))
    assert (await office.facts(payment_id)).count("SettlementStarted") == 1
    assert set(sent(office)) == {f"settlement_{payment_id}"}
    assert len(office.stripe.made_transfers) == 1


@pytest.mark.parametrize("fact", ["SettlementStarted", "SettlementCompleted"])
async def test_a_crash_at_either_commit_moves_the_share_once(office: Office, fact: str) -> None:
    payment_id = await office.completed()

    def crash(commit: Commit) -> CommitResult | None:
        if any(entry.type == fact for write in commit.streams for entry in write.entries):
            office.troubled.trouble = None
            raise Crash
        return None

    office.troubled.trouble = crash
    with pytest.raises(Crash):
        await office.service.recovery.attended(await office.payment(payment_id))
    await office.attend()
    await office.attend(timedelta(minutes=2))
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    assert len(office.stripe.made_transfers) == 1
    assert await is_sound(office)
