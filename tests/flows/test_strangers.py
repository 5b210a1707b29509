"""M13: money that is not ours, however well it is dressed, is kept and never applied."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.flows import payments
from tests.flows.deliveries import (
    Object,
    deliver_signed,
    events_about,
    inbox,
    object_of,
    wait_delivered,
    wait_in_inbox,
)
from tests.flows.stack import CONNECT_SECRET, Stack, running_stack, wait_for

CENTS = 12_500


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its platform also sells to strangers: the books of the other modules know none of that."""
    with running_stack(tmp_path_factory.mktemp("strangers")) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Dress:
    """What an object of Stripe's says of itself, as ours would but for what is changed."""

    payment_id: str
    purpose: str
    attempt: str = "1"
    cents: int = CENTS
    currency: str = "usd"

    def form(self) -> str:
        return (
            f"amount={self.cents}&currency={self.currency}&transfer_group={self.payment_id}"
            f"&metadata[paymentId]={self.payment_id}&metadata[purpose]={self.purpose}"
            f"&metadata[attempt]={self.attempt}"
        )


def paid_intent(stack: Stack, dress: Dress) -> str:
    """A stranger's PaymentIntent, paid by card at once; its id."""
    form = f"{dress.form()}&confirm=true&payment_method=pm_card_visa"
    automatic = "&automatic_payment_methods[enabled]=true"
    automatic += "&automatic_payment_methods[allow_redirects]=never"
    made = stack.form("POST", "/v1/payment_intents", form + automatic)
    assert made.status == 200, made
    return made.text("id")


def made_transfer(stack: Stack, dress: Dress, destination: str) -> str:
    made = stack.form("POST", "/v1/transfers", f"{dress.form()}&destination={destination}")
    assert made.status == 200, made
    return made.text("id")


def assert_kept(stack: Stack, object_id: str) -> None:
    """Every event about this object was taken with 200 and moved nothing."""
    wait_delivered(stack)
    told = events_about(stack, object_id)
    assert told
    for kept in wait_in_inbox(stack, [str(event["id"]) for event in told]):
        assert (kept.status, kept.stream) == ("kept", None), kept
    refs = stack.database.query("SELECT key FROM refs WHERE key LIKE ?", f"%{object_id}")
    assert refs == []


def test_an_unknown_payments_event_is_kept(stack: Stack) -> None:
    assert_kept(stack, paid_intent(stack, Dress("0193f2a1-7c44-7d0e-8000-000000000000", "x")))


def test_a_payment_with_its_own_object_takes_no_other(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    right = Dress(payment_id, "driver_payment")
    wrong = Dress(payment_id, "driver_payment", cents=CENTS + 1)
    for dress in (right, wrong):
        assert_kept(stack, paid_intent(stack, dress))
    payment = stack.payment(payment_id)
    assert (payment["status"], payment["stripePaymentIntentId"]) == ("processing", intent_id)
    assert payments.confirm(stack, payment_id).status == 200
    assert stack.payment(payment_id)["stripePaymentIntentId"] == intent_id


def test_a_payment_not_yet_processed_takes_none(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    approved = payments.approved(stack, vendor, driver=True)
    assert_kept(stack, paid_intent(stack, Dress(approved, "driver_payment")))
    assert stack.status(approved) == "approved"
    transferable = payments.approved(stack, vendor, driver=False)
    account = stack.connected_account()
    assert_kept(stack, made_transfer(stack, Dress(transferable, "vendor_payment"), account))
    assert stack.status(transferable) == "approved"


@contextmanager
def an_open_attempt_without_an_object(
    stack: Stack, payment_id: str, route: str, key: str
) -> Iterator[None]:
    """Stripe lets nothing of this payment through meanwhile; then it goes on by itself."""
    stack.fault(kind="rate_limit", route=route, key=key)
    processing = threading.Thread(target=payments.process, args=(stack, payment_id))
    processing.start()
    try:
        wait_for("the intent", lambda: "ProcessingStarted" in stack.facts(payment_id) or None)
        yield
    finally:
        stack.no_faults()
        processing.join(timeout=30)


def test_an_open_attempt_takes_no_payment_intent_that_differs_in_one_field(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    payment_id = payments.approved(stack, vendor, driver=True)
    purpose = "driver_payment"
    strangers = [
        Dress(payment_id, purpose, cents=CENTS + 1),
        Dress(payment_id, purpose, currency="cad"),
        Dress(payment_id, purpose, attempt="2"),
        Dress(payment_id, purpose, attempt=""),
        Dress(payment_id, "vendor_payment"),
        Dress(payments.approved(stack, vendor, driver=True), purpose),
    ]
    with an_open_attempt_without_an_object(
        stack, payment_id, "POST /v1/payment_intents", f"payment_{payment_id}"
    ):
        intents = [paid_intent(stack, dress) for dress in strangers]
        for intent_id in intents:
            assert_kept(stack, intent_id)
        for event, secret in dressed_up(stack, intents[0], payment_id):
            deliver_signed(stack, event, *secret)
            (kept,) = wait_in_inbox(stack, [str(event["id"])])
            assert (kept.status, kept.stream) == ("kept", None), kept
        assert stack.payment(payment_id)["stripePaymentIntentId"] is None
        assert stack.status(payment_id) == "processing"
    ours = wait_for("its own object", lambda: stack.payment(payment_id)["stripePaymentIntentId"])
    assert ours not in intents
    assert payments.confirm(stack, payment_id).status == 200
    (charge,) = (one for one in payments.charges_of(stack, payment_id) if mine(one, ours))
    assert charge["amount"] == CENTS
    assert stack.payment(payment_id)["anomalies"] == []


def mine(charge: Mapping[str, object], intent_id: object) -> bool:
    return charge["payment_intent"] == intent_id


def dressed_up(
    stack: Stack, intent_id: str, payment_id: str
) -> Iterator[tuple[Object, tuple[str, ...]]]:
    """Events in which all agrees but what a form cannot say: the mode, and the account."""
    (told,) = (
        one for one in events_about(stack, intent_id) if one["type"] == "payment_intent.succeeded"
    )
    right = {**object_of(told), "amount": CENTS, "amount_received": CENTS}

    def event(name: str, changed: Object, **more: object) -> Object:
        shown = {**right, "id": f"{intent_id}{name}", **changed}
        return {**told, "id": f"{told['id']}{name}", "data": {"object": shown}, **more}

    yield event("live", {"livemode": True}), ()
    yield event("livemode", {"livemode": True}, livemode=True), ()
    yield event("connect", {}, account=stack.connected_account()), (CONNECT_SECRET,)


def test_an_open_attempt_takes_no_transfer_that_differs_in_one_field(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    payment_id = payments.approved(stack, vendor, driver=False)
    account = str(stack.api("GET", f"/vendors/{vendor}", as_="admin").body["stripeAccountId"])
    purpose = "vendor_payment"
    strangers = [
        (Dress(payment_id, purpose, cents=CENTS - 1), account),
        (Dress(payment_id, purpose, attempt="3"), account),
        (Dress(payment_id, "settlement"), account),
        (Dress(payments.approved(stack, vendor, driver=False), purpose), account),
        (Dress(payment_id, purpose), stack.connected_account()),
    ]
    with an_open_attempt_without_an_object(
        stack, payment_id, "POST /v1/transfers", f"transfer_{payment_id}"
    ):
        transfers = [made_transfer(stack, dress, to) for dress, to in strangers]
        for transfer_id in transfers:
            assert_kept(stack, transfer_id)
        assert stack.status(payment_id) == "processing"
    stack.wait_status(payment_id, "completed")
    assert stack.payment(payment_id)["stripeTransferId"] not in transfers
    assert stack.facts(payment_id).count("PaymentCompleted") == 1


def test_a_whole_own_object_settles_an_open_attempt_by_its_event_alone(stack: Stack) -> None:
    """The other side of M13: where every field agrees the event is ours, before any answer."""
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    stack.fault(kind="webhook_early")
    stack.fault(kind="delay_after", route="POST /v1/transfers", seconds=2, count=1)
    processing = threading.Thread(target=payments.process, args=(stack, payment_id))
    processing.start()
    stack.wait_status(payment_id, "completed")
    processing.join(timeout=30)
    assert stack.facts(payment_id).count("PaymentCompleted") == 1


def test_m19_what_we_cannot_read_waits_with_its_reason(stack: Stack) -> None:
    """Genuine, and of a status that Stripe has yet to invent: never dropped in silence."""
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    (told,) = (
        one for one in events_about(stack, intent_id) if one["type"] == "payment_intent.created"
    )
    event = {**told, "id": "evt_pondering", "type": "payment_intent.succeeded"}
    event["data"] = {"object": {**object_of(told), "status": "pondering"}}
    assert deliver_signed(stack, event).status == 200
    (kept,) = wait_in_inbox(stack, ["evt_pondering"])
    assert kept.status == "waiting", kept
    assert "pondering" in str(kept.reason)
    assert stack.status(payment_id) == "processing"


def test_m33_no_client_secret_is_kept_with_an_event(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    assert payments.confirm(stack, payment_id).status == 200
    wait_delivered(stack)
    told = events_about(stack, intent_id)
    secret = str(object_of(told[0])["client_secret"])
    assert secret.startswith(f"{intent_id}_secret_")
    kept = inbox(stack)
    for event in told:
        assert secret.encode() not in kept[str(event["id"])].body
