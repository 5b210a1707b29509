"""Errors as problem details: every class told, nothing leaked, the payment on a conflict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from roadcall_payments.api.identity_errors import IssuerUnavailable, Unauthenticated
from roadcall_payments.api.problems import KINDS, headers_of, problem_of
from roadcall_payments.domain import errors as e
from roadcall_payments.domain.stripe_objects import Operation, StripeRequest
from roadcall_payments.ports import Outcome, Unknown, UnknownReason
from roadcall_payments.workflows.write_path import AlreadyTaken
from tests.api.harness import (
    ADMIN,
    DISPATCHER,
    DRIVER,
    OTHER_SERVICE,
    SERVICE,
    Api,
)

# Never raised as they are; and one that workflows keep to themselves.
ABSTRACT = {e.FinalError, e.TransientError, AlreadyTaken}

EXAMPLES: dict[type[e.RoadcallError], e.RoadcallError] = {
    e.InvalidInput: e.InvalidInput("amountCents", "Too much."),
    e.DuplicateJob: e.DuplicateJob("There is one.", payment_id="p_1"),
    e.PaymentRefused: e.PaymentRefused("No.", stripe_code="card_declined", decline_code="lost"),
    e.RefundRefused: e.RefundRefused("No.", stripe_code="declined"),
    e.AccountRefused: e.AccountRefused("No.", stripe_code="country_unsupported"),
    e.PayoutRefused: e.PayoutRefused("No.", stripe_code="account_closed"),
    e.VendorCannotReceive: e.VendorCannotReceive("Not yet.", obstacle="no_account", vendor_id="v"),
}


def error_classes(base: type[e.RoadcallError] = e.RoadcallError) -> Iterator[type[e.RoadcallError]]:
    """The service's own; other tests, in the same process, have theirs."""
    for child in base.__subclasses__():
        if child.__module__.startswith("roadcall_payments."):
            yield child
        yield from error_classes(child)


def test_every_error_of_the_tree_is_told() -> None:
    assert {Unauthenticated, IssuerUnavailable} < set(KINDS)
    assert set(KINDS) == set(error_classes()) - ABSTRACT


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not e.BrokenInvariant])
def test_a_problem_has_its_class_code_and_status(kind: type[e.RoadcallError]) -> None:
    error = EXAMPLES.get(kind) or kind("Do this next.")
    problem = problem_of(error, "r_1")
    assert problem.code == kind.code
    assert problem.type == f"urn:roadcall:problem:{kind.code}"
    assert problem.status == KINDS[kind].status
    assert error.message in problem.detail
    assert ("Retry-After" in headers_of(error)) == issubclass(kind, e.TransientError)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_the_hint_of_the_error_wins_over_the_tables() -> None:
    assert headers_of(e.TooManyRequests("Wait.", retry_after_s=7)) == {"Retry-After": "7"}


async def test_m34_a_conflict_carries_the_payment_as_it_stands(api: Api) -> None:
    payment = await api.approved()
    reply = await api.post(f"/payments/{payment['id']}/approve", ADMIN)
    assert (reply.status, reply.code) == (409, "status_forbids")
    assert reply.json["payment"] == payment


async def test_a_duplicate_job_carries_the_payment_that_holds_it(api: Api) -> None:
    job = api.new_payment()
    first = await api.post("/payments", SERVICE, job)
    reply = await api.post("/payments", SERVICE, job)
    assert (reply.status, reply.code) == (409, "duplicate_job")
    assert reply.json["payment"] == first.json


async def test_a_duplicate_job_of_another_company_tells_nothing_of_it(api: Api) -> None:
    job = api.new_payment()
    first = await api.post("/payments", SERVICE, job)
    reply = await api.post("/payments", OTHER_SERVICE, job)
    assert (reply.status, reply.code) == (409, "duplicate_job")
    assert "payment" not in reply.json
    assert first.json["id"] not in reply.text


async def test_nobody_approves_their_own(api: Api) -> None:
    own = await api.post("/payments", DISPATCHER, api.new_payment())
    reply = await api.post(f"/payments/{own.json['id']}/approve", DISPATCHER)
    assert (reply.status, reply.code) == (403, "not_allowed")


async def test_every_wrong_field_is_named(api: Api) -> None:
    body = api.new_payment(amountCents=0, currency="USD", payerType="me", extra=1)
    body["lineItems"][1]["unitCents"] = "300"
    reply = await api.post("/payments", SERVICE, body)
    assert (reply.status, reply.code) == (400, "invalid_input")
    named = {error["field"] for error in reply.json["errors"]}
    assert named == {"amountCents", "currency", "payerType", "extra", "lineItems[1].unitCents"}
    assert reply.json["field"] in named


async def test_line_items_must_add_up(api: Api) -> None:
    reply = await api.post("/payments", SERVICE, api.new_payment(amountCents=18_400))
    assert (reply.status, reply.code, reply.json["field"]) == (
        400,
        "invalid_input",
        "amountCents",
    )
    assert "18500" in reply.json["detail"]


async def test_an_amount_that_stripe_cannot_carry(api: Api) -> None:
    lines = [{"kind": "tow", "quantity": 1, "unitCents": 100_000_000}]
    reply = await api.post(
        "/payments", SERVICE, api.new_payment(amountCents=100_000_000, lineItems=lines)
    )
    assert (reply.status, reply.code) == (400, "amount_not_carried")


async def test_a_declined_card_is_a_400_with_stripes_codes(api: Api) -> None:
    payment = await api.processing()
    api.gateway.decline()
    address = f"/payments/{payment['id']}/confirm"
    reply = await api.post(address, DRIVER, {"paymentMethodId": "pm_card_visa"})
    assert (reply.status, reply.code) == (400, "payment_failed")
    assert reply.json["stripeCode"] == "card_declined"
    assert reply.json["declineCode"] == "generic_decline"
    assert reply.json["payment"]["status"] == "failed"
    again = await api.post(address, DRIVER, {"paymentMethodId": "pm_card_mastercard"})
    assert again.json["payment"]["status"] == "completed", again.text


async def test_a_stolen_cards_holder_learns_of_a_plain_decline(api: Api) -> None:
    """As Stripe asks; the service, which talks to the fleet, learns the truth."""
    payment = await api.processing()
    api.gateway.decline("stolen_card")
    address = f"/payments/{payment['id']}"
    refused = await api.post(f"{address}/confirm", DRIVER, {"paymentMethodId": "pm_card_visa"})
    read = await api.get(address, DRIVER)
    assert refused.json["declineCode"] == "generic_decline"
    assert "stolen" not in refused.text + read.text
    assert (await api.get(address, SERVICE)).json["failure"]["declineCode"] == "stolen_card"


async def test_an_unknown_outcome_is_a_202(api: Api) -> None:
    payment = await api.approved()
    api.gateway.script(Operation.CREATE_PAYMENT_INTENT, Unknown(UnknownReason.TIMEOUT, "no answer"))
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert reply.status == 202
    assert reply.json["payment"]["status"] == "processing"
    assert reply.json["payment"]["awaiting"] == "stripe"


async def test_rejected_credentials_are_a_503_and_nothing_failed(api: Api) -> None:
    payment = await api.approved()
    api.gateway.script(
        Operation.CREATE_PAYMENT_INTENT, Unknown(UnknownReason.AUTHENTICATION, "401 twice")
    )
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert (reply.status, reply.code) == (503, "stripe_credentials_rejected")
    assert reply.json["payment"]["status"] == "processing"
    assert int(reply.headers["retry-after"]) > 0


async def test_stripe_away_before_the_intent_leaves_it_approved(api: Api) -> None:
    payment = await api.approved()
    api.gateway.down = e.StripeUnavailable("The breaker is open.", retry_after_s=12)
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    api.gateway.down = None
    assert (reply.status, reply.code) == (503, "stripe_unavailable")
    assert reply.headers["retry-after"] == "12"
    assert (await api.get(f"/payments/{payment['id']}", SERVICE)).json["status"] == "approved"


async def test_paused_movements_are_a_503(api: Api) -> None:
    payment = await api.approved()
    assert (await api.post("/movements/pause", ADMIN, {"reason": "a drill"})).status == 200
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert (reply.status, reply.code) == (503, "movements_paused")
    await api.post("/movements/resume", ADMIN)
    assert (await api.post(f"/payments/{payment['id']}/process", SERVICE)).status == 200


async def test_another_account_than_the_approved_one_is_a_422(api: Api) -> None:
    payment = await api.created_for_back_office()
    address = f"/payments/{payment['id']}"
    await api.post(f"{address}/approve", DISPATCHER, {"vendorStripeAccountId": "acct_1"})
    reply = await api.post(f"{address}/process", SERVICE, {"vendorStripeAccountId": "acct_2"})
    assert (reply.status, reply.code) == (422, "destination_mismatch")


async def test_what_nobody_foresaw_leaks_nothing_and_is_logged(api: Api) -> None:
    def breaks(_request: StripeRequest) -> Outcome:
        raise ZeroDivisionError("secret inside")

    api.gateway.script(Operation.CREATE_PAYMENT_INTENT, breaks)
    payment = await api.approved()
    with structlog.testing.capture_logs() as logs:
        reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert (reply.status, reply.code) == (500, "internal_error")
    assert "secret inside" not in reply.text
    broke = [line for line in logs if line["event"] == "request_broke"]
    assert [line["error_id"] for line in broke] == [reply.json["errorId"]]


async def test_a_broken_invariant_is_our_fault(api: Api) -> None:
    def breaks(_request: StripeRequest) -> Outcome:
        raise e.BrokenInvariant("secret inside")

    api.gateway.script(Operation.CREATE_PAYMENT_INTENT, breaks)
    payment = await api.approved()
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert (reply.status, reply.code) == (500, "internal_error")
    assert "secret inside" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/nowhere", 404, "unknown_address", None),
        ("GET", "/payments/p_1/", 404, "unknown_address", None),
        ("DELETE", "/payments", 405, "method_not_allowed", "GET, POST"),
        ("PUT", "/vendors/v_1/x", 404, "unknown_address", None),
        ("POST", "/vendors/v_1", 405, "method_not_allowed", "GET, PUT"),
        ("POST", "/health/live", 405, "method_not_allowed", "GET"),
        ("GET", "/payments/webhooks/stripe", 405, "method_not_allowed", "POST"),
    ],
)
async def test_addresses_and_methods_that_are_not_there(
    api: Api, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    reply = await api.call(method, path, ADMIN)
    assert (reply.status, reply.code) == (status, code)
    assert reply.headers.get("allow") == allow
