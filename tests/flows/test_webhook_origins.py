"""Who may say what: rolled secrets, the other mode, connected accounts and their payouts."""

from __future__ import annotations

from tests.flows import payments
from tests.flows.books import assert_books_agree, ledger, verify
from tests.flows.deliveries import (
    Object,
    deliver,
    deliver_signed,
    deliveries_of,
    events_about,
    inbox,
    object_of,
    signature,
    wait_delivered,
    wait_in_inbox,
)
from tests.flows.stack import API_KEY, CONNECT_SECRET, WEBHOOK_SECRET, Stack, wait_for


def paid_unheard(stack: Stack) -> tuple[str, Object]:
    """A payment whose success only Stripe knows, and the event that tells it."""
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    stack.fault(kind="webhook_drop")
    path = f"/v1/payment_intents/{intent_id}/confirm"
    assert stack.form("POST", path, "payment_method=pm_card_visa").status == 200
    stack.no_faults()
    (event,) = (
        one for one in events_about(stack, intent_id) if one["type"] == "payment_intent.succeeded"
    )
    return payment_id, event


def test_m14_an_event_of_the_other_mode_is_kept_and_not_applied(stack: Stack) -> None:
    payment_id, event = paid_unheard(stack)
    other = {**event, "id": f"{event['id']}live", "livemode": True}
    other["data"] = {"object": {**object_of(event), "livemode": True}}
    assert deliver_signed(stack, other).status == 200
    (kept,) = wait_in_inbox(stack, [str(other["id"])])
    assert (kept.status, kept.stream) == ("kept", None)
    assert stack.status(payment_id) == "processing"
    assert deliver_signed(stack, event).status == 200
    assert stack.status(payment_id) == "completed"


def test_m14_a_connect_endpoint_never_speaks_for_the_platform(stack: Stack) -> None:
    """The platform's event under the Connect secret is forged: 400, and nothing is kept."""
    payment_id, event = paid_unheard(stack)
    refused = deliver_signed(stack, event, CONNECT_SECRET)
    assert (refused.status, refused.body["code"]) == (400, "bad_signature")
    connected = {**event, "account": stack.connected_account()}
    refused = deliver_signed(stack, connected, WEBHOOK_SECRET)
    assert (refused.status, refused.body["code"]) == (400, "bad_signature")
    assert str(event["id"]) not in inbox(stack)
    assert stack.status(payment_id) == "processing"
    assert deliver_signed(stack, event).status == 200
    assert stack.status(payment_id) == "completed"


def test_m14_a_connected_accounts_payment_is_kept_and_not_applied(stack: Stack) -> None:
    payment_id, event = paid_unheard(stack)
    vendor_account = stack.connected_account()
    foreign = {**event, "id": f"{event['id']}connect", "account": vendor_account}
    assert deliver_signed(stack, foreign, CONNECT_SECRET).status == 200
    (kept,) = wait_in_inbox(stack, [str(foreign["id"])])
    assert (kept.status, kept.stream) == ("kept", None)
    assert "M14" in str(kept.reason)
    assert stack.status(payment_id) == "processing"
    assert deliver_signed(stack, event).status == 200
    assert stack.status(payment_id) == "completed"


def test_m16_a_payout_of_the_platform_itself_is_booked(stack: Stack) -> None:
    """It carries no account: the platform's bank got the money, whoever asked for it."""
    made = stack.form("POST", "/v1/payouts", "amount=700&currency=usd").text("id")
    assert stack.stripe("POST", f"/_sandbox/payouts/{made}/pay").status == 200
    wait_delivered(stack)
    (paid,) = (one for one in events_about(stack, made) if one["type"] == "payout.paid")
    (kept,) = wait_in_inbox(stack, [str(paid["id"])])
    assert (kept.status, kept.stream) == ("applied", f"payout/{made}")
    assert vendor_book(stack, stack.form("GET", "/v1/account").text("id"))["bank"] == 700


def paid_vendor(stack: Stack, cents: int) -> str:
    """The connected account of a vendor that was just paid."""
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False, cents=cents)
    assert payments.process(stack, payment_id).status == 200
    account = str(stack.payment(payment_id)["vendorStripeAccountId"])
    path = f"/v1/accounts/{account}/external_accounts"
    assert stack.form("POST", path, "external_account=btok_us_verified").status == 200
    return account


def payout(stack: Stack, account: str, cents: int) -> str:
    made = stack.form(
        "POST", "/v1/payouts", f"amount={cents}&currency=usd", **{"Stripe-Account": account}
    )
    assert made.status == 200, made
    return made.text("id")


def vendor_book(stack: Stack, account: str) -> dict[str, int]:
    return {name: cents for (book, name, _), cents in ledger(stack).items() if book == account}


def test_a_payout_is_recorded_and_a_failure_after_it_books_back(stack: Stack) -> None:
    account = paid_vendor(stack, 20_000)
    payout_id = payout(stack, account, 15_000)
    assert vendor_book(stack, account) == {"stripe_balance": 20_000, "earnings": -20_000}

    stack.stripe("POST", f"/_sandbox/payouts/{payout_id}/pay")
    paid = {"stripe_balance": 5_000, "bank": 15_000, "earnings": -20_000}
    wait_for("the payout in the books", lambda: vendor_book(stack, account) == paid or None)

    code = {"failure_code": "account_closed"}
    stack.stripe("POST", f"/_sandbox/payouts/{payout_id}/fail", code)
    undone = {"stripe_balance": 20_000, "earnings": -20_000}
    wait_for("the failure in the books", lambda: vendor_book(stack, account) == undone or None)
    mail = wait_for("the back office's notice", lambda: notice_of(stack, payout_id))
    assert "$150.00" in mail
    assert account in mail


def notice_of(stack: Stack, object_id: str) -> str | None:
    """The back office's e-mail that names this object."""
    for mail in stack.mailbox.to("office@fleet.example"):
        part = mail.get_body(("plain",))
        text = part.get_content() if part is not None else ""
        if object_id in text:
            return str(text)
    return None


def test_a_payouts_failure_before_its_payment_leaves_the_books_alone(stack: Stack) -> None:
    """Both events, the last one first: what failed was never paid, whatever the order."""
    account = paid_vendor(stack, 9_000)
    payout_id = payout(stack, account, 9_000)
    stack.fault(kind="webhook_drop")
    stack.stripe("POST", f"/_sandbox/payouts/{payout_id}/pay")
    stack.stripe("POST", f"/_sandbox/payouts/{payout_id}/fail", {"failure_code": "no_account"})
    stack.no_faults()
    told = {str(one["type"]): one for one in events_about(stack, payout_id, account=account)}
    for event_type in ("payout.failed", "payout.paid", "payout.failed"):
        assert deliver_signed(stack, told[event_type], CONNECT_SECRET).status == 200
    wait_in_inbox(stack, [str(told[one]["id"]) for one in ("payout.failed", "payout.paid")])
    assert vendor_book(stack, account) == {"stripe_balance": 9_000, "earnings": -9_000}
    wait_for("the back office's notice", lambda: notice_of(stack, payout_id))


def test_the_books_agree_after_all_of_it(stack: Stack) -> None:
    assert_books_agree(stack)
    verify(stack)


def test_m36_a_rolled_secret_works_along_and_then_alone_without_a_restart(stack: Stack) -> None:
    endpoint = platform_endpoint(stack)
    path = f"/_sandbox/webhook_endpoints/{endpoint}/roll"
    new_secret = stack.stripe("POST", path, {"overlap": 0}).text("secret")
    assert new_secret != WEBHOOK_SECRET
    stack.write_secrets(API_KEY, webhook_secrets=[new_secret])
    # Signed with the new secret alone: refused until the file is read again, then delivered.
    by_new, _ = payments.opened(stack, payments.vendor(stack))
    pay_at_home(stack, by_new)
    stack.wait_status(by_new, "completed")
    # Signed with the old one alone, as what was queued before the roll.
    by_old, _ = payments.opened(stack, payments.vendor(stack))
    stack.fault(kind="webhook_old_secret", event="payment_intent.succeeded", count=1)
    pay_at_home(stack, by_old)
    stack.wait_status(by_old, "completed")
    forged = deliver(stack, b"{}", signature(b"{}", "whsec_of_nobody"))
    assert (forged.status, forged.body["code"]) == (400, "bad_signature")


def platform_endpoint(stack: Stack) -> str:
    """The id of the endpoint that the platform's own events go to."""
    _, event = paid_unheard(stack)
    (dropped,) = deliveries_of(stack, str(event["id"]))
    assert deliver_signed(stack, event).status == 200
    return str(dropped["endpoint"])


def pay_at_home(stack: Stack, payment_id: str) -> None:
    intent_id = stack.payment(payment_id)["stripePaymentIntentId"]
    path = f"/v1/payment_intents/{intent_id}/confirm"
    assert stack.form("POST", path, "payment_method=pm_card_visa").status == 200
