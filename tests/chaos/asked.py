"""What the clients asked of the processes and were told, in the auditor's terms."""

from __future__ import annotations

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from tests.flows.load import Errand, Load
from tests.flows.stack import Stack
from tests.simulation.asked import Asked, Command, Job


def asked_under(load: Load, stack: Stack) -> Asked:
    shown = stack.api("GET", f"/vendors/{load.vendor}", as_="admin")
    account = shown.text("stripeAccountId")
    return Asked([_job(errand, account) for errand in load.errands])


def _job(errand: Errand, account: str) -> Job:
    body = errand.job
    cents, currency = body["amountCents"], body["currency"]
    assert isinstance(cents, int)
    payer = PayerType(str(body["payerType"]))
    job = Job(
        incident_id=str(body["incidentId"]),
        vendor_id=str(body["vendorId"]),
        company_id="co_1",
        payer_type=payer,
        amount=Money(cents, str(currency)),
        destination=account if payer is PayerType.BACK_OFFICE else None,
    )
    for one in errand.told:
        job.heard(Command(one.name, one.at, one.key, one.status, one.code))
    if errand.payment_id is not None:
        job.payment_ids.append(errand.payment_id)
    return job
