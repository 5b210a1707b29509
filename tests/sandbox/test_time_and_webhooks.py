"""Time, events, webhook deliveries and the seed, without a socket."""

from hashlib import sha256
from itertools import pairwise

import pytest

from stripe_sandbox import Request, SandboxClock, SandboxConfig
from tests.sandbox.client import START_MS, CoreClient
from tests.sandbox.kept_rows import KeptRows

INTENT = {"amount": 500, "currency": "usd"}
HOOK = {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]}


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def test_the_clock_stands_runs_and_jumps_but_never_back() -> None:
    wall = [START_MS]
    stripe = CoreClient(clock=SandboxClock(lambda: wall[0]))
    wall[0] += 5_000
    assert stripe.control("GET", "clock")["now_ms"] == START_MS + 5_000
    stripe.control("POST", "clock", {"mode": "standing"})
    wall[0] += 60_000
    assert stripe.control("GET", "clock")["now_ms"] == START_MS + 5_000
    stripe.control("POST", "clock", {"advance": 1.5})
    stripe.control("POST", "clock", {"mode": "running"})
    wall[0] += 1_000
    assert stripe.control("GET", "clock")["now_ms"] == START_MS + 7_500
    back = Request("POST", "/_sandbox/clock", body=b'{"to": 1}')
    assert stripe.sandbox.handle(back).response.status == 400


def test_what_falls_due_in_a_jump_happens_at_its_own_time(stripe: CoreClient) -> None:
    payout = stripe.post("/v1/payouts", {"amount": 100, "currency": "usd"})
    stripe.advance(10 * 86_400)
    events = stripe.get("/v1/events", {"types": ["payout.updated", "payout.paid"]})["data"]
    assert [(event["type"], event["created"] - payout["created"]) for event in events] == [
        ("payout.paid", 86_400),
        ("payout.updated", 3_600),
    ]


def test_daily_payouts_empty_the_balance_at_midnight(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    schedule = {"settings": {"payouts": {"schedule": {"interval": "daily"}}}}
    stripe.post(f"/v1/accounts/{vendor}", schedule)
    stripe.post("/v1/transfers", {"amount": 700, "currency": "usd", "destination": vendor})
    stripe.advance(86_400)
    [payout] = stripe.get("/v1/payouts", account=vendor)["data"]
    assert (payout["automatic"], payout["amount"]) == (True, 700)
    assert payout["created"] % 86_400 == 0


def test_events_are_listed_for_thirty_days(stripe: CoreClient) -> None:
    event_id = _event_of_a_new_intent(stripe)
    stripe.advance(30 * 86_400 - 1)
    assert stripe.get(f"/v1/events/{event_id}")["id"] == event_id
    stripe.advance(1)
    stripe.expect(404, "GET", f"/v1/events/{event_id}")
    assert stripe.get("/v1/events")["data"] == []


def _event_of_a_new_intent(stripe: CoreClient) -> str:
    stripe.post("/v1/payment_intents", INTENT)
    event_id: str = stripe.get("/v1/events", {"limit": 1})["data"][0]["id"]
    return event_id


def test_an_event_keeps_the_object_as_it_was(stripe: CoreClient) -> None:
    event_id = _event_of_a_new_intent(stripe)
    intent = stripe.get(f"/v1/events/{event_id}")["data"]["object"]
    stripe.post(f"/v1/payment_intents/{intent['id']}", {"amount": 900})
    assert stripe.get(f"/v1/events/{event_id}")["data"]["object"] == intent


def test_an_update_event_tells_what_was_before(stripe: CoreClient) -> None:
    customer = stripe.post("/v1/customers", {"name": "Ann"})["id"]
    stripe.post(f"/v1/customers/{customer}", {"name": "Bea"})
    event = stripe.get("/v1/events", {"type": "customer.updated"})["data"][0]
    assert event["data"]["previous_attributes"] == {"name": "Ann"}


def test_deliveries_back_off_for_three_days_and_then_give_up(stripe: CoreClient) -> None:
    stripe.post("/v1/webhook_endpoints", HOOK)
    stripe.post("/v1/payment_intents", INTENT)
    attempts = 0
    while (due_ms := stripe.sandbox.next_due_ms()) is not None:
        stripe.clock.jump_to(max(due_ms, stripe.clock.now_ms()))
        for parcel in stripe.sandbox.due_parcels():
            attempts += 1
            stripe.sandbox.report_delivery(parcel.delivery, None, "refused")
    [delivery] = stripe.control("GET", "deliveries")["deliveries"]
    assert (delivery["state"], len(delivery["attempts"])) == ("failed", attempts)
    times_ms = [attempt["at_ms"] for attempt in delivery["attempts"]]
    waits_ms = [later - earlier for earlier, later in pairwise(times_ms)]
    assert waits_ms == sorted(waits_ms)
    assert 2 * 86_400_000 < times_ms[-1] - times_ms[0] < 4 * 86_400_000


def test_an_endpoint_gets_what_it_asked_for(stripe: CoreClient) -> None:
    wanted = {**HOOK, "enabled_events": ["payment_intent.succeeded"]}
    endpoint = stripe.post("/v1/webhook_endpoints", wanted)["id"]
    stripe.pay()
    types = [parcel.headers["Stripe-Signature"] for parcel in stripe.sandbox.due_parcels()]
    assert len(types) == 1
    stripe.post(f"/v1/webhook_endpoints/{endpoint}", {"disabled": True})
    stripe.pay()
    assert stripe.sandbox.due_parcels() == []


def test_a_delayed_delivery_comes_by_the_sandboxes_clock_or_when_asked(stripe: CoreClient) -> None:
    stripe.post("/v1/webhook_endpoints", HOOK)
    stripe.control("POST", "faults", {"kind": "webhook_delay", "seconds": 60})
    stripe.post("/v1/payment_intents", INTENT)
    stripe.advance(59)
    assert stripe.sandbox.due_parcels() == []
    stripe.advance(1)
    assert len(stripe.sandbox.due_parcels()) == 1
    stripe.post("/v1/payment_intents", INTENT)
    assert stripe.control("POST", "deliveries/retry") == {"retried": 1}
    assert len(stripe.sandbox.due_parcels()) == 1


def test_pending_deliveries_survive_a_restart() -> None:
    storage = KeptRows()
    stripe = CoreClient(storage=storage)
    stripe.post("/v1/webhook_endpoints", HOOK)
    stripe.post("/v1/payment_intents", INTENT)
    again = CoreClient(storage=storage)
    assert len(again.sandbox.due_parcels()) == 1


def _story(seed: str) -> tuple[list[int], str]:
    """The statuses and a digest of all answers of one run with seeded faults."""
    stripe = CoreClient(config=SandboxConfig(seed=seed))
    fault = {"kind": "error_before", "probability": 0.5, "route": "POST *"}
    stripe.control("POST", "faults", fault)
    replies = [stripe.request("POST", "/v1/payment_intents", INTENT) for _ in range(40)]
    digest = sha256(b"".join(reply.answer.response.body for reply in replies)).hexdigest()
    return [reply.status for reply in replies], digest


def test_a_seed_repeats_a_run_to_the_byte_and_another_does_not() -> None:
    assert _story("a") == _story("a")
    assert _story("a")[0] != _story("b")[0]
    assert {200, 500} == set(_story("a")[0])


def test_skip_lets_the_first_ones_pass(stripe: CoreClient) -> None:
    fault = {"kind": "error_after", "route": "POST /v1/payment_intents", "skip": 2, "count": 1}
    stripe.control("POST", "faults", fault)
    statuses = [stripe.request("POST", "/v1/payment_intents", INTENT).status for _ in range(4)]
    assert statuses == [200, 200, 500, 200]
    [listed] = stripe.control("GET", "faults")["faults"]
    assert (listed["struck"], listed["count"]) == (1, 0)
    assert stripe.control("DELETE", f"faults/{listed['id']}") == {"cleared": 1}


def test_a_remembered_500_never_turns_into_a_success(stripe: CoreClient) -> None:
    stripe.control("POST", "faults", {"kind": "error_before", "count": 1})
    for _ in range(3):
        stripe.expect(500, "POST", "/v1/payment_intents", INTENT, idempotency_key="k1")
    assert stripe.get("/v1/payment_intents")["data"] == []


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{", b'{"kind": "explode"}', b'{"color": 1}', b'{"kind": "truncate", "seconds": -1}'],
)
def test_a_bad_control_request_is_a_400(stripe: CoreClient, body: bytes) -> None:
    answer = stripe.sandbox.handle(Request("POST", "/_sandbox/faults", body=body))
    assert answer.response.status == 400


@pytest.mark.parametrize(
    ("header", "sent"),
    [(value, should) for value, should in (("true", True), ("false", False), (None, None))],
)
def test_a_rate_limit_says_whether_to_retry(
    stripe: CoreClient, header: str | None, sent: bool | None
) -> None:
    stripe.control("POST", "faults", {"kind": "rate_limit", "should_retry": sent})
    reply = stripe.request("GET", "/v1/balance")
    assert (reply.status, reply.headers.get("Stripe-Should-Retry")) == (429, header)
