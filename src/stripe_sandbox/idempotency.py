"""Idempotency keys, as Stripe's: the first answer again, for 24 hours, errors included."""

from hashlib import blake2b

from stripe_sandbox.errors import RequestRefused, refused
from stripe_sandbox.messages import Response
from stripe_sandbox.own_records import IdempotencyRecord
from stripe_sandbox.world import World

KEY_LENGTH_MAX = 255


def fingerprint(path: str, query: str, body: bytes) -> str:
    """What must be the same for a key to be used again: the endpoint and the parameters."""
    return blake2b(b"\n".join((path.encode(), query.encode(), body)), digest_size=16).hexdigest()


class IdempotencyKeys:
    """The saved answers, and the keys in flight, by acting account and key."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._in_flight: dict[str, str] = {}

    def check(self, account: str, key: str, path: str, print_of_request: str) -> Response | None:
        """The saved response, or None for a key not yet used.

        Raises RequestRefused: 400 for a key that is too long or was used with another request,
        409 for one in flight.
        """
        if len(key) > KEY_LENGTH_MAX:
            raise refused(
                f"Idempotency-Key must be at most {KEY_LENGTH_MAX} characters long.",
                param="Idempotency-Key",
            )
        scoped = f"{account}/{key}"
        flying = self._in_flight.get(scoped)
        if flying is not None:
            raise RequestRefused(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Stripe Idempotency "
                f"Key ({key}). Please try again later.",
                code="idempotency_key_in_use",
                headers={"Stripe-Should-Retry": "true"},
            )
        saved = self._world.idempotency.get(scoped)
        if saved is None or saved.expires_at <= self._world.now:
            return None
        if saved.path != path:
            raise _mismatch(
                key, f"for the same endpoint they were first used for ('{saved.path}' vs '{path}')"
            )
        if saved.fingerprint != print_of_request:
            raise _mismatch(key, "with the same parameters they were first used with")
        return Response(
            saved.status,
            saved.body,
            {"Idempotent-Replayed": "true", "Original-Request": saved.request or ""},
        )

    def begin(self, account: str, key: str, request_id: str) -> None:
        self._in_flight[f"{account}/{key}"] = request_id

    def finish(self, account: str, key: str) -> None:
        self._in_flight.pop(f"{account}/{key}", None)

    def save(
        self, account: str, key: str, path: str, print_of_request: str, response: Response
    ) -> None:
        world = self._world
        scoped = f"{account}/{key}"
        expired = world.idempotency.get(scoped)
        if expired is not None:
            world.idempotency.remove(expired)
        world.idempotency.add(
            IdempotencyRecord(
                id=scoped,
                account=account,
                created=world.now,
                sequence=world.ids.sequence(),
                request=world.origin.request,
                idempotency_key=key,
                fingerprint=print_of_request,
                path=path,
                status=response.status,
                body=response.body,
                expires_at=world.now + world.config.idempotency_kept_s,
            )
        )


def _mismatch(key: str, what: str) -> RequestRefused:
    return RequestRefused(
        400,
        "idempotency_error",
        f"Keys for idempotent requests can only be used {what}. Try using a key "
        f"other than '{key}' if you meant to execute a different request.",
    )
