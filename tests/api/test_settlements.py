"""Settlement over HTTP: the fee in a vendor's record, and what of a payment its vendor has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from roadcall_payments.clock import SystemClock
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.ports import Queue, Refused, Unknown, UnknownReason
from tests.api import harness as h
from tests.api.harness import Api, Json, running_api
from tests.fakes.connected_accounts import TO_ONBOARD
from tests.fakes.manual_clock import ManualClock

# Of 185.00: 10 % and 0.30.
FEE = 1_880
CONTACTS = {"contacts": {"name": "Laramie Towing"}}
SPENT = Refused(
    StripeFailure("balance_insufficient", "Nothing is left."), 400, "req_spent", replayed=False
)


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    """Begins at present: tokens are judged by it."""
    begun = ManualClock()
    begun.advance((SystemClock().now() - begun.now()).total_seconds())
    return begun


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, clock: ManualClock) -> AsyncIterator[Api]:
    """One server for the file's tests, which settles; each test has a vendor of its own."""
    fee = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    directory = tmp_path_factory.mktemp("api")
    async with running_api(directory, clock, settlement=True, **fee) as running:
        yield running


async def attend(api: Api, clock: ManualClock, after: timedelta = timedelta()) -> None:
    clock.advance(after.total_seconds())
    await api.service.worker.work(Queue.ATTENTION)


async def paid(api: Api, vendor_id: str, **record: Json) -> Json:
    """A driver's payment whose card was charged; the vendor has an account of its own."""
    account = "acct_" + vendor_id.replace("_", "")
    record = CONTACTS | {"stripeAccountId": account} | record
    reply = await api.call("PUT", f"/vendors/{vendor_id}", h.ADMIN, record)
    assert reply.status == 200, reply.text
    return await api.completed(vendorId=vendor_id)


async def settlement(api: Api, payment: Json, caller: Actor = h.DISPATCHER) -> Json:
    return (await api.get(f"/payments/{payment['id']}", caller)).json["settlement"]


async def test_the_share_from_waiting_to_settled(api: Api, clock: ManualClock) -> None:
    payment = await paid(api, "v_settled")
    before = await settlement(api, payment)
    assert (before["status"], before["settledCents"], before["transfers"]) == ("not_yet", 0, [])
    await attend(api, clock)
    after = await settlement(api, payment)
    [transfer] = after.pop("transfers")
    assert after == {
        "status": "settled",
        "settledCents": 18_500 - FEE,
        "platformFeeCents": FEE,
        "waitsFor": None,
        "waitsBecause": None,
        "takenBack": [],
    }
    assert transfer.pop("startedAt")
    assert transfer.pop("stripeTransferId") in api.gateway.made_transfers
    assert transfer == {
        "status": "completed",
        "amountCents": 18_500 - FEE,
        "platformFeeCents": FEE,
        "setOffCents": 0,
        "reversedCents": 0,
        "restores": None,
        "failure": None,
    }


async def test_the_vendor_reads_its_share_and_the_payer_does_not(
    api: Api, clock: ManualClock
) -> None:
    payment = await paid(api, "v_private")
    await attend(api, clock)
    vera = Actor("vera", Role.VENDOR, vendor_id="v_private")
    assert (await settlement(api, payment, vera))["settledCents"] == 18_500 - FEE
    # What the platform keeps is between it and the vendor.
    assert await settlement(api, payment, h.DRIVER) is None


async def test_an_unknown_share_is_processing_and_a_refund_of_it_is_409(
    api: Api, clock: ManualClock
) -> None:
    payment = await paid(api, "v_unknown")
    api.gateway.script(
        Operation.CREATE_TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    await attend(api, clock)
    shown = await settlement(api, payment)
    assert (shown["status"], shown["settledCents"]) == ("processing", 0)
    assert [one["status"] for one in shown["transfers"]] == ["open"]
    asked = await api.post(f"/payments/{payment['id']}/refunds", h.DISPATCHER, {})
    assert asked.status == 201
    refused = await api.post(f"/refunds/{asked.json['id']}/approve", h.ADMIN)
    assert (refused.status, refused.code) == (409, "settlement_under_way")
    assert int(refused.headers["retry-after"]) > 0
    await attend(api, clock, timedelta(seconds=31))
    assert (await settlement(api, payment))["status"] == "settled"
    again = await api.post(f"/refunds/{asked.json['id']}/approve", h.ADMIN)
    assert (again.status, again.json["status"]) == (200, "succeeded")


async def test_a_share_that_waits_for_its_vendor_says_why(api: Api, clock: ManualClock) -> None:
    api.gateway.show("acct_vnew", TO_ONBOARD)
    payment = await paid(api, "v_new")
    await attend(api, clock)
    shown = await settlement(api, payment)
    assert (shown["status"], shown["settledCents"]) == ("waiting", 0)
    assert shown["waitsFor"] == "not_onboarded"
    assert "onboarding" in shown["waitsBecause"]


async def test_what_a_refund_takes_back_and_what_of_it_became_debt(
    api: Api, clock: ManualClock
) -> None:
    payment = await paid(api, "v_back")
    await attend(api, clock)
    # The vendor holds 166.20, so of these two the second finds 6.20 of a transfer's left.
    for cents in (16_000, 2_500):
        body = {"amountCents": cents}
        asked = await api.post(f"/payments/{payment['id']}/refunds", h.DISPATCHER, body)
        plan = asked.json["plan"]
        assert plan["reversedFromVendorCents"] == min(cents, 620 if cents == 2_500 else cents)
        assert plan["vendorDebtCents"] == (FEE if cents == 2_500 else 0)
        approved = await api.post(f"/refunds/{asked.json['id']}/approve", h.ADMIN)
        assert approved.json["status"] == "succeeded", approved.text
        await attend(api, clock)
        await attend(api, clock)
    shown = await settlement(api, payment)
    [transfer] = shown["transfers"]
    assert (transfer["amountCents"], transfer["reversedCents"]) == (16_620, 16_620)
    assert [(one["amountCents"], one["debtCents"]) for one in shown["takenBack"]] == [
        (16_000, 0),
        (620, 0),
        (FEE, FEE),
    ]
    owed = (await api.get("/vendors/v_back/debts", h.AUDITOR)).json["items"]
    assert [one["outstandingCents"] for one in owed] == [FEE]


async def test_a_reversal_that_stripe_refuses_is_told_with_its_reason(
    api: Api, clock: ManualClock
) -> None:
    payment = await paid(api, "v_spent")
    await attend(api, clock)
    asked = await api.post(f"/payments/{payment['id']}/refunds", h.DISPATCHER, {})
    await api.post(f"/refunds/{asked.json['id']}/approve", h.ADMIN)
    api.gateway.script(Operation.CREATE_REVERSAL, SPENT)
    await attend(api, clock)
    shown = (await settlement(api, payment))["takenBack"]
    assert (shown[0]["status"], shown[0]["debtCents"]) == ("failed", 18_500 - FEE)
    assert shown[0]["failure"] == "Nothing is left."
    assert {one["cause"] for one in shown} == {asked.json["id"]}


async def test_a_vendors_own_fee_stays_until_the_record_leaves_it_out(
    api: Api, clock: ManualClock
) -> None:
    payment = await paid(api, "v_fee", platformFee={"bps": 250})
    record = (await api.get("/vendors/v_fee", h.DISPATCHER)).json
    assert record["platformFee"] == {"bps": 250, "fixedCents": 0}
    await attend(api, clock)
    assert (await settlement(api, payment))["platformFeeCents"] == 462
    # The whole record is put: what is left out is removed.
    usual = await paid(api, "v_fee")
    assert (await api.get("/vendors/v_fee", h.DISPATCHER)).json["platformFee"] is None
    await attend(api, clock)
    assert (await settlement(api, usual))["platformFeeCents"] == FEE
    assert (await settlement(api, payment))["platformFeeCents"] == 462


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"platformFee": {"bps": 10_001}}, "platformFee.bps"),
        ({"platformFee": {"bps": -1}}, "platformFee.bps"),
        ({"platformFee": {"bps": 2.5}}, "platformFee.bps"),
        ({"platformFee": {"bps": "250"}}, "platformFee.bps"),
        ({"platformFee": {"fixedCents": 30}}, "platformFee.bps"),
        ({"platformFee": {"bps": 0, "fixedCents": -1}}, "platformFee.fixedCents"),
        ({"platformFee": {"bps": 0, "fixedCents": 100_000_000}}, "platformFee.fixedCents"),
        ({"platformFee": {"bps": 0, "percent": 3}}, "platformFee.percent"),
        ({"payoutSchedule": "weekly"}, "payoutSchedule"),
        ({"payoutSchedule": None}, "payoutSchedule"),
        ({"payoutSchedule": True}, "payoutSchedule"),
    ],
)
async def test_a_record_that_cannot_be_is_400_and_names_its_field(
    api: Api, record: Json, field: str
) -> None:
    reply = await api.call("PUT", "/vendors/v_odd", h.ADMIN, CONTACTS | record)
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", field)
    assert reply.json["detail"]
    assert (await api.get("/vendors/v_odd", h.ADMIN)).status == 404


async def test_a_schedule_is_manual_until_it_is_set_and_again_when_left_out(api: Api) -> None:
    for named, shown in ((None, "manual"), ("daily", "daily"), ("manual", "manual")):
        record = CONTACTS | ({"payoutSchedule": named} if named else {})
        await api.call("PUT", "/vendors/v_daily", h.ADMIN, record)
        assert (await api.get("/vendors/v_daily", h.AUDITOR)).json["payoutSchedule"] == shown
    await api.call("PUT", "/vendors/v_daily", h.ADMIN, CONTACTS | {"payoutSchedule": "daily"})
    left_out = await api.call("PUT", "/vendors/v_daily", h.ADMIN, CONTACTS)
    assert left_out.json["payoutSchedule"] == "manual"


async def test_the_document_names_what_can_be_sent_and_is_answered(api: Api) -> None:
    schemas = api.contract.document["components"]["schemas"]
    assert {"platformFee", "payoutSchedule"} <= set(schemas["VendorBody"]["properties"])
    assert {"platformFee", "payoutSchedule"} <= set(schemas["VendorView"]["properties"])
    assert "priority" in schemas["ProcessBody"]["properties"]
    assert "settlement" in schemas["PaymentView"]["properties"]
    listing = api.contract.document["paths"]["/payments"]["get"]["parameters"]
    assert "queued" in {one["name"] for one in listing}
