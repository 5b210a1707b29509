"""What the OpenAPI document says of answers that many routes share."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from roadcall_payments.api.payment_views import PAYMENT_EXAMPLE
from roadcall_payments.api.problems import MEDIA_TYPE
from roadcall_payments.api.schemas import nulls_kept

# FastAPI's own type for ``responses=``; its Any cannot have a name.
Responses = dict[int | str, dict[str, Any]]

_REQUEST_ID = "01938f6e-7d2a-7c31-9a55-0d6b3f2e8c11"


def problem_example(
    status: int, code: str, title: str, detail: str, **more: JsonValue
) -> dict[str, JsonValue]:
    return {
        "type": f"urn:roadcall:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "requestId": _REQUEST_ID,
        **more,
    }


def _answer(description: str, *examples: dict[str, JsonValue]) -> dict[str, Any]:
    shown = {str(example["code"]): {"value": nulls_kept(example)} for example in examples}
    return {
        "description": description,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": shown,
            }
        },
    }


_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer"},
    }
}
_WWW_AUTHENTICATE = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}

_INVALID = _answer(
    "Something in the request is not valid; `errors` names the fields.",
    problem_example(
        400,
        "invalid_input",
        "Something in the request is not valid",
        "amountCents: The line items add up to 18500, the amount says 18000.",
        field="amountCents",
        errors=[
            {
                "field": "amountCents",
                "message": "The line items add up to 18500, the amount says 18000.",
            }
        ],
    ),
)
_REFUSED = _answer(
    "Not valid, or refused by Stripe: then the payment is `failed` and says why.",
    problem_example(
        400,
        "payment_failed",
        "Stripe refused the payment",
        "Your card was declined. Try another payment method.",
        stripeCode="card_declined",
        declineCode="generic_decline",
        payment={**PAYMENT_EXAMPLE, "status": "failed"},
    ),
    problem_example(
        400,
        "invalid_input",
        "Something in the request is not valid",
        "paymentMethodId: String should match pattern",
        field="paymentMethodId",
        errors=[{"field": "paymentMethodId", "message": "String should match pattern"}],
    ),
)
_UNAUTHENTICATED = {
    **_answer(
        "No token, or one that proves nothing.",
        problem_example(
            401,
            "invalid_token",
            "Who are you?",
            "The token has expired. Fetch a new one.",
        ),
    ),
    "headers": _WWW_AUTHENTICATE,
}
_NOT_ALLOWED = _answer(
    "The caller's role does not have this right, or not for this thing.",
    problem_example(
        403,
        "not_allowed",
        "You may not do this",
        "The role driver may not approve payments. Call with a token of another role.",
    ),
)
_NOT_FOUND = _answer(
    "No such thing, or none of the caller's business.",
    problem_example(404, "not_found", "There is no such thing", "There is no payment p_1."),
)
_CONFLICT = _answer(
    "The payment's status does not allow this; `payment` is how it stands.",
    problem_example(
        409,
        "status_forbids",
        "The payment's status does not allow this",
        "A payment that is approved cannot be approved.",
        payment=PAYMENT_EXAMPLE,
    ),
)
_DUPLICATE = _answer(
    "A live payment for this incident and vendor exists.",
    problem_example(
        409,
        "duplicate_job",
        "This job has a payment already",
        "Payment p_1 is already there for this incident and vendor. Use it, or cancel it first.",
        payment=PAYMENT_EXAMPLE,
    ),
)
_UNPROCESSABLE = _answer(
    "The Idempotency-Key came with another body before, or another account was approved.",
    problem_example(
        422,
        "idempotency_key_reused",
        "The Idempotency-Key was used for another request",
        "This Idempotency-Key came with another body before: use a new key for a new request, "
        "or send the same body again.",
    ),
    problem_example(
        422,
        "destination_mismatch",
        "Another account was approved",
        "The payment was approved for another account; have it approved anew for this one.",
    ),
)
_TOO_MANY = {
    **_answer(
        "The caller's limit is used up for this minute.",
        problem_example(
            429,
            "too_many_requests",
            "Too many requests",
            "At most 100 such requests a minute. Try again in 41 seconds.",
        ),
    ),
    "headers": _RETRY_AFTER,
}
_INTERNAL = _answer(
    "Our fault; quote the `errorId`.",
    problem_example(
        500,
        "internal_error",
        "Something on our side went wrong",
        "Try again; if it stays, tell us the error id.",
        errorId=_REQUEST_ID,
    ),
)
_UNAVAILABLE = {
    **_answer(
        "Something we need is away for now; nothing was lost.",
        problem_example(
            503,
            "stripe_unavailable",
            "Stripe cannot be reached",
            "Stripe does not answer. Nothing was sent; try again.",
        ),
        problem_example(
            503,
            "movements_paused",
            "Movements are paused",
            "An operator holds every outgoing movement. Try again later.",
        ),
        problem_example(
            503,
            "store_unavailable",
            "The database cannot be reached",
            "The database does not answer. Try again.",
        ),
    ),
    "headers": _RETRY_AFTER,
}
_TOO_LARGE = _answer(
    "The body is larger than allowed.",
    problem_example(
        413, "body_too_large", "The body is too large", "The body is larger than 1048576 bytes."
    ),
)
_TOO_SLOW = _answer(
    "The body did not arrive within 30 seconds.",
    problem_example(
        408,
        "request_timeout",
        "The request took too long to arrive",
        "The body did not arrive in time. Send it again.",
    ),
)
_NOT_JSON = _answer(
    "The body is not JSON.",
    problem_example(
        415,
        "unsupported_media_type",
        "The body is not JSON",
        "Send JSON, with Content-Type: application/json.",
    ),
)

READS: Responses = {
    400: _INVALID,
    401: _UNAUTHENTICATED,
    403: _NOT_ALLOWED,
    429: _TOO_MANY,
    500: _INTERNAL,
    503: _UNAVAILABLE,
}
READS_ONE: Responses = {**READS, 404: _NOT_FOUND}
WRITES: Responses = {**READS, 408: _TOO_SLOW, 413: _TOO_LARGE, 415: _NOT_JSON}
CREATES: Responses = {**WRITES, 409: _DUPLICATE, 422: _UNPROCESSABLE}
DECIDES: Responses = {**WRITES, 404: _NOT_FOUND, 409: _CONFLICT, 422: _UNPROCESSABLE}
MOVES: Responses = {**DECIDES, 400: _REFUSED}
CONFLICTS: Responses = {409: _CONFLICT}
WEBHOOK: Responses = {400: _INVALID, 408: _TOO_SLOW, 500: _INTERNAL}
INTERNAL: Responses = {500: _INTERNAL}
NOT_READY: Responses = {503: _UNAVAILABLE}
