"""A lookup is worth something only on the payment's own account (M8, M18)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import Operation, Transfer
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
