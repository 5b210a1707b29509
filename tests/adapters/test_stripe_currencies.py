"""The service on the real gateway and a Stripe with state, in currencies whose units differ.

Ours are ISO 4217's, Stripe's are not always: whatever is wrong between the two shows in what the
connected account then has. All within this process, without a socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
import stripe

from roadcall_payments.bootstrap import Service, join
from roadcall_payments.clock import SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.events import PayerType, RefundReason
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.ports import Channel, Queue
from roadcall_payments.stores.sqlite import open_sqlite
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.refunds import NewRefund
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from stripe_sandbox import Request, Sandbox, SandboxClock
from tests.adapters.scripted_stripe import Safe
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, DRIVER

KEY = "sk_test_currencies"
BANK = {"object": "bank_account", "account_number": "000123456789", "routing_number": "110000000"}

CHARGE = {
    "amount": "9000000",
    "payment_method": "pm_card_bypassPending",
    "confirm": "true",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}


class Line(stripe.HTTPClient):
    """What the SDK sends is answered by the sandbox, at once."""

    name = "in_process"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        parts = urlsplit(url)
        sent = {name.lower(): value for name, value in headers.items()}
        body = (post_data or "").encode()
        asked = Request(method.upper(), parts.path, parts.query, sent, body)
        answered = self._sandbox.handle(asked).response
        return answered.body, answered.status, answered.headers

    async def close_async(self) -> None:
        return None


@dataclass
class Town:
    """The service, its Stripe, and one vendor whose bank takes the currency."""

    service: Service
    sandbox: Sandbox
    clock: ManualClock
    account: str

    async def attend(self, after: timedelta = timedelta()) -> None:
        self.clock.advance(after.total_seconds())
        for _ in range(4):
            await self.service.worker.work(Queue.ATTENTION)

    def at_stripe(self, currency: str) -> tuple[int, int]:
        """What the vendor's account has available and pending, in Stripe's units."""
        funds = self.sandbox.world.funds[self.account][currency]
        return funds.available, funds.pending

    async def in_the_books(self, currency: str) -> int:
        lines = await self.service.store.balances(self.account)
        mine = (one for one in lines if one.account == "stripe_balance")
        return sum(one.amount_cents for one in mine if one.currency == currency)


def post(sandbox: Sandbox, path: str, params: Mapping[str, str]) -> str:
    """Somebody else's call; the id of what it made."""
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
    asked = Request("POST", path, "", sent, urlencode(params).encode())
    answered = msgspec.json.decode(sandbox.handle(asked).response.body, type=dict)
    assert "id" in answered, answered
    return str(answered["id"])


@asynccontextmanager
async def open_town(directory: Path, currency: str) -> AsyncIterator[Town]:
    clock = ManualClock()
    began = int(clock.now().timestamp() * 1_000)
    sandbox = Sandbox(SandboxClock(source=lambda: began + int(clock.monotonic() * 1_000)))
    bank = BANK | {"country": "US", "currency": currency}
    account = post(
        sandbox,
        "/v1/accounts",
        {f"external_account[{name}]": value for name, value in bank.items()},
    )
    # What the platform has besides, or refunds would wait for its funds.
    post(sandbox, "/v1/payment_intents", CHARGE | {"currency": currency})
    fee = {"platform_fee_bps": 1_290, "platform_fee_fixed_cents": 33}
    settings = Settings.model_validate(
        {"data_dir": directory, "settlement": True, "returns_platform_fee": True, **fee}
    )
    at = GatewaySettings(base_address="http://stripe.example")
    gateway = StripeGateway(Safe(KEY), clock, SystemIds(clock), at, Line(sandbox))
    store = open_sqlite(settings.sqlite_path)
    mail = {channel: RecordingNotifier() for channel in Channel}
    service = join(settings, store, gateway, clock, SystemIds(clock), mail)
    record = VendorRecord(account, "en-US", Contacts("Tow & Go", None, None, None))
    await service.vendors.put(ADMIN, "ve_1", record)
    try:
        yield Town(service, sandbox, clock, account)
    finally:
        await gateway.close()
        await store.close()


async def paid(town: Town, amount: Money, job: str) -> str:
    """A driver's payment by a card whose funds are there at once."""
    service = town.service
    new = NewPayment(
        company_id="co_1",
        incident_id=job,
        vendor_id="ve_1",
        driver_id="dr_1",
        payer_type=PayerType.DRIVER_IC,
        amount=amount,
        line_items=(NewLineItem("tow", 1, amount.amount_cents),),
    )
    payment_id = (await service.intake.create(DISPATCHER, new)).payment.id
    if (await service.queries.payment(payment_id)).flagged:
        await service.approvals.review(ADMIN, payment_id, True, None)
    await service.approvals.approve(APPROVER, payment_id)
    if (await service.queries.payment(payment_id)).status is Status.PENDING_APPROVAL:
        await service.approvals.approve(ADMIN, payment_id)
    await service.payments.process(DISPATCHER, payment_id, None)
    await service.payments.confirm(DRIVER, payment_id, "pm_card_bypassPending")
    assert (await service.queries.payment(payment_id)).status is Status.COMPLETED
    return payment_id


@pytest.mark.parametrize(
    ("amount", "share", "stripes_share"),
    [
        (Money(12_345, "jpy"), 10_720, 10_720),
        # Our fee is rounded down to a ten.
        (Money(12_340, "kwd"), 10_720, 10_720),
        (Money(12_345, "isk"), 10_720, 1_072_000),
        (Money(1_234_500, "mga"), 1_075_300, 10_753),
    ],
    ids=str,
)
async def test_m38_our_units_and_stripes_agree_to_the_bank(
    tmp_path: Path, amount: Money, share: int, stripes_share: int
) -> None:
    currency = amount.currency
    async with open_town(tmp_path, currency) as town:
        first = await paid(town, amount, "in_1")
        await town.attend()
        assert await town.in_the_books(currency) == share
        assert sum(town.at_stripe(currency)) == stripes_share
        second = await paid(town, amount, "in_2")
        await town.attend(timedelta(days=3))
        assert await town.in_the_books(currency) == 2 * share

        refunds = town.service.refunds
        whole = NewRefund(None, RefundReason.REQUESTED_BY_CUSTOMER)
        asked = await refunds.request(DISPATCHER, second, whole)
        answer = await refunds.approve(ADMIN, asked.payment.refunds[-1].id)
        assert answer.status == 200
        await town.attend()
        assert await town.in_the_books(currency) == share
        assert town.at_stripe(currency) == (stripes_share, 0)

        made = await town.service.payouts.request(ADMIN, "ve_1", Money(share, currency))
        assert (made.status, made.payout.amount) == (201, Money(share, currency))
        assert town.at_stripe(currency) == (0, 0)
        advice = await town.service.payout_statement.advice(made.payout)
        assert [(one.payment_id, one.carried) for one in advice.remittance.jobs] == [
            (first, Money(share, currency))
        ]
        assert await town.service.verification.verify(lambda _: None) == []
