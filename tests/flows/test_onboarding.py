"""A vendor from its first link to a changed bank account, on real processes and the sandbox."""

from __future__ import annotations

import http.client
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.flows.payments import job
from tests.flows.stack import Stack, wait_for

CONTACTS = {"name": "Sierra Tow", "email": "old@sierra-tow.example"}
THIEF = {"name": "Sierra Tow", "email": "thief@sierra-tow.example"}


@pytest.fixture(scope="module")
def database_kind() -> str:
    return "postgres"


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    return {"ROADCALL_ONBOARDING_RETURN_URL": "http://127.0.0.1:9/vendors"}


def put(stack: Stack, **record: object) -> dict[str, object]:
    reply = stack.api("PUT", "/vendors/ve_sierra", record, as_="admin")
    assert reply.status == 200, reply
    return reply.body


def vendor(stack: Stack) -> dict[str, object]:
    return stack.api("GET", "/vendors/ve_sierra", as_="admin").body


def visit(url: str) -> None:
    """Give all that Stripe's page asks for, as the vendor's browser would; its way back leads
    nowhere here."""
    place = urlsplit(url)
    browser = http.client.HTTPConnection(place.netloc, timeout=10)
    browser.request("POST", place.path, "act=finish")
    answer = browser.getresponse()
    assert answer.status in (302, 303)
    assert (answer.getheader("Location") or "").endswith("onboarding=done")
    browser.close()


def test_a_vendor_is_onboarded_paid_and_told_of_another_bank_account(stack: Stack) -> None:
    put(stack, contacts=CONTACTS)
    link = stack.api("POST", "/vendors/ve_sierra/onboarding-link", {"country": "US"}, as_="admin")
    assert link.status == 200, link
    account = link.text("stripeAccountId")
    assert vendor(stack)["canBePaid"] is False

    made = stack.api("POST", "/payments", job("ve_sierra", driver=False), as_="service")
    payment_id = made.text("id")
    stack.api("POST", f"/payments/{payment_id}/approve", as_="approver")
    refused = stack.api("POST", f"/payments/{payment_id}/process", as_="dispatcher")
    assert (refused.status, refused.body["code"]) == (409, "vendor_cannot_receive")
    assert refused.body["reason"] == "not_onboarded"
    assert stack.objects("transfers") == []

    visit(link.text("url"))
    wait_for("account.updated", lambda: vendor(stack)["canBePaid"] or None)
    paid = stack.api("POST", f"/payments/{payment_id}/process", as_="dispatcher")
    assert paid.status == 200, paid
    (transfer,) = stack.objects("transfers")
    assert transfer["destination"] == account

    put(stack, contacts=THIEF, stripeAccountId=account)
    changed = stack.stripe(
        "POST", f"/_sandbox/accounts/{account}/bank_account", {"bank_account": "000111111116"}
    )
    assert changed.status == 200, changed
    for address in ("old@sierra-tow.example", "thief@sierra-tow.example"):
        mails = wait_for(f"mail to {address}", partial(bank_mails, stack, address))
        assert "1116" in mails[0]
        assert "6789" in mails[0]


def bank_mails(stack: Stack, address: str) -> list[str]:
    return [
        str(mail.get_body(("plain",)))
        for mail in stack.mailbox.to(address)
        if "has changed" in str(mail["Subject"])
    ]


def test_one_account_is_opened_though_stripe_answers_with_nothing(stack: Stack) -> None:
    stack.api("PUT", "/vendors/ve_lost", {"contacts": CONTACTS}, as_="admin")
    before = len(stack.objects("accounts"))
    # Every try of the request is answered with nothing: the account is there, we do not know it.
    stack.fault(kind="drop_after", route="POST /v1/accounts")
    link = "/vendors/ve_lost/onboarding-link"
    first = stack.api("POST", link, {}, as_="admin")
    assert (first.status, first.body["url"]) == (202, None)
    stack.no_faults()
    wait_for(
        "the account",
        lambda: stack.api("GET", "/vendors/ve_lost", as_="admin").body["stripeAccountId"],
    )
    assert stack.api("POST", link, {}, as_="admin").status == 200
    assert len(stack.objects("accounts")) == before + 1
