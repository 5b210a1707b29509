"""What a lookup brings, and that it is worth something only on the payment's own account (M6, M8,
M18)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    IntentStatus,
    Operation,
    PaymentIntent,
    Transfer,
)
from roadcall_payments.ports import Unknown, UnknownReason
from tests.fakes.gateway import IDENTITY
from tests.workflows.office import DISPATCHER, Office, open_office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as found:
        yield found


async def test_a_list_of_an_account_that_came_in_between_does_not_prove_absence(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    office.stripe.script(
        Operation.CREATE_TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    await office.service.payments.process(DISPATCHER, payment_id, None)

    async def replaced_key(_group: str) -> Sequence[Transfer]:
        """The key is rejected and replaced while the list is asked for."""
        office.stripe.speaks_for = replace(IDENTITY, account="acct_other")
        return ()

    monkeypatch.setattr(office.stripe, "transfers", replaced_key)
    for hours in (26, 2, 2):
        office.stripe.speaks_for = IDENTITY
        await office.attend(timedelta(hours=hours))
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert payment.attempt is not None
    assert payment.attempt.absences == ()


async def paid_unheard(office: Office) -> tuple[str, str]:
    """The answer that opened the PaymentIntent was lost, and it was paid meanwhile."""
    payment_id = await office.approved(PayerType.DRIVER_IC)
    office.stripe.script(
        Operation.CREATE_PAYMENT_INTENT, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    await office.service.payments.process(DISPATCHER, payment_id, None)
    opened = office.stripe._opened(office.stripe.sent[-1])
    now = datetime.now(UTC)
    fee = Money(400, "usd")
    line = BalanceTransaction(
        "txn_1", "charge", "ch_1", opened.amount, fee, opened.amount - fee, now, now
    )
    office.stripe.intents[opened.id] = replace(
        opened,
        status=IntentStatus.SUCCEEDED,
        latest_charge="ch_1",
        balance_transaction=line,
    )
    return payment_id, opened.id


async def test_m6_what_was_paid_is_found_with_stripes_line_though_the_list_has_none(
    office: Office,
) -> None:
    payment_id, _ = await paid_unheard(office)
    await office.attend(timedelta(minutes=1))
    payment = await office.payment(payment_id)
    assert (payment.status, payment.unbooked) == (Status.COMPLETED, ())


async def test_what_is_listed_and_not_found_settles_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id, intent_id = await paid_unheard(office)

    async def another_accounts(_: str) -> PaymentIntent:
        raise NotFound("Stripe has no such object.")

    with monkeypatch.context() as patched:
        patched.setattr(office.stripe, "payment_intent", another_accounts)
        await office.attend(timedelta(minutes=1))
        payment = await office.payment(payment_id)
        assert (payment.status, payment.payment_intent) == (Status.PROCESSING, None)
    await office.attend(timedelta(hours=1))
    assert (await office.payment(payment_id)).payment_intent == intent_id
