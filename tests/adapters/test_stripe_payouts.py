"""Payouts of vendors' accounts: each call speaks for one account, and reads what Stripe has."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import pytest
from stripe import StripeClient
from stripe.params import AccountCreateParams

from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import Payout, PayoutStatus, StripeIdentity
from roadcall_payments.ports import Answered, CreatedWindow, Refused
from roadcall_payments.stripe_gateway import requests
from roadcall_payments.stripe_gateway.client import StripeGateway
from tests.adapters.scripted_stripe import ACCOUNT, Reply, rigged
from tests.adapters.test_stripe_sandbox_contract import (
    AMOUNT,
    connected,
    send,
    transfer_in,
    transfer_request,
)
from tests.sandbox.process import SandboxProcess, running_sandbox

FUNDS = Money(5_000, "usd")
PLATFORM = StripeIdentity(ACCOUNT, livemode=False)
CREATED = 1_790_000_000
SHOWN = {
    "id": "po_1",
    "object": "payout",
    "amount": 5_000,
    "currency": "usd",
    "status": "pending",
    "arrival_date": CREATED,
    "created": CREATED,
    "automatic": False,
    "failure_code": None,
    "failure_message": None,
    "metadata": {},
    "livemode": False,
}
NOTHING = {"object": "list", "data": [], "has_more": False, "url": "/v1/payouts"}
MOMENT = datetime.fromtimestamp(CREATED, UTC)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """One whose clock this module moves."""
    with running_sandbox() as process:
        yield process


def vendor_account(sandbox: SandboxProcess, interval: Literal["manual", "daily"] = "manual") -> str:
    client = StripeClient("sk_test_vendor", base_addresses={"api": sandbox.url})
    schedule = {"settings": {"payouts": {"schedule": {"interval": interval}}}}
    account = client.v1.accounts.create(cast(AccountCreateParams, schedule))
    sandbox.control("POST", f"accounts/{account.id}/onboard")
    return account.id


async def funded(gateway: StripeGateway, account: str) -> str:
    """A transfer of AMOUNT to the account; its id."""
    return transfer_in(await send(gateway, await transfer_request(gateway, account))).id


async def paid_out(gateway: StripeGateway, account: str) -> Payout:
    payout_id = str(uuid.uuid4())
    request = gateway.payout_request(
        payout_id,
        FUNDS,
        key=f"payout_{payout_id}",
        account=account,
        identity=await gateway.identity(),
    )
    outcome = await send(gateway, request)
    assert isinstance(outcome, Answered), outcome
    assert isinstance(outcome.object, Payout)
    assert outcome.object.metadata == {"purpose": "payout", "payoutId": payout_id}
    return outcome.object


async def test_every_call_speaks_for_the_vendors_account() -> None:
    """Without the header Stripe would read, and pay out, the platform's own balance."""
    made, listed = Reply(body=SHOWN), Reply(body=NOTHING)
    asked = requests.payout_request("own_1", FUNDS, key="k1", account="acct_v", identity=PLATFORM)
    back = requests.cancel_payout_request("po_1", key="k2", account="acct_v", identity=PLATFORM)
    async with rigged(made, made, made, listed, listed) as rig:
        for request in (asked, back):
            outcome = await rig.gateway.send(request, first_try=True, budget_s=10)
            assert isinstance(outcome, Answered), outcome
        await rig.gateway.payout("acct_v", "po_1")
        await rig.gateway.payouts("acct_v", CreatedWindow(MOMENT, MOMENT))
        await rig.gateway.carried_lines("acct_v", "po_1")
    assert [one.headers["Stripe-Account"] for one in rig.stripe.received] == ["acct_v"] * 5
    assert [(one.method, one.path) for one in rig.stripe.received] == [
        ("POST", "/v1/payouts"),
        ("POST", "/v1/payouts/po_1/cancel"),
        ("GET", "/v1/payouts/po_1"),
        ("GET", "/v1/payouts"),
        ("GET", "/v1/balance_transactions"),
    ]
    assert [one.headers.get("Idempotency-Key") for one in rig.stripe.received[:2]] == ["k1", "k2"]
    assert rig.stripe.received[4].query["payout"] == "po_1"


async def test_a_payout_is_read_in_its_own_account_alone(sandbox: SandboxProcess) -> None:
    account, other = vendor_account(sandbox), vendor_account(sandbox)
    async with connected(sandbox) as gateway:
        await funded(gateway, account)
        made = await paid_out(gateway, account)
        assert await gateway.payout(account, made.id) == made
        with pytest.raises(NotFound):
            await gateway.payout(other, made.id)
        sandbox.control("POST", f"payouts/{made.id}/pay")
        assert (await gateway.payout(account, made.id)).status is PayoutStatus.PAID
        sandbox.control("POST", f"payouts/{made.id}/fail", {"failure_code": "account_closed"})
        failed = await gateway.payout(account, made.id)
    assert (failed.status, failed.failure_code) == (PayoutStatus.FAILED, "account_closed")
    assert failed.failure_message == "The bank account has been closed."


async def test_a_pending_payout_is_cancelled_once_and_a_paid_one_not(
    sandbox: SandboxProcess,
) -> None:
    account = vendor_account(sandbox)
    async with connected(sandbox) as gateway:
        await funded(gateway, account)
        identity = await gateway.identity()
        outcomes = []
        for paid in (False, True):
            made = await paid_out(gateway, account)
            if paid:
                sandbox.control("POST", f"payouts/{made.id}/pay")
            request = gateway.cancel_payout_request(
                made.id, key=f"payout_cancel_{made.id}", account=account, identity=identity
            )
            outcomes.append(await send(gateway, request))
            if not paid:
                assert AMOUNT in (await gateway.balance(account)).available
                again = await send(gateway, request, first=False)
                assert isinstance(again, Answered)
                assert again.replayed
    first, second = outcomes
    assert isinstance(first, Answered)
    assert isinstance(first.object, Payout)
    assert first.object.status is PayoutStatus.CANCELED
    assert isinstance(second, Refused), "the bank has the order"


async def test_stripe_says_what_its_own_payout_carried_and_by_which_transfer(
    sandbox: SandboxProcess,
) -> None:
    account = vendor_account(sandbox, "daily")
    async with connected(sandbox) as gateway:
        transfers = {await funded(gateway, account) for _ in range(2)}
        sandbox.control("POST", "clock", {"advance": 86_400})
        now = datetime.now(UTC)
        window = CreatedWindow(now - timedelta(days=1), now + timedelta(days=2))
        (automatic,) = await gateway.payouts(account, window)
        lines = await gateway.carried_lines(account, automatic.id)
    assert automatic.automatic
    assert automatic.amount == AMOUNT + AMOUNT
    jobs = [one for one in lines if one.line.type != "payout"]
    assert {one.transfer for one in jobs} == transfers
    assert [one.line.net for one in jobs] == [AMOUNT, AMOUNT]
    assert sum(one.line.net.amount_cents for one in lines) == 0, "the payout's own line included"
