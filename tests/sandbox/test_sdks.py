"""Stripe's own SDKs run the same script with the same results: Python, Python async, Node."""

import json
import subprocess
from typing import Any

import stripe
from stripe import StripeClient

from tests.external_tools import require_tool
from tests.sandbox.node_packages import LOCKED, node_folder
from tests.sandbox.process import running_sandbox

AUTOMATIC: Any = {"enabled": True, "allow_redirects": "never"}
INTENT: Any = {
    "amount": 5_000,
    "currency": "usd",
    "automatic_payment_methods": AUTOMATIC,
    "metadata": {"job": "1"},
    "transfer_group": "job_1",
}
BANK: Any = {
    "object": "bank_account",
    "country": "US",
    "currency": "usd",
    "account_number": "000123456789",
    "routing_number": "110000000",
}
EXPANDED: Any = {
    "payment_method": "pm_card_visa",
    "expand": ["latest_charge.balance_transaction"],
}
DECLINED: Any = {"payment_method": "pm_card_visa_chargeDeclined"}
HUGE = 90_000_000

Facts = list[list[Any]]
"""What the script saw, in words and numbers."""

EXPECTED: Facts = [
    ["created", "requires_payment_method", "1"],
    ["replayed", True],
    ["declined", 402, "card_declined", "generic_decline"],
    ["paid", "succeeded", 175],
    ["transferred", 4_000, False],
    ["reversed", 1_000],
    ["refused", 400, "balance_insufficient"],
    ["paid out", "pending"],
    ["refunded", "succeeded"],
    ["balance", 996_500, 4_825],
    [
        "events",
        [
            "charge.refunded",
            "refund.created",
            "transfer.reversed",
            "balance.available",
            "transfer.created",
            "payment_intent.succeeded",
            "charge.succeeded",
            "payment_intent.payment_failed",
            "charge.failed",
            "payment_intent.created",
            "balance.available",
        ],
    ],
    ["listed", 1, False],
]


def make_client(url: str) -> StripeClient:
    return StripeClient("sk_test_sdk_script", base_addresses={"api": url})


def test_python() -> None:
    with running_sandbox() as sandbox:
        assert run_python(make_client(sandbox.url)) == EXPECTED


def run_python(client: StripeClient) -> Facts:
    api: Any = client.v1
    intent = api.payment_intents.create(INTENT, {"idempotency_key": "payment_1"})
    facts: Facts = [["created", intent.status, intent.metadata["job"]]]
    again = api.payment_intents.create(INTENT, {"idempotency_key": "payment_1"})
    facts.append(["replayed", again.id == intent.id])
    try:
        api.payment_intents.confirm(intent.id, DECLINED)
    except stripe.CardError as error:
        facts.append(["declined", error.http_status, error.code, declined_with(error)])
    paid = api.payment_intents.confirm(intent.id, EXPANDED)
    facts.append(["paid", paid.status, paid.latest_charge.balance_transaction.fee])
    vendor = api.accounts.create({"external_account": BANK})
    params = {"currency": "usd", "destination": vendor.id}
    transfer = api.transfers.create(
        {**params, "amount": 4_000, "transfer_group": "job_1"}, {"idempotency_key": "transfer_1"}
    )
    facts.append(["transferred", transfer.amount, transfer.reversed])
    reversal = api.transfers.reversals.create(transfer.id, {"amount": 1_000})
    facts.append(["reversed", reversal.amount])
    try:
        api.transfers.create({**params, "amount": HUGE})
    except stripe.InvalidRequestError as error:
        facts.append(["refused", error.http_status, error.code])
    payout = api.payouts.create({"amount": 3_000, "currency": "usd"}, {"stripe_account": vendor.id})
    facts.append(["paid out", payout.status])
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 500})
    facts.append(["refunded", refund.status])
    balance = api.balance.retrieve()
    facts.append(["balance", balance.available[0].amount, balance.pending[0].amount])
    events = api.events.list({"limit": 3}).auto_paging_iter()
    facts.append(["events", [event.type for event in events]])
    listed = api.transfers.list({"transfer_group": "job_1"})
    facts.append(["listed", len(listed.data), listed.has_more])
    return facts


async def test_python_async() -> None:
    with running_sandbox() as sandbox:
        http_client: Any = stripe.AIOHTTPClient()
        client = StripeClient(
            "sk_test_sdk_script", base_addresses={"api": sandbox.url}, http_client=http_client
        )
        try:
            facts = await run_python_async(client)
        finally:
            await http_client.close_async()
    assert facts == EXPECTED


async def run_python_async(client: StripeClient) -> Facts:
    api: Any = client.v1
    intent = await api.payment_intents.create_async(INTENT, {"idempotency_key": "payment_1"})
    facts: Facts = [["created", intent.status, intent.metadata["job"]]]
    again = await api.payment_intents.create_async(INTENT, {"idempotency_key": "payment_1"})
    facts.append(["replayed", again.id == intent.id])
    try:
        await api.payment_intents.confirm_async(intent.id, DECLINED)
    except stripe.CardError as error:
        facts.append(["declined", error.http_status, error.code, declined_with(error)])
    paid = await api.payment_intents.confirm_async(intent.id, EXPANDED)
    facts.append(["paid", paid.status, paid.latest_charge.balance_transaction.fee])
    vendor = await api.accounts.create_async({"external_account": BANK})
    params = {"currency": "usd", "destination": vendor.id}
    transfer = await api.transfers.create_async(
        {**params, "amount": 4_000, "transfer_group": "job_1"}, {"idempotency_key": "transfer_1"}
    )
    facts.append(["transferred", transfer.amount, transfer.reversed])
    reversal = await api.transfers.reversals.create_async(transfer.id, {"amount": 1_000})
    facts.append(["reversed", reversal.amount])
    try:
        await api.transfers.create_async({**params, "amount": HUGE})
    except stripe.InvalidRequestError as error:
        facts.append(["refused", error.http_status, error.code])
    payout = await api.payouts.create_async(
        {"amount": 3_000, "currency": "usd"}, {"stripe_account": vendor.id}
    )
    facts.append(["paid out", payout.status])
    refund = await api.refunds.create_async({"payment_intent": intent.id, "amount": 500})
    facts.append(["refunded", refund.status])
    balance = await api.balance.retrieve_async()
    facts.append(["balance", balance.available[0].amount, balance.pending[0].amount])
    events = (await api.events.list_async({"limit": 3})).auto_paging_iter()
    facts.append(["events", [event.type async for event in events]])
    listed = await api.transfers.list_async({"transfer_group": "job_1"})
    facts.append(["listed", len(listed.data), listed.has_more])
    return facts


def declined_with(error: stripe.CardError) -> str | None:
    return error.error.decline_code if error.error is not None else None


def test_node() -> None:
    script = (LOCKED / "script.mjs").read_text("utf-8")
    folder = node_folder()
    copied = folder / "script.mjs"
    copied.write_text(script, "utf-8")
    with running_sandbox() as sandbox:
        done = subprocess.run(
            [require_tool("node"), str(copied), sandbox.url],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXPECTED
