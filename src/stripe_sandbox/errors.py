"""Stripe's error answers.

StripeError
 ├─ RequestRefused     parameters that do not pass: never saved under an idempotency key
 └─ (itself)           everything that happens once execution has begun: saved
"""

from stripe_sandbox.json_types import JsonObject, JsonValue


class StripeError(Exception):
    """An answer that is an error. `fields` are added to the `error` object as they stand."""

    saved = True
    """Whether an idempotency key remembers this answer."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        fields: JsonObject | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.param = param
        self.fields = fields or {}
        self.headers = headers or {}

    def body(self) -> JsonObject:
        error: dict[str, JsonValue] = {}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = "https://stripe.com/docs/error-codes/" + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["type"] = self.kind
        error.update(self.fields)
        return {"error": error}


class RequestRefused(StripeError):
    """The request itself is wrong, or was never begun: no idempotency key remembers it."""

    saved = False


def invalid(
    message: str, *, code: str | None = None, param: str | None = None, status: int = 400
) -> StripeError:
    """The request is well formed, and the state of things forbids it."""
    return StripeError(status, "invalid_request_error", message, code=code, param=param)


def refused(
    message: str, *, code: str | None = None, param: str | None = None, status: int = 400
) -> RequestRefused:
    return RequestRefused(status, "invalid_request_error", message, code=code, param=param)


def missing_object(noun: str, object_id: str, param: str, *, in_path: bool = False) -> StripeError:
    """404 for an id in the path, 400 for one in a parameter, as Stripe answers."""
    return invalid(
        f"No such {noun}: '{object_id}'",
        code="resource_missing",
        param=param,
        status=404 if in_path else 400,
    )


def missing_parameter(name: str) -> RequestRefused:
    return refused(f"Missing required param: {name}.", code="parameter_missing", param=name)


def not_modelled(what: str) -> RequestRefused:
    """501: Stripe has this, the sandbox does not, and says so."""
    return RequestRefused(
        501,
        "api_error",
        f"The sandbox does not model {what}. Stripe does; see docs/sandbox.md for what is covered.",
        code="sandbox_not_modelled",
    )


def card_error(
    message: str, *, code: str, decline_code: str | None, fields: JsonObject
) -> StripeError:
    """402, with the objects that came of the attempt in `fields`."""
    added: JsonObject = dict(fields)
    if decline_code is not None:
        added["decline_code"] = decline_code
    return StripeError(402, "card_error", message, code=code, fields=added)
