"""The settings of one sandbox. Amounts are minor units, times seconds unless named otherwise."""

from dataclasses import dataclass, field

DEFAULT_API_VERSION = "2026-08-26.dahlia"
"""Assumed where a client sends no `Stripe-Version`; its specification is what tests check."""

SDK_API_VERSION = "2026-10-28.endive"
"""What Stripe's newest SDKs send."""

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint that is there from the start."""

    url: str
    secret: str
    connect: bool


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Immutable settings of a sandbox."""

    seed: str = "0"
    platform_account: str = "acct_1SandboxPlatform00"
    country: str = "US"
    currency: str = "usd"
    opening_balance: int = 1_000_000
    fee_basis_points: int = 290
    fee_fixed: int = 30
    dispute_fee: int = 1_500
    settlement_s: int = 2 * DAY_S
    """From a charge to its funds being available."""
    payout_transit_s: int = HOUR_S
    """From a payout's creation to `in_transit`."""
    payout_arrival_s: int = DAY_S
    """From a payout's creation to `paid` or `failed`."""
    refund_settles_s: int = MINUTE_S
    """From a pending refund to `succeeded`, from a failing one to `failed`."""
    idempotency_kept_s: int = DAY_S
    events_kept_s: int = 30 * DAY_S
    webhook_retries_s: tuple[int, ...] = (
        5,
        30,
        120,
        600,
        HOUR_S,
        3 * HOUR_S,
        6 * HOUR_S,
        12 * HOUR_S,
        DAY_S,
        DAY_S,
    )
    """The waits between delivery attempts; after the last one (about three days) it gives up."""
    secret_overlap_s: int = DAY_S
    """How long a webhook's old secret stays valid after a roll, at most."""
    confirmation_limit: int | None = None
    """Failed confirmations after which a PaymentIntent is canceled; None: no limit."""
    api_keys: tuple[str, ...] = ()
    """The secret keys accepted; none: every `sk_test_...`."""
    api_versions: tuple[str, ...] = (DEFAULT_API_VERSION, SDK_API_VERSION)
    endpoints: tuple[Endpoint, ...] = field(default=())
    base_url: str = "http://127.0.0.1:12111"
    """Where this sandbox is reached: the start of the pages that a card holder is sent to."""
