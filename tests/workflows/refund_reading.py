"""What tests of refunds look at: a refund, what the vendor is owed, what was sent."""

from __future__ import annotations

from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.stripe_objects import Operation
from tests.workflows.office import Office

REFUND = Operation.CREATE_REFUND


async def refund_of(office: Office, payment_id: str, refund_id: str) -> Refund:
    refund = (await office.payment(payment_id)).refund(refund_id)
    assert refund is not None
    return refund


async def owed(office: Office, payment_id: str) -> int:
    """What we owe the vendor, in our books."""
    vendor = (await office.payment(payment_id)).vendor_id
    lines = await office.service.store.balances("acct_platform")
    return -sum(line.amount_cents for line in lines if line.account == f"vendor_payable:{vendor}")


def sent(office: Office) -> list[str]:
    return [one.idempotency_key for one in office.stripe.sent if one.operation is REFUND]
