"""Which errors each operation of the OpenAPI document answers, each with an example of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue

from roadcall_payments.api.identity_errors import IssuerUnavailable, Unauthenticated
from roadcall_payments.api.payment_views import PAYMENT_EXAMPLE
from roadcall_payments.api.problems import (
    KINDS,
    MEDIA_TYPE,
    Problem,
    http_problem,
    internal_problem,
)
from roadcall_payments.api.schemas import nulls_kept
from roadcall_payments.domain import errors as e

# FastAPI's own type for ``responses=``; its Any cannot have a name.
Responses = dict[int | str, dict[str, Any]]
Example = dict[str, JsonValue]

_REQUEST_ID: Final = "01938f6e-7d2a-7c31-9a55-0d6b3f2e8c11"


def _example(
    kind: type[e.RoadcallError], detail: str, *, code: str | None = None, **more: JsonValue
) -> Example:
    """A problem as ``kind`` is told, under ``code`` where a raise gives another than its own."""
    code = code or kind.code
    return {
        "type": f"urn:roadcall:problem:{code}",
        "title": KINDS[kind].title,
        "status": KINDS[kind].status,
        "code": code,
        "detail": detail,
        "requestId": _REQUEST_ID,
        **more,
    }


def _told(problem: Problem) -> Example:
    return problem.model_dump(mode="json", by_alias=True, exclude_none=True)


def invalid(field: str, message: str, *, code: str | None = None) -> Example:
    """400, naming the field that this operation's callers get wrong."""
    return _example(
        e.InvalidInput,
        f"{field}: {message}",
        code=code,
        field=field,
        errors=[{"field": field, "message": message}],
    )


def missing(detail: str) -> Example:
    """404 for this operation's kind of thing."""
    return _example(e.NotFound, detail)


def forbidden(detail: str, status: str, *, code: str | None = None, **more: JsonValue) -> Example:
    """409 with the payment in the status that forbids this operation."""
    payment = {**PAYMENT_EXAMPLE, "status": status, **more}
    return _example(e.StatusForbids, detail, code=code, payment=payment)


def refused(detail: str, *, code: str | None = None) -> Example:
    """409 for a thing that is no payment."""
    return _example(e.StatusForbids, detail, code=code)


_OPENED: Final[Example] = {
    "attempts": 1,
    "awaiting": "payer",
    "stripePaymentIntentId": "pi_3Pgf3nLkdIwHu7ix",
}
_PAID: Final[Example] = {**_OPENED, "status": "completed", "awaiting": None}
_RISKY: Final[Example] = {"score": 0.8, "level": "high", "reasons": ["amount"], "flagged": True}

_EXAMPLES: Final[Mapping[str, Example]] = {
    str(example["code"]): example
    for example in (
        invalid("query", "It must not hold NUL."),
        invalid("body", "The body must be valid JSON.", code="invalid_json"),
        invalid(
            "amountCents",
            "Stripe cannot carry this amount in its currency.",
            code="amount_not_carried",
        ),
        invalid("Stripe-Signature", "The signature names no time.", code="bad_signature"),
        invalid("body", "The body is no Stripe event.", code="bad_event"),
        _example(
            e.PaymentRefused,
            "Your card was declined. Try another payment method.",
            stripeCode="card_declined",
            declineCode="generic_decline",
            payment={**PAYMENT_EXAMPLE, **_OPENED, "status": "failed", "awaiting": None},
        ),
        _example(
            e.RefundRefused,
            "The payer's bank declined it.",
            stripeCode="declined",
            payment={**PAYMENT_EXAMPLE, **_PAID},
        ),
        _example(
            e.PayoutRefused,
            "You have insufficient funds in your Stripe account for this transfer.",
            stripeCode="balance_insufficient",
        ),
        _example(Unauthenticated, "Send a token: Authorization: Bearer <JWT>."),
        _example(Unauthenticated, "The token has expired. Fetch a new one.", code="invalid_token"),
        _example(e.NotAllowed, "A token of role dispatcher needs the claim company_id."),
        _example(
            e.NotAllowed,
            "Transfers are switched off: connectEnabled is false in the Stripe credentials.",
            code="connect_disabled",
        ),
        missing("There is no payment p_1."),
        _told(http_problem(404, "The page /docs lists every address.", _REQUEST_ID)),
        _told(http_problem(405, "It knows GET, POST.", _REQUEST_ID)),
        _told(http_problem(408, "The body did not arrive in time. Send it again.", _REQUEST_ID)),
        _told(http_problem(413, "The body is larger than 1048576 bytes. Send less.", _REQUEST_ID)),
        _told(http_problem(415, "Send JSON, with Content-Type: application/json.", _REQUEST_ID)),
        forbidden(
            "The payment has no risk score yet: try again in a moment.",
            "pending_approval",
            code="not_scored",
            risk=None,
            approvals=[],
        ),
        forbidden(
            "The payment is flagged: an admin has to review it first.",
            "pending_approval",
            code="flagged",
            risk=_RISKY,
            approvals=[],
            onReview=True,
        ),
        forbidden(
            "What Stripe did is not known yet; the service is finding out. Try again shortly.",
            "processing",
            code="outcome_unknown",
            attempts=1,
            awaiting="stripe",
        ),
        forbidden(
            "Stripe did not cancel it: the payment is completed.",
            "completed",
            code="not_cancelled",
            **{**_OPENED, "awaiting": None},
        ),
        forbidden(
            "Its PaymentIntent belongs to another Stripe account or mode than the service's "
            "present key (M18): restore that key to go on.",
            "processing",
            code="stripe_account_changed",
            **_OPENED,
        ),
        forbidden(
            "Nobody's card paid it: reverse its transfer in Stripe's dashboard; the reversal is "
            "booked from there.",
            "completed",
            code="not_refundable",
            payerType="back_office",
            driverId=None,
            stripeTransferId="tr_3Pgf3nLkdIwHu7ix",
        ),
        forbidden(
            "The payer disputed this charge, so the bank decides who keeps the money: answer the "
            "dispute, or accept it, in Stripe's dashboard. A refund would pay twice.",
            "completed",
            code="disputed",
            **{**_OPENED, "awaiting": None},
        ),
        forbidden(
            "A payment has at most 50 refunds: give the rest back in Stripe's dashboard; it is "
            "booked from there.",
            "completed",
            code="too_many_refunds",
            **{**_OPENED, "awaiting": None},
        ),
        _example(
            e.SettlementUnderWay,
            "The vendor's share is on its way, and its outcome is not known yet: approve the "
            "refund again shortly.",
            payment=PAYMENT_EXAMPLE,
        ),
        _example(
            e.DuplicateJob,
            "Payment p_1 is already there for this incident and vendor. Use it, or cancel it "
            "first.",
            payment=PAYMENT_EXAMPLE,
        ),
        _example(
            e.DestinationMismatch,
            "The vendor's record names another account: leave the account out, or change the "
            "vendor's record first.",
        ),
        _example(
            e.VendorCannotReceive,
            "The vendor has not finished Stripe's onboarding. POST "
            "/vendors/v_7/onboarding-link gives its page.",
            reason="not_onboarded",
            onboardingLink="/vendors/v_7/onboarding-link",
        ),
        invalid(
            "stripeAccountId",
            "Stripe shows us no account acct_1A2b3C4d5E6f7G8h: its owner withdrew our access, it "
            "is another platform's, or there is none by that id.",
            code="account_not_connected",
        ),
        _example(
            e.AccountTaken,
            "Another vendor is paid to acct_1A2b3C4d5E6f7G8h: an account is one vendor's, so that "
            "what arrives there is explained to its owner alone. Give each vendor its own.",
        ),
        _example(e.AccountRefused, "Country 'AQ' is unknown.", stripeCode="country_unsupported"),
        _example(
            e.NotAllowed,
            "Stripe's page has nowhere to send the vendor back to: set "
            "ROADCALL_ONBOARDING_RETURN_URL.",
            code="onboarding_not_configured",
        ),
        _example(
            e.StatusForbids,
            "The vendor has no account yet: onboard it first.",
            code="not_onboarded",
        ),
        _example(
            e.IdempotencyKeyReused,
            "This Idempotency-Key came with another body before: use a new key for a new "
            "request, or send the same body again.",
        ),
        _example(e.TooManyRequests, "At most 100 such requests a minute. Try again in 41 seconds."),
        _told(internal_problem(_REQUEST_ID, _REQUEST_ID)),
        _example(
            e.StripeUnavailable,
            "Stripe does not answer at the moment; nothing was started. Try again later.",
        ),
        _example(
            e.CredentialsRejected,
            "Stripe rejects our API key: put a valid one into the secret; it is read again.",
        ),
        _example(
            e.CredentialsRejected,
            "Our API key may not do payment_intents.retrieve: give it that right, or use another "
            "key.",
            code="stripe_permission",
        ),
        _example(
            e.MovementsPaused,
            "Outgoing movements are paused (Stripe reports an incident.): an admin has to resume "
            "them.",
        ),
        _example(
            e.MovementsPaused,
            "Held after a restore (restored from monday.sqlite): what Stripe did since may be "
            "missing in the books. An operator has to run roadcall-payments repair-drift, then "
            "release.",
            code="held_after_restore",
        ),
        _example(e.StoreUnavailable, "Another process held the database for 5 s."),
        _example(
            e.StoreUnavailable,
            "The database did not say whether the write took effect; ask again for the current "
            "state before repeating the request.",
            code="commit_unknown",
        ),
        _example(e.ContendedStream, "Too many writers on payment/p_1: try again."),
        _example(
            IssuerUnavailable, "The token issuer's keys cannot be fetched. Try again shortly."
        ),
    )
}

_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer"},
    }
}
_HEADERS: Final[Mapping[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}

# What the door says, before any operation: address, token, role, limit.
_GUARDED: Final = (
    "invalid_input",
    "unauthenticated",
    "invalid_token",
    "not_allowed",
    "too_many_requests",
    "internal_error",
    "store_unavailable",
    "issuer_unavailable",
)
_WRITTEN: Final = (
    "invalid_json",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "commit_unknown",
    "contended",
)
# What asking Stripe may end in.
STRIPE: Final = ("stripe_unavailable", "stripe_credentials_rejected", "stripe_permission")


def errors(*shown: str | Example) -> Responses:
    """The answers for these codes, by status; of two examples of one code the later one stands."""
    chosen: dict[str, Example] = {}
    for one in shown:
        example = _EXAMPLES[one] if isinstance(one, str) else one
        chosen[str(example["code"])] = example
    by_status: dict[int, dict[str, Example]] = {}
    for code, example in chosen.items():
        by_status.setdefault(int(str(example["status"])), {})[code] = example
    return {status: _answer(status, examples) for status, examples in by_status.items()}


def reads(*more: str | Example) -> Responses:
    """What every guarded call may answer, and ``more``."""
    return errors(*_GUARDED, *more)


def writes(*more: str | Example) -> Responses:
    """What every guarded call that takes a body and writes may answer, and ``more``."""
    return errors(*_GUARDED, *_WRITTEN, *more)


def decides(*more: str | Example) -> Responses:
    """``writes`` for a command on one payment, with an Idempotency-Key."""
    return writes("not_found", "idempotency_key_reused", *more)


def _as_500(example: Example) -> Example:
    """What may pass, as the webhook tells it: Stripe sends again whatever the status (M19)."""
    return {**example, "status": 500}


def _answer(status: int, examples: Mapping[str, Example]) -> dict[str, Any]:
    meanings = [f"- `{code}`: {example['title']}" for code, example in examples.items()]
    answer: dict[str, Any] = {
        "description": "\n".join(meanings),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    code: {"value": nulls_kept(example)} for code, example in examples.items()
                },
            }
        },
    }
    if status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer


INTERNAL: Final[Responses] = errors("internal_error")
# Answered where no operation is: an address or a method that no call has.
ELSEWHERE: Final[Responses] = errors("unknown_address", "method_not_allowed")
WEBHOOK: Final[Responses] = errors(
    "invalid_input",
    "bad_signature",
    "bad_event",
    "internal_error",
    _as_500(_EXAMPLES["store_unavailable"]),
    _as_500(_EXAMPLES["commit_unknown"]),
    _as_500(_example(e.CredentialsRejected, "No webhook secret is configured: set webhookSecret.")),
)
