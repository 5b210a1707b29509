"""A market in any currency: whatever happens there, Stripe is sent amounts that it takes (M38), and
the books add up."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.settlement_reading import is_sound

# Ours in minor units by ISO 4217; what Stripe is sent is another number for some.
SMALLEST = [Money(50, "usd"), Money(10, "kwd"), Money(1, "isk")]
ORDINARY = [Money(12_345, "jpy"), Money(12_340, "kwd"), Money(1_234_500, "mga")]
LARGEST = [
    Money(99_999_999, "usd"),
    Money(99_999_999, "jpy"),
    Money(99_999_990, "kwd"),
    Money(99_999_999_999, "idr"),
]
ALL = [*SMALLEST, *ORDINARY, *LARGEST]
# The smallest step of each that Stripe carries, ours and Stripe's own.
STEP = {"kwd": 10, "mga": 100}
STRIPES_STEP = {"kwd": 10, "isk": 100}
BPS, FIXED = 1_290, 33


def floor(cents: int, currency: str) -> int:
    step = STEP.get(currency, 1)
    return cents // step * step


def fee_of(amount: Money) -> int:
    """12.9 % and 0.33 (of usd), rounded down, never more than there is."""
    fee = amount.amount_cents * BPS // 10_000 + FIXED
    return floor(min(fee, amount.amount_cents), amount.currency)


@asynccontextmanager
async def open_market(
    directory: Path, currency: str, *, returns_fee: bool = False, fee: bool = True
) -> AsyncIterator[Office]:
    terms: dict[str, object] = {"returns_platform_fee": returns_fee, "settlement": True}
    if fee:
        terms |= {"platform_fee_bps": BPS, "platform_fee_fixed_cents": FIXED}
    async with open_office(directory, None, **terms) as office:
        office.stripe.platform_funds[currency] = 10**13
        yield office
        for request in office.stripe.sent:
            sent = json.loads(request.params).get("amount")
            assert sent is None or sent > 0, request.params
            assert (sent or 0) % STRIPES_STEP.get(currency, 1) == 0, request.params
        assert await is_sound(office)


def named(amount: Money) -> str:
    return f"{amount.amount_cents} {amount.currency}"


in_every_currency = pytest.mark.parametrize("amount", ALL, ids=named)


async def settle(office: Office) -> None:
    """Until nothing is to be done any more: one call at a time."""
    for _ in range(4):
        await office.attend()


async def transferred(office: Office, vendor_id: str, amount: Money) -> str:
    """A back office's payment to the vendor."""
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id, amount)
    if (await office.payment(payment_id)).flagged:
        await office.service.approvals.review(ADMIN, payment_id, True, None)
    answer = await office.service.approvals.approve(APPROVER, payment_id)
    if answer.payment.status is Status.PENDING_APPROVAL:
        await office.service.approvals.approve(ADMIN, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


SYMBOLS = {"usd": r"\$", "jpy": "¥", "kwd": "KWD", "isk": "ISK", "idr": "IDR", "mga": "MGA"}
DECIMALS = {"usd": 2, "jpy": 0, "kwd": 3, "isk": 0, "idr": 2, "mga": 2}


def assert_decimals(text: str, currency: str) -> None:
    """Every amount in the text has the decimals of its currency, and there is one."""
    found = re.findall(rf"{SYMBOLS[currency]}\s?(\d[\d,]*(?:\.\d+)?)", text)
    assert found, text
    assert {len(one.partition(".")[2]) for one in found} == {DECIMALS[currency]}, text
