"""What an exchange with Stripe proves: done, refused, or nothing (M5). Pure tables.

| what came back                                  | proves  | tried again |
|-------------------------------------------------|---------|-------------|
| 2xx that we can read                            | done    |             |
| 2xx that is no JSON                             | nothing | yes         |
| 2xx with a value we do not know; 3xx            | nothing | no          |
| 4xx card_error, invalid_request_error           | refused | no          |
| 4xx idempotency_error, any other type, no JSON  | nothing | no          |
| 401                                             | nothing | with the secret read again |
| 403                                             | nothing | no          |
| 409, 429                                        | nothing | yes         |
| 5xx                                             | nothing | yes         |
| 5xx, replayed                                   | nothing | never (M8)  |
| timeout, broken connection, truncated body      | nothing | yes         |

``Stripe-Should-Retry`` overrides the last column, except for a replayed 5xx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from roadcall_payments.domain.stripe_objects import PaymentIntent
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from roadcall_payments.stripe_gateway import mapping, wire
from roadcall_payments.stripe_gateway.mapping import Json, Untranslatable
from roadcall_payments.stripe_gateway.transport import Answer, NoAnswer

T = TypeVar("T")


class Done(msgspec.Struct, Generic[T], frozen=True):
    """2xx, read and translated."""

    value: T
    request_id: str | None
    replayed: bool


class Verdict(msgspec.Struct, Generic[T], frozen=True):
    """``retry``: another try may end better. ``broken``: Stripe or the way there is at fault,
    which the circuit breaker counts."""

    result: Done[T] | Refused | Unknown
    retry: bool = False
    broken: bool = False


# Statuses that prove nothing, and whether they are tried again by default.
_UNKNOWN_STATUS: Mapping[int, tuple[UnknownReason, bool]] = {
    401: (UnknownReason.AUTHENTICATION, False),
    403: (UnknownReason.PERMISSION, False),
    409: (UnknownReason.IN_FLIGHT, True),
    429: (UnknownReason.RATE_LIMITED, True),
}
# The same under other statuses, by Stripe's code: older answers came as 400.
_UNKNOWN_CODE: Mapping[str, tuple[UnknownReason, bool]] = {
    "idempotency_key_in_use": (UnknownReason.IN_FLIGHT, True),
    "lock_timeout": (UnknownReason.RATE_LIMITED, True),
    "rate_limit": (UnknownReason.RATE_LIMITED, True),
}
# Only these types of a 4xx say that the request itself was judged and refused.
_PROVING_TYPES = frozenset({"card_error", "invalid_request_error"})

_refusal_decoder = msgspec.json.Decoder(wire.WireRefusal)


def verdict(answer: Answer | NoAnswer, read: Callable[[Json], T]) -> Verdict[T]:
    """Judge one exchange by itself; ``read`` translates the body of a 2xx."""
    if isinstance(answer, NoAnswer):
        return Verdict(Unknown(answer.reason, answer.detail), retry=True, broken=True)
    if 200 <= answer.status < 300:
        return _success(answer, read)
    if answer.status in _UNKNOWN_STATUS:
        return _unknown(answer, *_UNKNOWN_STATUS[answer.status])
    if answer.status >= 500:
        return _server_error(answer)
    if answer.status >= 400:
        return _client_error(answer)
    return _unknown(answer, UnknownReason.MALFORMED_ANSWER, False)


def unproven(refused: Refused) -> Unknown:
    """A refusal after a try whose fate is open proves nothing unless it is a replay (M5)."""
    return Unknown(
        UnknownReason.UNPROVEN_REFUSAL,
        f"HTTP {refused.http_status} {refused.failure.code} after an open try",
        refused.request_id,
    )


def _success(answer: Answer, read: Callable[[Json], T]) -> Verdict[T]:
    try:
        value = read(answer.body)
    except Untranslatable as exc:
        unknown = Unknown(UnknownReason.MALFORMED_ANSWER, str(exc), answer.request_id)
        return Verdict(unknown, retry=exc.garbled, broken=exc.garbled)
    return Verdict(Done(value, answer.request_id, answer.replayed))


def _server_error(answer: Answer) -> Verdict[T]:
    if answer.replayed:
        reason = UnknownReason.REPLAYED_SERVER_ERROR
        return Verdict(Unknown(reason, f"HTTP {answer.status}, replayed", answer.request_id))
    return _unknown(answer, UnknownReason.SERVER_ERROR, True, broken=True)


def _client_error(answer: Answer) -> Verdict[T]:
    try:
        error = _refusal_decoder.decode(answer.body).error
    except (msgspec.DecodeError, RecursionError):
        return _unknown(answer, UnknownReason.MALFORMED_ANSWER, False)
    if error.code is not None and error.code in _UNKNOWN_CODE:
        return _unknown(answer, *_UNKNOWN_CODE[error.code])
    if error.type == "idempotency_error":
        return _unknown(answer, UnknownReason.IDEMPOTENCY_MISMATCH, False)
    if error.type not in _PROVING_TYPES:
        return _unknown(answer, UnknownReason.SERVER_ERROR, False)
    try:
        intent = _left_behind(error)
    except Untranslatable as exc:
        return Verdict(Unknown(UnknownReason.MALFORMED_ANSWER, str(exc), answer.request_id))
    refused = Refused(
        failure=mapping.failure(error),
        http_status=answer.status,
        request_id=answer.request_id,
        replayed=answer.replayed,
        object=intent,
    )
    return Verdict(refused, retry=answer.should_retry is True)


def _left_behind(error: wire.WireError) -> PaymentIntent | None:
    """A declined confirmation leaves its PaymentIntent, which may still succeed (M1)."""
    raw = bytes(error.payment_intent)
    return mapping.read_payment_intent(raw) if raw not in (b"", b"null") else None


def _unknown(
    answer: Answer, reason: UnknownReason, retry: bool, *, broken: bool = False
) -> Verdict[T]:
    """Stripe's message stays out: on a 401 it shows a part of the key."""
    said = answer.should_retry
    unknown = Unknown(reason, f"HTTP {answer.status}", answer.request_id)
    return Verdict(unknown, retry=retry if said is None else said, broken=broken)
