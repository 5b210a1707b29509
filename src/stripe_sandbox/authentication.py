"""API keys: which are accepted, and for whom a request acts."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from stripe_sandbox.errors import RequestRefused
from stripe_sandbox.own_records import AccessRecord


@dataclass(frozen=True, slots=True)
class Caller:
    publishable: bool


def _unauthorized(message: str) -> RequestRefused:
    return RequestRefused(401, "invalid_request_error", message)


def read_key(headers: Mapping[str, str]) -> str | None:
    """The API key of a bearer or basic authorization; None where there is none."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        return decoded.partition(":")[0] or None
    return None


def authenticate(headers: Mapping[str, str], access: AccessRecord) -> Caller:
    """Raises RequestRefused (401, never saved under an idempotency key)."""
    key = read_key(headers)
    if key is None:
        raise _unauthorized(
            "You did not provide an API key. You need to provide your API key in the "
            "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
            "YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details."
        )
    secret = key.startswith(("sk_test_", "rk_test_"))
    publishable = key.startswith("pk_test_")
    accepted = not access.accepted or key in access.accepted or publishable
    if not (secret or publishable) or not accepted or key in access.revoked:
        raise _unauthorized(f"Invalid API Key provided: {_masked(key)}")
    return Caller(publishable)


def _masked(key: str) -> str:
    """The kind of key and its last four characters, as Stripe shows it."""
    kind = "_".join(key.split("_")[:2]) + "_" if key.count("_") >= 2 else ""
    return f"{kind}{'*' * 16}{key[-4:] if len(key) > 12 else ''}"
