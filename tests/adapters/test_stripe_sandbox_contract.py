"""The gateway against a stateful Stripe over HTTP: both movements, faults, lists and webhooks."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from stripe import StripeClient

from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.domain import payment_fold
from roadcall_payments.domain.errors import AccountRefused, NotFound
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund as OurRefund
from roadcall_payments.domain.refund import RefundStatus as OurStatus
from roadcall_payments.domain.stripe_objects import (
    Account,
    IntentStatus,
    PaymentIntent,
    Payout,
    Refund,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import (
    Answered,
    CreatedWindow,
    Outcome,
    Refused,
    ReturnAddresses,
    Unknown,
    UnknownReason,
    WebhookSecret,
)
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway
from roadcall_payments.stripe_gateway.retry import RetrySettings
from tests.adapters.scripted_stripe import Safe
from tests.builders import NOON, payment_created
from tests.sandbox.process import SandboxProcess, running_sandbox
from tests.sandbox.receiver import WebhookReceiver, webhook_receiver

AMOUNT = Money(12_500, "usd")
PLATFORM_SECRET, CONNECT_SECRET = "whsec_test_platform", "whsec_test_connect"
SECRETS = (WebhookSecret(PLATFORM_SECRET, "platform"), WebhookSecret(CONNECT_SECRET, "connect"))
QUICK = RetrySettings(first_wait_s=0.01)


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as found:
        yield found


@pytest.fixture(scope="module")
def sandbox(receiver: WebhookReceiver) -> Iterator[SandboxProcess]:
    with running_sandbox(
        *("--webhook-url", receiver.url, "--webhook-secret", PLATFORM_SECRET),
        *("--connect-webhook-url", receiver.url, "--connect-webhook-secret", CONNECT_SECRET),
    ) as process:
        yield process


@pytest.fixture
def no_faults(sandbox: SandboxProcess) -> Iterator[None]:
    yield
    sandbox.control("DELETE", "faults")


@pytest.fixture
def vendor_account(sandbox: SandboxProcess) -> str:
    client = StripeClient("sk_test_vendor", base_addresses={"api": sandbox.url})
    account = client.v1.accounts.create()
    sandbox.control("POST", f"accounts/{account.id}/onboard")
    return account.id


@asynccontextmanager
async def connected(
    sandbox: SandboxProcess, *, retry: RetrySettings = QUICK, timeout_s: float = 10.0
) -> AsyncIterator[StripeGateway]:
    clock = SystemClock()
    settings = GatewaySettings(base_address=sandbox.url, retry=retry, timeout_s=timeout_s)
    gateway = StripeGateway(
        Safe("sk_test_contract", webhook=SECRETS), clock, SystemIds(clock), settings
    )
    try:
        yield gateway
    finally:
        await gateway.close()


@pytest.fixture
async def gateway(sandbox: SandboxProcess, no_faults: None) -> AsyncIterator[StripeGateway]:
    async with connected(sandbox) as found:
        yield found


def a_payment(payer_type: PayerType = PayerType.DRIVER_IC) -> Payment:
    fact = payment_created(str(uuid.uuid4()), amount=AMOUNT, payer_type=payer_type)
    return payment_fold.apply(None, fact, NOON)


async def intent_request(gateway: StripeGateway, payment: Payment) -> StripeRequest:
    key = f"payment_{payment.id}"
    return gateway.payment_intent_request(
        payment, key=key, attempt=1, identity=await gateway.identity()
    )


async def transfer_request(gateway: StripeGateway, destination: str) -> StripeRequest:
    payment = a_payment(PayerType.BACK_OFFICE)
    return gateway.transfer_request(
        payment,
        key=f"transfer_{payment.id}",
        attempt=1,
        destination=destination,
        identity=await gateway.identity(),
    )


async def opened(gateway: StripeGateway) -> tuple[Payment, PaymentIntent]:
    payment = a_payment()
    intent = intent_in(await send(gateway, await intent_request(gateway, payment)))
    return replace(payment, payment_intent=intent.id), intent


async def confirmed(
    gateway: StripeGateway, payment: Payment, method: str, number: int = 1
) -> Outcome:
    request = gateway.confirm_request(
        payment,
        key=f"confirm_{payment.id}_{number}",
        payment_method=method,
        identity=await gateway.identity(),
    )
    return await send(gateway, request)


async def send(gateway: StripeGateway, request: StripeRequest, *, first: bool = True) -> Outcome:
    return await gateway.send(request, first_try=first, budget_s=20)


def intent_in(outcome: Outcome) -> PaymentIntent:
    assert isinstance(outcome, Answered), outcome
    assert isinstance(outcome.object, PaymentIntent)
    return outcome.object


def transfer_in(outcome: Outcome) -> Transfer:
    assert isinstance(outcome, Answered), outcome
    assert isinstance(outcome.object, Transfer)
    return outcome.object


def fault(sandbox: SandboxProcess, kind: str, route: str, count: int = 1, **more: object) -> None:
    sandbox.control("POST", "faults", {"kind": kind, "route": route, "count": count, **more})


def lately() -> CreatedWindow:
    now = datetime.now(UTC)
    return CreatedWindow(now - timedelta(minutes=10), now + timedelta(minutes=10))


async def test_a_driver_pays(gateway: StripeGateway) -> None:
    payment, intent = await opened(gateway)
    assert intent.status is IntentStatus.REQUIRES_PAYMENT_METHOD
    assert intent.client_secret is not None
    assert intent.metadata["paymentId"] == payment.id
    paid = intent_in(await confirmed(gateway, payment, "pm_card_visa"))
    assert paid.status is IntentStatus.SUCCEEDED
    assert paid.amount == AMOUNT
    booked = paid.balance_transaction
    assert booked is not None
    assert (booked.amount, booked.net) == (AMOUNT, AMOUNT - booked.fee)
    assert booked.source == paid.latest_charge
    assert await gateway.payment_intent(intent.id) == paid
    assert replace(paid, balance_transaction=None) in await gateway.payment_intents(lately())
    assert list(await gateway.balance_transactions(source=paid.latest_charge)) == [booked]


async def test_a_declined_card_leaves_the_intent_for_another_card(gateway: StripeGateway) -> None:
    payment, intent = await opened(gateway)
    outcome = await confirmed(gateway, payment, "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert isinstance(outcome, Refused)
    assert outcome.http_status == 402
    assert outcome.failure.decline_code == "insufficient_funds"
    assert outcome.object is not None
    assert outcome.object.id == intent.id
    assert outcome.object.status is IntentStatus.REQUIRES_PAYMENT_METHOD
    paid = intent_in(await confirmed(gateway, payment, "pm_card_visa", 2))
    assert paid.status is IntentStatus.SUCCEEDED


async def test_a_card_that_asks_its_holder(gateway: StripeGateway, sandbox: SandboxProcess) -> None:
    payment, intent = await opened(gateway)
    asked = intent_in(await confirmed(gateway, payment, "pm_card_authenticationRequired"))
    assert asked.status is IntentStatus.REQUIRES_ACTION
    assert asked.next_action is not None
    sandbox.control("POST", f"payment_intents/{intent.id}/authenticate", {"outcome": "succeed"})
    assert (await gateway.payment_intent(intent.id)).status is IntentStatus.SUCCEEDED


async def test_an_intent_is_cancelled_once_and_not_after_success(gateway: StripeGateway) -> None:
    payment, _ = await opened(gateway)
    identity = await gateway.identity()
    request = gateway.cancel_request(payment, key=f"cancel_{payment.id}_1", identity=identity)
    assert intent_in(await send(gateway, request)).status is IntentStatus.CANCELED
    paid, _ = await opened(gateway)
    await confirmed(gateway, paid, "pm_card_visa")
    late = gateway.cancel_request(paid, key=f"cancel_{paid.id}_1", identity=identity)
    outcome = await send(gateway, late)
    assert isinstance(outcome, Refused)
    assert outcome.failure.code == "payment_intent_unexpected_state"


async def test_a_back_office_pays_a_vendor(gateway: StripeGateway, vendor_account: str) -> None:
    request = await transfer_request(gateway, vendor_account)
    moved = transfer_in(await send(gateway, request))
    assert moved.amount == AMOUNT
    assert moved.destination == vendor_account
    assert moved.balance_transaction is not None
    assert moved.balance_transaction.amount == -AMOUNT
    assert moved.transfer_group is not None
    assert await gateway.transfer(moved.id) == moved
    assert list(await gateway.transfers(moved.transfer_group)) == [moved]
    assert list(await gateway.reversals(moved.id)) == []
    assert AMOUNT in (await gateway.balance(vendor_account)).available


async def test_a_repeated_send_is_a_replay_and_moves_nothing_more(
    gateway: StripeGateway, vendor_account: str
) -> None:
    request = await transfer_request(gateway, vendor_account)
    first = await send(gateway, request)
    again = await send(gateway, request, first=False)
    assert isinstance(again, Answered)
    assert again.replayed
    assert again.object == transfer_in(first)


async def test_other_parameters_under_the_same_key_prove_nothing(
    gateway: StripeGateway, vendor_account: str
) -> None:
    request = await transfer_request(gateway, vendor_account)
    await send(gateway, request)
    outcome = await send(gateway, replace(request, params=request.params.replace("12500", "125")))
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.IDEMPOTENCY_MISMATCH


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "drop_before", "conflict"])
async def test_what_is_lost_on_the_way_is_found_by_the_retry_and_done_once(
    gateway: StripeGateway, sandbox: SandboxProcess, vendor_account: str, kind: str
) -> None:
    request = await transfer_request(gateway, vendor_account)
    fault(sandbox, kind, "POST /v1/transfers")
    moved = transfer_in(await send(gateway, request))
    assert moved.transfer_group is not None
    assert list(await gateway.transfers(moved.transfer_group)) == [moved]


async def test_a_saved_500_is_given_up_at_its_first_replay_and_found_by_looking(
    gateway: StripeGateway, sandbox: SandboxProcess, vendor_account: str
) -> None:
    request = await transfer_request(gateway, vendor_account)
    fault(sandbox, "error_after", "POST /v1/transfers")
    outcome = await send(gateway, request)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.REPLAYED_SERVER_ERROR
    group = request.idempotency_key.removeprefix("transfer_")
    assert len(await gateway.transfers(group)) == 1


async def test_an_answer_that_takes_too_long_is_unknown(
    sandbox: SandboxProcess, no_faults: None, vendor_account: str
) -> None:
    async with connected(sandbox) as patient:
        request = await transfer_request(patient, vendor_account)
    async with connected(sandbox, retry=RetrySettings(retries_max=0), timeout_s=0.3) as hasty:
        fault(sandbox, "delay_after", "POST /v1/transfers", seconds=1)
        outcome = await send(hasty, request)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.TIMEOUT


async def test_a_vendors_balance_is_paid_out_as_the_vendor(
    gateway: StripeGateway, vendor_account: str
) -> None:
    await send(gateway, await transfer_request(gateway, vendor_account))
    request = gateway.payout_request(
        "po_ours",
        Money(5_000, "usd"),
        key=f"payout_{uuid.uuid4()}",
        account=vendor_account,
        identity=await gateway.identity(),
    )
    outcome = await send(gateway, request)
    assert isinstance(outcome, Answered), outcome
    assert isinstance(outcome.object, Payout)
    assert outcome.object in await gateway.payouts(vendor_account, lately())


async def test_a_refund_is_made_and_listed(gateway: StripeGateway) -> None:
    payment, intent = await opened(gateway)
    await confirmed(gateway, payment, "pm_card_visa")
    asked = OurRefund("refund_ours", Money(500, "usd"), "duplicate", OurStatus.APPROVED, NOON, NOON)
    request = gateway.refund_request(
        payment, asked, key=f"refund_{uuid.uuid4()}", identity=await gateway.identity()
    )
    outcome = await send(gateway, request)
    assert isinstance(outcome, Answered), outcome
    made = outcome.object
    assert isinstance(made, Refund)
    assert (made.metadata["refundId"], made.reason) == ("refund_ours", "duplicate")
    assert made.drawn
    assert made.balance_transaction is not None
    assert made.balance_transaction.amount == Money(-500, "usd")
    assert list(await gateway.refunds(intent.id)) == [made]


async def test_accounts_are_described(gateway: StripeGateway, vendor_account: str) -> None:
    ourselves = await gateway.account()
    assert ourselves.id == (await gateway.identity()).account
    vendor = await gateway.account(vendor_account)
    assert vendor.status.payouts_enabled
    assert vendor.status.transfers == "active"


async def test_an_account_is_opened_once_listed_and_sent_to_its_page(
    gateway: StripeGateway, sandbox: SandboxProcess
) -> None:
    vendor_id = f"ve_{uuid.uuid4()}"
    identity, key = await gateway.identity(), f"account_{vendor_id}"
    request = gateway.account_request(vendor_id, "US", key=key, attempt=1, identity=identity)
    first, again = await send(gateway, request), await send(gateway, request)
    assert isinstance(first, Answered), first
    assert isinstance(again, Answered), again
    made = first.object
    assert isinstance(made, Account)
    assert (again.object.id, again.replayed) == (made.id, True)
    assert made.metadata["vendorId"] == vendor_id
    assert not made.status.details_submitted
    now = datetime.now(UTC)
    window = CreatedWindow(now - timedelta(minutes=5), now + timedelta(minutes=5))
    listed = [one.id for one in await gateway.accounts(window)]
    assert listed.count(made.id) == 1
    page = await gateway.onboarding_page(made.id, ReturnAddresses("http://a/1", "http://a/2"))
    assert page.url.startswith(sandbox.url)
    with pytest.raises(AccountRefused):
        await gateway.dashboard_page(made.id)
    sandbox.control("POST", f"accounts/{made.id}/onboard")
    onboarded = await gateway.account(made.id)
    assert onboarded.status.transfers == "active"
    assert [bank.last4 for bank in onboarded.status.banks] == ["6789"]
    assert (await gateway.dashboard_page(made.id)).url.startswith(sandbox.url)


async def test_what_is_not_there_is_not_found(gateway: StripeGateway) -> None:
    with pytest.raises(NotFound):
        await gateway.payment_intent("pi_absent")
    with pytest.raises(NotFound):
        await gateway.transfer("tr_absent")
    with pytest.raises(NotFound):
        await gateway.account("acct_absent")


async def test_webhooks_verify_and_carry_what_the_api_says(
    gateway: StripeGateway, receiver: WebhookReceiver
) -> None:
    payment, intent = await opened(gateway)
    await confirmed(gateway, payment, "pm_card_visa")
    arrived = receiver.wait_for("payment_intent.succeeded")
    event = await gateway.verified_event(arrived.body, arrived.signature, now=datetime.now(UTC))
    assert event.untranslatable is None
    assert isinstance(event.payload, PaymentIntent)
    assert event.connected_account is None
    listed = {each.object_id for each in await gateway.events(lately())}
    assert intent.id in listed


async def test_a_rejected_key_is_replaced_while_running(
    sandbox: SandboxProcess, no_faults: None, vendor_account: str
) -> None:
    clock, safe = SystemClock(), Safe("sk_test_leaving")
    settings = GatewaySettings(base_address=sandbox.url, retry=QUICK)
    gateway = StripeGateway(safe, clock, SystemIds(clock), settings)
    request = await transfer_request(gateway, vendor_account)
    sandbox.control("POST", "keys", {"revoke": ["sk_test_leaving"]})
    safe.key = "sk_test_coming"
    outcome = await send(gateway, request)
    await gateway.close()
    assert isinstance(outcome, Answered)
