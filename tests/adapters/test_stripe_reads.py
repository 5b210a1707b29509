"""Reads: translated objects, whole lists, and clear errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roadcall_payments.domain.errors import (
    BrokenInvariant,
    CredentialsRejected,
    NotFound,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import BalanceTransaction, IntentStatus
from roadcall_payments.ports import CreatedWindow
from roadcall_payments.stripe_gateway import reads
from tests.adapters.scripted_stripe import (
    SERVER_ERROR,
    SUCCEEDED,
    Reply,
    balance_transaction_json,
    intent_json,
    refusal,
    rigged,
    transfer_json,
)

CREATED = datetime.fromtimestamp(1_790_000_000, UTC)
WINDOW = CreatedWindow(CREATED + timedelta(milliseconds=500), CREATED + timedelta(seconds=1.5))
BOOKED = BalanceTransaction(
    id="txn_1",
    type="charge",
    source="ch_1",
    amount=Money(12_500, "usd"),
    fee=Money(393, "usd"),
    net=Money(12_107, "usd"),
    created=CREATED,
    available_on=datetime.fromtimestamp(1_790_172_800, UTC),
)


def page(*data: object, has_more: bool = False) -> Reply:
    return Reply(body={"object": "list", "data": data, "has_more": has_more, "url": "/v1/x"})


async def test_a_payment_intent_comes_with_its_line_in_the_books() -> None:
    async with rigged(SUCCEEDED) as rig:
        found = await rig.gateway.payment_intent("pi_1")
    assert found.amount == Money(12_500, "usd")
    assert found.created == CREATED
    assert found.latest_charge == "ch_1"
    assert found.balance_transaction == BOOKED
    assert found.client_secret == "pi_1_secret_hidden"
    assert "hidden" not in repr(found)
    [call] = rig.stripe.received
    assert call.query == {"expand[0]": "latest_charge.balance_transaction"}


async def test_a_failed_payment_intent_says_why() -> None:
    error = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "lost_card",
        "message": "Your card was declined.",
        "charge": "ch_9",
        "payment_method": {"id": "pm_9", "object": "payment_method"},
    }
    reply = intent_json(
        status="requires_payment_method", last_payment_error=error, latest_charge="ch_9"
    )
    async with rigged(Reply(body=reply)) as rig:
        found = await rig.gateway.payment_intent("pi_1")
    assert found.status is IntentStatus.REQUIRES_PAYMENT_METHOD
    assert found.latest_charge == "ch_9"
    assert found.balance_transaction is None
    assert found.failure is not None
    assert found.failure.decline_code == "lost_card"
    assert found.failure.payment_method_id == "pm_9"


async def test_an_action_is_named() -> None:
    reply = intent_json(status="requires_action", next_action={"type": "use_stripe_sdk"})
    async with rigged(Reply(body=reply)) as rig:
        assert (await rig.gateway.payment_intent("pi_1")).next_action == "use_stripe_sdk"


@pytest.mark.parametrize("status", list(IntentStatus))
async def test_every_status_of_ours_is_read(status: IntentStatus) -> None:
    async with rigged(Reply(body=intent_json(status=status.value))) as rig:
        assert (await rig.gateway.payment_intent("pi_1")).status is status


async def test_a_list_is_read_to_its_end() -> None:
    pages = [
        page(transfer_json(id="tr_3"), transfer_json(id="tr_2"), has_more=True),
        page(transfer_json(id="tr_1", balance_transaction=balance_transaction_json())),
    ]
    async with rigged(*pages) as rig:
        found = await rig.gateway.transfers("p_1")
    assert [transfer.id for transfer in found] == ["tr_3", "tr_2", "tr_1"]
    assert found[2].balance_transaction == BOOKED
    first, second = rig.stripe.received
    assert first.query == {
        "transfer_group": "p_1", "limit": "100", "expand[0]": "data.balance_transaction"
    }  # fmt: skip
    assert second.query == {**first.query, "starting_after": "tr_2"}


async def test_a_list_without_end_is_refused_not_cut() -> None:
    endless = page(transfer_json(), has_more=True)
    async with rigged(*[endless] * reads.PAGES_MAX) as rig:
        with pytest.raises(BrokenInvariant) as refused:
            await rig.gateway.transfers("p_1")
    assert refused.value.code == "list_too_long"


async def test_a_list_with_an_unreadable_object_is_no_list_without_it() -> None:
    mixed = page(intent_json(), intent_json(status="pondering"))
    async with rigged(mixed) as rig:
        with pytest.raises(StripeUnavailable, match="pondering"):
            await rig.gateway.payment_intents(WINDOW)


async def test_a_window_is_widened_to_whole_seconds() -> None:
    async with rigged(page(intent_json())) as rig:
        await rig.gateway.payment_intents(WINDOW)
    [call] = rig.stripe.received
    assert call.query["created[gte]"] == "1790000000"
    assert call.query["created[lte]"] == "1790000002"


async def test_a_connected_accounts_objects_are_read_as_it() -> None:
    payout = {
        "id": "po_1", "object": "payout", "status": "failed", "amount": 5_000, "currency": "usd",
        "arrival_date": 1_790_000_000, "failure_code": "no_account", "failure_message": "Gone.",
        "created": 1_790_000_000, "automatic": True, "metadata": {"payoutId": "p_1"},
    }  # fmt: skip
    balance = {
        "object": "balance", "livemode": False,
        "available": [{"amount": -5, "currency": "usd"}, {"amount": 500, "currency": "isk"}],
        "pending": [],
    }  # fmt: skip
    replies = [page(payout), Reply(body=balance), page(balance_transaction_json())]
    async with rigged(*replies) as rig:
        [found] = await rig.gateway.payouts("acct_vendor", WINDOW)
        funds = await rig.gateway.balance("acct_vendor")
        [line] = await rig.gateway.balance_transactions(source="ch_1", account="acct_vendor")
    assert (found.status, found.failure_code, found.arrival_date) == (
        "failed", "no_account", CREATED
    )  # fmt: skip
    assert (found.created, found.automatic, found.metadata) == (CREATED, True, {"payoutId": "p_1"})
    assert funds.available == (Money(-5, "usd"), Money(5, "isk"))
    assert line == BOOKED
    assert {call.headers["Stripe-Account"] for call in rig.stripe.received} == {"acct_vendor"}
    assert rig.stripe.received[2].query == {"source": "ch_1", "limit": "100"}


async def test_reversals_and_refunds_are_listed() -> None:
    reversal = {
        "id": "trr_1", "object": "transfer_reversal", "transfer": "tr_1", "amount": 100,
        "currency": "usd", "created": 1_790_000_000, "balance_transaction": "txn_9",
    }  # fmt: skip
    refund = {
        "id": "re_1", "object": "refund", "status": "pending", "amount": 100, "currency": "usd",
        "payment_intent": "pi_1", "charge": "ch_1", "created": 1_790_000_000,
    }  # fmt: skip
    async with rigged(page(reversal), page(refund)) as rig:
        [reversed_] = await rig.gateway.reversals("tr_1")
        [refunded] = await rig.gateway.refunds("pi_1")
    assert reversed_.amount == Money(100, "usd")
    assert reversed_.balance_transaction == "txn_9"
    assert (refunded.status, refunded.payment_intent) == ("pending", "pi_1")
    assert rig.stripe.received[0].path == "/v1/transfers/tr_1/reversals"


async def test_m7_lookups_list_and_never_search() -> None:
    window = CreatedWindow(CREATED, CREATED)
    async with rigged(*[page()] * 6) as rig:
        await rig.gateway.transfers("pay_1")
        await rig.gateway.payment_intents(window)
        await rig.gateway.reversals("tr_1")
        await rig.gateway.refunds("pi_1")
        await rig.gateway.payouts("acct_vendor", window)
        await rig.gateway.balance_transactions(source="ch_1")
    received = rig.stripe.received
    assert [call.path for call in received] == [
        "/v1/transfers",
        "/v1/payment_intents",
        "/v1/transfers/tr_1/reversals",
        "/v1/refunds",
        "/v1/payouts",
        "/v1/balance_transactions",
    ]
    assert received[0].query["transfer_group"] == "pay_1"
    assert "created[gte]" in received[1].query


async def test_accounts_say_what_they_may_do() -> None:
    vendor = {
        "id": "acct_vendor", "object": "account", "payouts_enabled": True,
        "capabilities": {"transfers": "active"},
    }  # fmt: skip
    fresh = {"id": "acct_new", "object": "account", "payouts_enabled": False, "capabilities": {}}
    async with rigged(Reply(body=vendor), Reply(body=fresh)) as rig:
        ready = await rig.gateway.account("acct_vendor")
        unready = await rig.gateway.account("acct_new")
        ourselves = await rig.gateway.account()
    assert ready.status.transfers == "active"
    assert ready.status.payouts_enabled
    assert unready.status.transfers is None
    assert ourselves.id == "acct_platform"


async def test_an_account_that_stripe_does_not_show_us_is_not_found() -> None:
    hidden = refusal(403, "invalid_request_error", code="account_invalid")
    async with rigged(hidden) as rig:
        with pytest.raises(NotFound):
            await rig.gateway.account("acct_stranger")


async def test_events_are_listed_as_webhooks_bring_them() -> None:
    event = {
        "id": "evt_1", "object": "event", "type": "transfer.created", "livemode": False,
        "created": 1_790_000_000, "data": {"object": transfer_json()},
    }  # fmt: skip
    async with rigged(page(event), page({"object": "event"})) as rig:
        [found] = await rig.gateway.events(WINDOW)
        with pytest.raises(StripeUnavailable):
            await rig.gateway.events(WINDOW)
    assert found.object_id == "tr_1"
    assert found.payload is not None


async def test_an_id_is_one_segment_of_the_path_whatever_it_holds() -> None:
    async with rigged(refusal(404, "invalid_request_error", code="resource_missing")) as rig:
        with pytest.raises(NotFound):
            await rig.gateway.payment_intent("../transfers?x=y#z")
    [call] = rig.stripe.received
    assert call.path == "/v1/payment_intents/../transfers?x=y#z"
    assert set(call.query) == {"expand[0]"}


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([refusal(404, "invalid_request_error", code="resource_missing")], NotFound),
        ([refusal(400, "invalid_request_error", code="parameter_unknown")], BrokenInvariant),
        ([refusal(403, "invalid_request_error")], CredentialsRejected),
        ([SERVER_ERROR] * 4, StripeUnavailable),
        ([Reply(body=intent_json(status="pondering"))], StripeUnavailable),
    ],
)
async def test_what_a_read_raises(replies: list[Reply], error: type[Exception]) -> None:
    async with rigged(*replies) as rig:
        with pytest.raises(error):
            await rig.gateway.payment_intent("pi_1")


async def test_a_refused_read_after_a_failed_try_is_still_an_answer() -> None:
    gone = refusal(404, "invalid_request_error", code="resource_missing")
    async with rigged(SERVER_ERROR, gone) as rig:
        with pytest.raises(NotFound):
            await rig.gateway.payment_intent("pi_1")
