"""A vendor's money on its way to its bank, and back, on real processes and the sandbox."""

from __future__ import annotations

from functools import partial

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, ledger, verify
from tests.flows.stack import Reply, Stack, wait_for

CENTS = (4_500, 8_000)
JOBS_CENTS = sum(CENTS)


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    return {"ROADCALL_ONBOARDING_RETURN_URL": "http://127.0.0.1:9/vendors"}


def onboarded(stack: Stack, vendor_id: str) -> str:
    """A vendor with an Express account that its owner has given all it asks for; the account."""
    contacts = {"name": "Sierra Tow", "email": mail_of(vendor_id)}
    put = stack.api("PUT", f"/vendors/{vendor_id}", {"contacts": contacts}, as_="admin")
    assert put.status == 200, put
    link = stack.api("POST", f"/vendors/{vendor_id}/onboarding-link", {}, as_="admin")
    account = link.text("stripeAccountId")
    stack.stripe("POST", f"/_sandbox/accounts/{account}/onboard")

    def ready() -> bool | None:
        seen = stack.api("GET", f"/vendors/{vendor_id}", as_="admin")
        return seen.body["canBePaid"] is True or None

    wait_for("account.updated", ready)
    return account


def mail_of(vendor_id: str) -> str:
    return f"{vendor_id}@tow.example"


def paid_jobs(stack: Stack, vendor_id: str) -> list[str]:
    """The incidents of the back office's jobs that were paid to the vendor, in that order."""
    incidents = []
    for cents in CENTS:
        payment_id = payments.approved(stack, vendor_id, driver=False, cents=cents)
        reply = payments.process(stack, payment_id)
        assert reply.text("payment", "status") == "completed", reply
        incidents.append(reply.text("payment", "incidentId"))
    return incidents


def requested(stack: Stack, vendor_id: str, cents: int) -> Reply:
    asked = {"amountCents": cents, "currency": "usd"}
    return stack.api("POST", f"/vendors/{vendor_id}/payouts", asked, as_="admin")


def wait_payout(stack: Stack, payout_id: str, status: str) -> dict[str, object]:
    def seen() -> dict[str, object] | None:
        body = stack.api("GET", f"/payouts/{payout_id}", as_="admin").body
        return body if body["status"] == status else None

    return wait_for(f"payout {payout_id} {status}", seen)


def carried(stack: Stack, payout_id: str) -> list[tuple[object, object]]:
    """Of each job that the payout's remittance names, the incident and what it brought."""
    reply = stack.api("GET", f"/payouts/{payout_id}/remittance", as_="admin")
    assert (reply.status, reply.body["otherCents"], reply.body["complete"]) == (200, 0, True), reply
    jobs = reply.body["jobs"]
    assert isinstance(jobs, list)
    return [(one["incidentId"], one["carriedCents"]) for one in jobs]


def mail(stack: Stack, address: str, subject: str) -> str | None:
    for message in list(stack.mailbox.to(address)):
        if subject in str(message["Subject"]):
            return str(message.get_body(("plain",)))
    return None


def balance_of(stack: Stack, account: str) -> int:
    return ledger(stack).get((account, "stripe_balance", "usd"), 0)


def wait_balance(stack: Stack, account: str, cents: int) -> None:
    wait_for(f"{account} at {cents}", lambda: balance_of(stack, account) == cents or None)


def test_a_payout_reaches_the_bank_comes_back_and_goes_out_again(stack: Stack) -> None:
    account = onboarded(stack, "ve_bank")
    incidents = paid_jobs(stack, "ve_bank")
    wait_balance(stack, account, JOBS_CENTS)
    made = requested(stack, "ve_bank", JOBS_CENTS)
    assert (made.status, made.body["status"]) == (201, "pending"), made
    payout_id, at_stripe = made.text("id"), made.text("stripePayoutId")
    assert carried(stack, payout_id) == list(zip(incidents, CENTS, strict=True))

    stack.stripe("POST", f"/_sandbox/payouts/{at_stripe}/pay")
    wait_payout(stack, payout_id, "paid")
    wait_balance(stack, account, 0)
    told = wait_for("paid", partial(mail, stack, mail_of("ve_bank"), "has been paid to your bank"))
    assert all(incident in told for incident in incidents)

    stack.stripe("POST", f"/_sandbox/payouts/{at_stripe}/fail", {"failure_code": "account_closed"})
    failed = wait_payout(stack, payout_id, "failed")
    assert isinstance(failed["failure"], dict)
    assert failed["failure"]["code"] == "account_closed"
    wait_balance(stack, account, JOBS_CENTS)
    told = wait_for("failed", partial(mail, stack, mail_of("ve_bank"), "Your bank did not take"))
    assert "closed" in told
    assert all(incident in told for incident in incidents)
    office = partial(mail, stack, "office@fleet.example", f"Payout {at_stripe}")
    assert "account_closed" in wait_for("the back office's mail", office)

    mended = {"bank_account": "000123456789"}
    stack.stripe("POST", f"/_sandbox/accounts/{account}/bank_account", mended)
    # A new try is another payout, and what came back is the first to leave again (M9).
    again = requested(stack, "ve_bank", CENTS[0] + 1_000)
    assert again.status == 201, again
    assert carried(stack, again.text("id")) == [(incidents[0], CENTS[0]), (incidents[1], 1_000)]
    keys = {one["_idempotency_key"] for one in stack.objects("payouts")}
    assert keys == {f"payout_{payout_id}", f"payout_{again.text('id')}"}
    assert_books_agree(stack)
    verify(stack)


def test_a_lost_answer_is_one_payout_and_a_cancelled_one_brings_its_jobs_back(
    stack: Stack,
) -> None:
    account = onboarded(stack, "ve_back")
    incidents = paid_jobs(stack, "ve_back")
    wait_balance(stack, account, JOBS_CENTS)
    stack.fault(kind="drop_after", route="POST /v1/payouts")
    lost = requested(stack, "ve_back", JOBS_CENTS)
    stack.no_faults()
    payout_id = lost.text("id")
    wait_payout(stack, payout_id, "pending")
    (one,) = [found for found in stack.objects("payouts") if found["_account"] == account]
    assert one["_idempotency_key"] == f"payout_{payout_id}"

    cancelled = stack.api("POST", f"/payouts/{payout_id}/cancel", {}, as_="admin")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled"), cancelled
    assert balance_of(stack, account) == JOBS_CENTS
    after = requested(stack, "ve_back", CENTS[0])
    assert carried(stack, after.text("id")) == [(incidents[0], CENTS[0])]
    verify(stack)
