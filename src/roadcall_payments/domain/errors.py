"""Every way a request can go wrong, each one transient or final.

    RoadcallError
    ├── FinalError                  the same request will fail again
    │   ├── InvalidInput            the caller sent something impossible (names the field)
    │   ├── NotFound                no such thing, or none of the caller's business
    │   ├── NotAllowed              the caller lacks the right
    │   ├── StatusForbids           the payment's status does not allow the command
    │   ├── DuplicateJob            a live payment for (incident, vendor) exists (M11)
    │   ├── DestinationMismatch     another account than the one approved (M10)
    │   ├── VendorCannotReceive     no transfer may go to the vendor's account
    │   ├── AccountTaken            another vendor's record names this connected account
    │   ├── AccountRefused          Stripe opens no account, or no page of it, as things stand
    │   ├── IdempotencyKeyReused    same key, other request
    │   ├── PaymentRefused          Stripe definitely refused; the payment is failed
    │   ├── RefundRefused           Stripe definitely refused; the refund is failed
    │   ├── PayoutRefused           Stripe definitely refused; the payout is failed
    │   └── BrokenInvariant         our own fault: a rule of ours would be broken
    └── TransientError              the same request may succeed later
        ├── StripeUnavailable       circuit breaker open, or Stripe not reachable for a read
        ├── CredentialsRejected     Stripe answered 401 twice; waiting for a new key
        ├── SettlementUnderWay      the vendor's share is on its way: a refund waits (M20)
        ├── MovementsPaused         an operator holds every outgoing movement
        ├── TooManyRequests         the caller's rate limit
        ├── StoreUnavailable        the database cannot be reached or is overloaded
        └── ContendedStream         too many writers on one stream; try again

Callers branch on the class or on ``code``, never on the prose.
"""

from __future__ import annotations


class RoadcallError(Exception):
    """Base of the tree. ``code`` is stable; ``message`` says what to do next."""

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class FinalError(RoadcallError):
    """The same request will fail again."""


class TransientError(RoadcallError):
    """The same request may succeed later; ``retry_after_s`` is a hint in seconds."""

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class InvalidInput(FinalError):
    """Something in the request is impossible; ``field`` names it as the caller wrote it."""

    code = "invalid_input"

    def __init__(self, field: str, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class NotFound(FinalError):
    code = "not_found"


class NotAllowed(FinalError):
    code = "not_allowed"


class StatusForbids(FinalError):
    code = "status_forbids"


class DuplicateJob(FinalError):
    """M11: ``payment_id`` is the live payment that holds (incident, vendor)."""

    code = "duplicate_job"

    def __init__(self, message: str, *, payment_id: str) -> None:
        super().__init__(message)
        self.payment_id = payment_id


class DestinationMismatch(FinalError):
    code = "destination_mismatch"


class VendorCannotReceive(FinalError):
    """Nothing was started. ``obstacle`` is stable; ``vendor_id``: whose onboarding may mend it."""

    code = "vendor_cannot_receive"

    def __init__(self, message: str, *, obstacle: str, vendor_id: str | None) -> None:
        super().__init__(message)
        self.obstacle = obstacle
        self.vendor_id = vendor_id


class AccountTaken(FinalError):
    code = "account_taken"


class AccountRefused(FinalError):
    code = "account_refused"

    def __init__(self, message: str, *, stripe_code: str) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code


class IdempotencyKeyReused(FinalError):
    code = "idempotency_key_reused"


class PaymentRefused(FinalError):
    """Stripe definitely refused. ``decline_code`` is Stripe's, where the card was declined."""

    code = "payment_failed"

    def __init__(self, message: str, *, stripe_code: str | None, decline_code: str | None) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code
        self.decline_code = decline_code


class RefundRefused(FinalError):
    """Stripe definitely refused, or the bank did; a new try is a new refund (M9)."""

    code = "refund_failed"

    def __init__(self, message: str, *, stripe_code: str) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code


class PayoutRefused(FinalError):
    """Stripe definitely refused; a new try is a new payout (M9)."""

    code = "payout_failed"

    def __init__(self, message: str, *, stripe_code: str) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code


class BrokenInvariant(FinalError):
    code = "broken_invariant"


class StripeUnavailable(TransientError):
    code = "stripe_unavailable"


class CredentialsRejected(TransientError):
    code = "stripe_credentials_rejected"


class SettlementUnderWay(TransientError):
    code = "settlement_under_way"


class MovementsPaused(TransientError):
    code = "movements_paused"


class TooManyRequests(TransientError):
    code = "too_many_requests"


class StoreUnavailable(TransientError):
    code = "store_unavailable"


class ContendedStream(TransientError):
    code = "contended"
