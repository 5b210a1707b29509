"""Errors as RFC 9457 problem details: a stable ``code``, and a ``detail`` that says what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from roadcall_payments.api.access import ROUTES, may_read
from roadcall_payments.api.identity_errors import IssuerUnavailable, Unauthenticated
from roadcall_payments.api.payment_views import PaymentView, view
from roadcall_payments.api.schemas import View
from roadcall_payments.api.wiring import record_of, service_of
from roadcall_payments.domain import errors as e
from roadcall_payments.domain.payment import Payment
from roadcall_payments.telemetry import redact_text

MEDIA_TYPE: Final = "application/problem+json"
FIELD_ERRORS_MAX: Final = 20
_FIELD_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """How a class of errors is told: HTTP status and title; ``retry_after_s`` in seconds."""

    status: int
    title: str
    retry_after_s: int | None = None


# Every class of the error tree that is ever raised; a test proves that none is missing.
KINDS: Mapping[type[e.RoadcallError], Kind] = {
    e.InvalidInput: Kind(400, "Something in the request is not valid"),
    e.NotFound: Kind(404, "There is no such thing"),
    e.NotAllowed: Kind(403, "You may not do this"),
    e.StatusForbids: Kind(409, "The payment's status does not allow this"),
    e.DuplicateJob: Kind(409, "This job has a payment already"),
    e.DestinationMismatch: Kind(422, "Another account was approved"),
    e.VendorCannotReceive: Kind(409, "The vendor cannot be paid at present"),
    e.AccountTaken: Kind(409, "Another vendor has this account"),
    e.AccountRefused: Kind(400, "Stripe refused"),
    e.IdempotencyKeyReused: Kind(422, "The Idempotency-Key was used for another request"),
    e.PaymentRefused: Kind(400, "Stripe refused the payment"),
    e.RefundRefused: Kind(400, "Stripe refused the refund"),
    e.PayoutRefused: Kind(400, "Stripe refused the payout"),
    e.BrokenInvariant: Kind(500, "Something on our side went wrong"),
    e.StripeUnavailable: Kind(503, "Stripe cannot be reached", retry_after_s=30),
    e.CredentialsRejected: Kind(503, "Stripe rejects our credentials", retry_after_s=60),
    e.SettlementUnderWay: Kind(409, "The vendor's share is on its way", retry_after_s=5),
    e.MovementsPaused: Kind(503, "Movements are paused", retry_after_s=60),
    e.TooManyRequests: Kind(429, "Too many requests", retry_after_s=60),
    e.StoreUnavailable: Kind(503, "The database cannot be reached", retry_after_s=5),
    e.ContendedStream: Kind(503, "Too many changes at once", retry_after_s=1),
    Unauthenticated: Kind(401, "Who are you?"),
    IssuerUnavailable: Kind(503, "The token issuer cannot be reached", retry_after_s=30),
}

# Told as an internal error, which says nothing of the inside.
_OURS = KINDS[e.BrokenInvariant]

_HTTP_CODES: Mapping[int, tuple[str, str]] = {
    404: ("unknown_address", "There is no such address"),
    405: ("method_not_allowed", "The address does not know this method"),
    408: ("request_timeout", "The request took too long to arrive"),
    413: ("body_too_large", "The body is too large"),
    415: ("unsupported_media_type", "The body is not JSON"),
}


class FieldError(View):
    field: str
    message: str


class Problem(View):
    """RFC 9457. `code` is stable: branch on it, never on the prose."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:roadcall:problem:invalid_input",
                    "title": "Something in the request is not valid",
                    "status": 400,
                    "code": "invalid_input",
                    "detail": "amountCents: Input should be greater than or equal to 1",
                    "requestId": "01938f6e-7d2a-7c31-9a55-0d6b3f2e8c11",
                    "field": "amountCents",
                    "errors": [
                        {
                            "field": "amountCents",
                            "message": "Input should be greater than or equal to 1",
                        }
                    ],
                }
            ]
        },
        json_schema_serialization_defaults_required=False,
    )

    type: str = Field(description="The code as a URI.")
    title: str
    status: int
    code: str
    detail: str = Field(description="What happened, and what to do.")
    request_id: str
    field: str | None = Field(None, description="The first field that is wrong, as it was sent.")
    errors: list[FieldError] | None = Field(None, description="Every field that is wrong.")
    stripe_code: str | None = Field(None, description="Stripe's error code.")
    decline_code: str | None = Field(None, description="Stripe's decline code.")
    reason: str | None = Field(None, description="Why the vendor cannot be paid; stable.")
    onboarding_link: str | None = Field(
        None, description="POST here for the page on which the vendor can change that."
    )
    error_id: str | None = Field(None, description="Quote it to us: it is in our logs.")
    payment: PaymentView | None = Field(
        None, description="The payment as it stands, where it decided the answer."
    )


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    said = problem.model_dump(mode="json", by_alias=True)
    return Response(
        json.dumps({name: value for name, value in said.items() if value is not None}),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def problem_of(error: e.RoadcallError, request_id: str) -> Problem:
    """The document for an error of the tree. Raises KeyError for a class without a kind."""
    kind = KINDS[type(error)]
    # An id or a field's name in it is as the caller sent it: whatever that was.
    message = redact_text(error.message)
    problem = _problem(kind.status, error.code, kind.title, message, request_id)
    match error:
        case e.InvalidInput():
            field = redact_text(error.field)
            named = FieldError(field=field, message=message)
            return problem.model_copy(
                update={
                    "detail": f"{field}: {message}",
                    "field": field,
                    "errors": [named],
                }
            )
        case e.PaymentRefused():
            return problem.model_copy(
                update={"stripe_code": error.stripe_code, "decline_code": error.decline_code}
            )
        case e.RefundRefused() | e.PayoutRefused() | e.AccountRefused():
            return problem.model_copy(update={"stripe_code": error.stripe_code})
        case e.VendorCannotReceive():
            link = f"/vendors/{error.vendor_id}/onboarding-link" if error.vendor_id else None
            return problem.model_copy(update={"reason": error.obstacle, "onboarding_link": link})
        case _:
            return problem


def headers_of(error: e.RoadcallError) -> dict[str, str]:
    """``Retry-After`` where it may help, ``WWW-Authenticate`` (RFC 6750) where a token may."""
    if isinstance(error, e.TransientError):
        wait_s = error.retry_after_s or KINDS[type(error)].retry_after_s
        return {"Retry-After": str(wait_s)} if wait_s else {}
    if isinstance(error, Unauthenticated):
        reason = ', error="invalid_token"' if error.code == "invalid_token" else ""
        return {"WWW-Authenticate": f'Bearer realm="roadcall-payments"{reason}'}
    return {}


def internal_problem(request_id: str, error_id: str) -> Problem:
    """For what nobody foresaw: says nothing of the inside."""
    problem = _problem(
        500,
        "internal_error",
        "Something on our side went wrong",
        "Try again; if it stays, tell us the error id.",
        request_id,
    )
    return problem.model_copy(update={"error_id": error_id})


# What a caller is told of; anything else is the edge's to log and to answer.
TOLD: Final = (e.RoadcallError, RequestValidationError, HTTPException)


async def told(request: Request, error: Exception) -> Response:
    """The problem that stands for ``error``. Raises it again where callers are not told of it."""
    match error:
        case e.RoadcallError():
            return await _roadcall_error(request, error)
        case RequestValidationError():
            return _invalid_request(request, error)
        case HTTPException():
            return _http_exception(request, error)
        case _:
            raise error


async def _roadcall_error(request: Request, error: e.RoadcallError) -> Response:
    """M34: a 409 carries the payment as it stands."""
    if KINDS.get(type(error), _OURS).status == 500:
        raise error
    problem = problem_of(error, record_of(request).id)
    payment = await _current_payment(request, error)
    if payment is not None:
        problem = problem.model_copy(update={"payment": payment})
    elif isinstance(error, e.DuplicateJob):
        # Another company's payment holds the job: not even its id is this caller's business.
        problem = problem.model_copy(
            update={"detail": "This incident and vendor have a live payment already."}
        )
    return respond(problem, headers_of(error))


def _invalid_request(request: Request, error: RequestValidationError) -> Response:
    """What does not fit the documented shape: 400, naming the fields."""
    fields = [_field_error(found["loc"], found["msg"]) for found in error.errors()]
    fields = fields[:FIELD_ERRORS_MAX]
    first = fields[0]
    problem = _problem(
        400,
        e.InvalidInput.code,
        KINDS[e.InvalidInput].title,
        f"{first.field}: {first.message}",
        record_of(request).id,
    )
    return respond(problem.model_copy(update={"field": first.field, "errors": fields}))


def _http_exception(request: Request, error: HTTPException) -> Response:
    """Starlette's own refusals (404, 405) and those of the body's reading."""
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == 404:
        detail = "The page /docs lists every address."
    elif error.status_code == 405:
        headers["Allow"] = _methods_of(request, headers.get("Allow", ""))
        detail = f"It knows {headers['Allow']}."
    return respond(http_problem(error.status_code, detail, record_of(request).id), headers)


def http_problem(status: int, detail: str, request_id: str) -> Problem:
    """For what HTTP itself refuses: addresses, methods, sizes, media types."""
    code, title = _HTTP_CODES.get(status, ("http_error", "The request was refused"))
    return _problem(status, code, title, detail, request_id)


def _methods_of(request: Request, told: str) -> str:
    """Every method that the address knows; Starlette tells those of one route alone."""
    template = getattr(request.scope.get("route"), "path", None)
    return ", ".join(sorted(method for method, path in ROUTES if path == template)) or told


async def _current_payment(request: Request, error: e.RoadcallError) -> PaymentView | None:
    caller = record_of(request).caller
    match error:
        case e.StatusForbids() | e.VendorCannotReceive() | e.SettlementUnderWay():
            payment_id = request.path_params.get("paymentId") or record_of(request).payment_id
        case e.DuplicateJob():
            payment_id = error.payment_id
        case _:
            return None
    if caller is None or not payment_id:
        return None
    queries = (await service_of(request)).queries
    try:
        payment: Payment = await queries.payment(payment_id)
        if not may_read(caller, payment):
            return None
        return view(payment, await queries.texts(payment), caller)
    except (e.NotFound, e.StoreUnavailable):
        return None


def _problem(status: int, code: str, title: str, detail: str, request_id: str) -> Problem:
    return Problem(
        type=f"urn:roadcall:problem:{code}",
        title=title,
        status=status,
        code=code,
        detail=detail,
        request_id=request_id,
    )


_HEADER_NAMES = {"idempotency-key": "Idempotency-Key", "on-behalf-of": "On-Behalf-Of"}


def _field_error(location: Sequence[int | str], message: str) -> FieldError:
    """Pydantic's location as the caller wrote it: ``lineItems[0].unitCents``."""
    path = ""
    for part in location[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    path = _HEADER_NAMES.get(path.lower(), path) or str(location[0])
    return FieldError(field=redact_text(path)[:_FIELD_LENGTH_MAX], message=redact_text(message))
