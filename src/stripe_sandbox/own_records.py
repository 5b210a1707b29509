"""What the sandbox keeps for itself: deliveries, idempotency keys, clock, start, access."""

import msgspec

from stripe_sandbox.records import Record


class Attempt(msgspec.Struct, kw_only=True):
    at_ms: int
    status: int | None
    error: str | None
    duration_ms: int


class Delivery(Record, kw_only=True):
    """One event on its way to one endpoint."""

    event: str
    endpoint: str
    state: str = "pending"
    """pending, delivered, failed (given up), dropped (by a fault)."""
    due_ms: int
    rank: int
    """Breaks ties of `due_ms`; negative and falling where a fault reverses the order."""
    in_order: bool = False
    old_secret: bool = False
    attempts: list[Attempt] = msgspec.field(default_factory=list)


class IdempotencyRecord(Record, kw_only=True):
    """`id` is the account and the key; `request` the original request's id."""

    fingerprint: str
    path: str
    status: int
    body: bytes
    expires_at: int


class ClockRecord(Record, kw_only=True):
    mode: str
    standing_at_ms: int
    offset_ms: int


class StartRecord(Record, kw_only=True):
    """What must stay the same over restarts of one state file."""

    seed: str
    boots: int
    platform_account: str


class AccessRecord(Record, kw_only=True):
    """The API keys accepted (none: every test key) and those revoked."""

    accepted: list[str]
    revoked: list[str]
