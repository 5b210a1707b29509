"""What tests of payouts ask for, make happen, and read again."""

from __future__ import annotations

from datetime import timedelta

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import Operation
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Unknown, UnknownReason
from roadcall_payments.workflows.idempotency import IdempotencyKey
from tests.workflows.office import ACCOUNT, ADMIN, Office

PAYOUT, CANCEL = Operation.CREATE_PAYOUT, Operation.CANCEL_PAYOUT
TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
SOON = timedelta(seconds=31)
AMOUNT = Money(4_000, "usd")


def key(name: str) -> IdempotencyKey:
    return IdempotencyKey("admin POST /vendors", name, "digest")


async def vendor_with(office: Office, funds: Money = Money(10_000, "usd")) -> str:  # noqa: B008  # frozen, so it can be shared
    office.stripe.fund(ACCOUNT, funds)
    return await office.vendor()


async def requested(office: Office, amount: Money = AMOUNT) -> Payout:
    vendor_id = await vendor_with(office, Money(99_999_990, amount.currency))
    return (await office.service.payouts.request(ADMIN, vendor_id, amount)).payout


async def payout_of(office: Office, payout_id: str) -> Payout:
    return await office.service.payouts.get(payout_id)


async def facts(office: Office, payout_id: str) -> list[str]:
    entries = await office.service.store.journal(stream_of("payout", payout_id))
    return [entry.type for entry in entries]


async def bank_told(
    office: Office, payout: Payout, status: Theirs, code: str | None = None
) -> None:
    """The bank's next step, and Stripe's event of it."""
    shown = office.stripe.payout_becomes(payout.stripe_payout or "", status, code)
    kind = "updated" if status is Theirs.IN_TRANSIT else status.value
    body = office.stripe.event(f"evt_{shown.id}_{status}", f"payout.{kind}", shown, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")


async def book(office: Office) -> dict[str, int]:
    lines = await office.service.store.balances(ACCOUNT)
    return {line.account: line.amount_cents for line in lines}


def sent(office: Office, operation: Operation = PAYOUT) -> list[str]:
    return [one.idempotency_key for one in office.stripe.sent if one.operation is operation]
