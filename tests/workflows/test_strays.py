"""Money that no decision of ours moved (M16): what becomes of it afterwards is booked as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import BalanceTransaction
from tests.workflows.office import Office
from tests.workflows.test_drift_repair import backed_up, pay, repaired, restored

SUSPENSE = ("acct_platform", "suspense:stray")


async def books(office: Office) -> dict[tuple[str, str], int]:
    lines = await office.service.store.balances()
    return {(line.book, line.account): line.amount_cents for line in lines}


def balance_line(office: Office, source: str, cents: int) -> BalanceTransaction:
    """Stripe's own books have a line for it."""
    amount, nothing, now = Money(cents, "usd"), Money(0, "usd"), office.clock.now()
    name = f"txn_{source}_{len(office.stripe.balance_lines)}"
    line = BalanceTransaction(name, "adjustment", source, amount, nothing, amount, now, now)
    office.stripe.balance_lines.append(line)
    return line


async def second_transfer(office: Office, payment_id: str) -> Payment:
    """The job is paid, and a second transfer of its attempt exists."""
    await pay(office, payment_id)
    (first,) = office.stripe.made_transfers.values()
    office.stripe.made_transfers["tr_second"] = replace(first, id="tr_second")
    return await office.payment(payment_id)


async def test_a_stray_transfers_reversal_leaves_suspense_and_not_the_job_unpaid(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    backup = backed_up(tmp_path)
    paid = await second_transfer(office, payment_id)
    office.stripe.reverse("tr_second", 5_000, 7_500)
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        payment = await later.payment(payment_id)
        assert (payment.transfer, payment.amount_reversed_cents) == (paid.transfer, 0)
        now = await books(later)
        assert now.get(SUSPENSE, 0) == 0
        assert now["acct_platform", "fleet_receivable:co_1"] == 12_500
        facts = await later.facts(payment_id)
        assert (await repaired(later)).passed
        assert await later.facts(payment_id) == facts, "each is booked once"
        assert await later.service.verification.verify(lambda _: None) == []
