"""Settings, read once from the environment. ``docs/settings.md`` lists them, and a test checks it.

Ours begin with ``ROADCALL_``; the names that other systems already set are taken as they stand.
Stripe's credentials are not here: the gateway's secret source reads them when they are needed,
and again when they change.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from roadcall_payments.approval_bands import (
    DEFAULT_BANDS,
    ApprovalBands,
    policy_of,
    serves_every_currency,
)
from roadcall_payments.database_url import check_database_url, place_of, sqlite_file
from roadcall_payments.domain.approval import ApprovalPolicy
from roadcall_payments.domain.fraud import RiskRules
from roadcall_payments.domain.payment import Patience
from roadcall_payments.payout_settings import PayoutSettings
from roadcall_payments.settlement_settings import SettlementSettings

DAY_S = 86_400

Addresses = Annotated[tuple[str, ...], NoDecode]
Amounts = Annotated[dict[str, Annotated[int, Field(ge=0)]], AfterValidator(serves_every_currency)]


class Settings(PayoutSettings, SettlementSettings):
    """Everything that a deployment decides. Immutable; secrets show in no ``repr``."""

    model_config = SettingsConfigDict(
        env_prefix="ROADCALL_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        validate_default=True,
    )

    # --- where it runs ---
    data_dir: Path = Field(
        Path("var"), description="Directory of everything kept on this machine: database, own keys."
    )
    database_path: Path | None = Field(
        None,
        description="SQLite database file; unset: `roadcall.sqlite` in the data directory. Used "
        "where `DATABASE_URL` is unset.",
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="Database: `postgresql://user:password@host:5432/database`, or "
        "`sqlite:///path`; unset: the SQLite file of `ROADCALL_DATABASE_PATH`.",
    )
    db_secret_name: str | None = Field(
        None,
        validation_alias="DB_SECRET_NAME",
        description="Secrets Manager name of the database credentials; not used yet.",
    )
    table_name: str | None = Field(
        None,
        validation_alias="TABLE_NAME",
        description="DynamoDB table; not served yet: set, the start is refused.",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; without a JWKS address it must be a loopback one.",
    )
    port: int = Field(8000, ge=1, le=65_535, description="TCP port to listen on.")
    body_bytes_max: int = Field(
        1_048_576, ge=1_024, le=16_777_216, description="Largest request body accepted, in bytes."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe log line that is written."
    )
    clock_offset_s: int = Field(
        0,
        ge=-366 * DAY_S,
        le=366 * DAY_S,
        description="For drills: seconds added to the service's clock; refused with live keys.",
    )

    # --- Stripe ---
    stripe_api_base: str = Field(
        "https://api.stripe.com",
        pattern=r"^https?://",
        description="Stripe's API, or the sandbox's address.",
    )
    stripe_secrets_file: Path | None = Field(
        None,
        description="JSON file with `apiKey`, `webhookSecret`, `connectEnabled`; re-read when it "
        "changes. Unset: the environment's STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, "
        "STRIPE_CONNECT_ENABLED.",
    )
    stripe_secret_name: str = Field(
        "roadcall/stripe/api-keys",
        validation_alias="STRIPE_SECRET_NAME",
        description="Secrets Manager name of the Stripe credentials; not used yet.",
    )
    stripe_timeout_s: int = Field(
        10, ge=1, le=80, description="Longest wait for one answer of Stripe's, in seconds."
    )
    stripe_budget_s: int = Field(
        20,
        ge=1,
        le=25,
        description="Longest wait for Stripe within one request, retries included (M32).",
    )

    stripe_return_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where payers come back to from their bank's site; unset: only payment "
        "methods that need no such site are offered.",
    )
    onboarding_return_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where Stripe's onboarding page sends vendors, with `onboarding=done`, or "
        "`expired` for a fresh link; unset: no links.",
    )
    recovery_after_s: int = Field(
        30,
        ge=2,
        le=3_600,
        description="Seconds after which the worker settles an unknown outcome; longer than "
        "`stripe_budget_s`.",
    )

    # --- callers ---
    jwks_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where the keys of the token issuer are; unset: the service makes its own key "
        "(loopback only).",
    )
    jwt_issuer: str = Field("roadcall-payments", description="Issuer that tokens must name.")
    jwt_audience: str = Field("roadcall-payments", description="Audience that tokens must name.")
    rate_limit_per_minute: int = Field(
        100, ge=1, le=1_000_000, description="Requests a minute for each caller."
    )
    rate_limit_sensitive_per_minute: int = Field(
        10, ge=1, le=1_000_000, description="Of these, requests that move or approve money."
    )
    rate_limit_service_per_minute: int = Field(
        3_000, ge=1, le=1_000_000, description="Requests a minute for a caller of role service."
    )

    # --- approval and risk ---
    approval_bands: ApprovalBands = Field(
        DEFAULT_BANDS,
        description="JSON: per currency (`*`: every other) the approvals an amount needs; "
        "`upToCents` is in the currency's minor units.",
    )
    approval_expiry_days: int = Field(
        7, ge=1, le=90, description="Days after which an incomplete approval starts anew."
    )
    payer_silence_days: int = Field(
        7, ge=1, le=90, description="Days without the payer acting after which we cancel (M33)."
    )
    scoring_patience_s: int = Field(
        30, ge=1, le=3_600, description="Seconds after which the worker scores what is unscored."
    )
    large_amount_cents: Amounts = Field(
        {"*": 250_000},
        description="JSON: per currency (`*`: every other) the amount, in minor units, above "
        "which a payment counts as large.",
    )
    large_amount_percent: int = Field(
        50, ge=0, le=100, description="Risk that a large amount adds, in percent; 70 flags."
    )
    first_payment_percent: int = Field(
        20, ge=0, le=100, description="Risk that a vendor's first payment adds, in percent."
    )

    # --- disputes ---
    dispute_loss_borne_by: Literal["vendor", "platform"] = Field(
        "vendor",
        description="Whose loss a lost dispute is: taken off what the vendor is owed, or an "
        "expense of the platform's.",
    )
    dispute_reminder_days: int = Field(
        3, ge=1, le=14, description="Days before evidence is due on which somebody is told again."
    )

    # --- notices ---
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server: `smtp://host:port`, `smtp+starttls://user:password@host:587` or "
        "`smtps://...`; unset: e-mails are logged only.",
    )
    smtp_timeout_s: int = Field(20, ge=1, le=120, description="Longest wait for the mail server.")
    mail_from: str = Field(
        "Roadcall Payments <payments@roadcall.example>", description="Sender of e-mails."
    )
    approver_emails: Addresses = Field(
        (), description="Who hears that a payment or a refund waits for approval; comma-separated."
    )
    reviewer_emails: Addresses = Field(
        (), description="Who hears that a payment was flagged; comma-separated."
    )
    back_office_emails: Addresses = Field(
        (),
        description="Who hears that a payment or a refund failed, was rejected, or is disputed; "
        "comma-separated.",
    )
    operations_emails: Addresses = Field(
        (), description="Who hears of anomalies and stray money; comma-separated."
    )
    staff_locale: str = Field("en", description="Language and number format of staff's notices.")

    # --- checkpoints ---
    checkpoint_dir: Path | None = Field(
        None,
        description="Directory of the signed checkpoints (M30); unset: `checkpoints` in the data "
        "directory. In production: where who may write the database may not.",
    )
    checkpoint_key_file: Path | None = Field(
        None,
        description="PEM file of the Ed25519 key that signs checkpoints, then public keys of "
        "earlier ones; unset: `checkpoint-key.pem` in the data directory, made at first use.",
    )
    checkpoint_interval_s: int = Field(
        3_600, ge=1, le=DAY_S, description="Seconds from one checkpoint to the next."
    )

    # --- worker ---
    missed_events_interval_s: int = Field(
        900,
        ge=0,
        le=DAY_S,
        description="Seconds between two looks at Stripe's own list for events that no webhook "
        "brought, and at vendors' accounts for their payouts, each once a day; 0: never.",
    )
    worker_poll_interval_ms: int = Field(
        1_000, ge=10, le=60_000, description="Wait between looks at an empty queue."
    )
    worker_batch_size: int = Field(
        50, ge=1, le=500, description="Pieces of work taken from a queue at a time."
    )
    worker_concurrency: int = Field(
        8, ge=1, le=100, description="Pieces of one queue worked on at once."
    )
    worker_lease_s: int = Field(
        90, ge=5, le=900, description="Seconds until another worker may take over unfinished work."
    )
    worker_drain_s: int = Field(
        25, ge=0, le=300, description="Seconds that a stopping worker gives to work in hand."
    )
    relay_batch_size: int = Field(
        100, ge=1, le=1_000, description="Events of one stream published at a time."
    )
    outbox_attempts_max: int = Field(
        30, ge=1, le=1_000, description="Tries to publish before a stream is parked."
    )
    inbox_attempts_max: int = Field(
        12, ge=1, le=1_000, description="Tries of a webhook that break off before it is parked."
    )
    attention_attempts_max: int = Field(
        30, ge=1, le=1_000, description="Tries that fail for good before a payment is parked."
    )
    notices_attempts_max: int = Field(
        12, ge=1, le=1_000, description="Tries to send a notice before it is parked."
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="Loopback port on which `worker` alone serves `/metrics`; unset: none. `serve` "
        "shows them on its own port.",
    )
    retry_base_s: int = Field(
        2, ge=1, le=600, description="Wait after a first failure, in seconds; doubles each time."
    )
    retry_cap_s: int = Field(600, ge=1, le=86_400, description="Longest wait between two tries.")

    @field_validator(
        "approver_emails",
        "reviewer_emails",
        "back_office_emails",
        "operations_emails",
        mode="before",
    )
    @classmethod
    def _split_addresses(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url")
    @classmethod
    def _must_name_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_database_url(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if self.database_url is not None and self.database_path is not None:
            raise ValueError("DATABASE_URL and ROADCALL_DATABASE_PATH are both set: unset one")
        return self

    @model_validator(mode="after")
    def _own_key_stays_on_loopback(self) -> Self:
        if self.jwks_url is None and not _is_loopback(self.host):
            raise ValueError(
                f"host is {self.host}, which others can reach, and jwks_url is not set: set "
                "ROADCALL_JWKS_URL to your token issuer's keys, or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _recovery_leaves_requests_alone(self) -> Self:
        if self.recovery_after_s <= self.stripe_budget_s:
            raise ValueError(
                "recovery_after_s must be longer than stripe_budget_s, or the worker would meet "
                "requests that still wait for Stripe (M32)"
            )
        return self

    @model_validator(mode="after")
    def _lease_outlasts_the_work(self) -> Self:
        # A worker begins a piece only within the first half of its lease.
        if self.worker_lease_s < 2 * max(self.stripe_budget_s, self.smtp_timeout_s):
            raise ValueError(
                "worker_lease_s must be at least twice stripe_budget_s and twice smtp_timeout_s, "
                "or two workers would hold one piece of work"
            )
        return self

    @property
    def postgres_url(self) -> str | None:
        """The address of PostgreSQL, password included; None where SQLite is used."""
        url = self.database_url.get_secret_value() if self.database_url else None
        return None if url is None or sqlite_file(url) else url

    @property
    def sqlite_path(self) -> Path:
        url = self.database_url.get_secret_value() if self.database_url else ""
        return sqlite_file(url) or self.database_path or self.data_dir / "roadcall.sqlite"

    @property
    def database_place(self) -> str:
        """Where the data is, in words fit for a person and a log: no user, no password."""
        return place_of(self.postgres_url) if self.postgres_url else str(self.sqlite_path)

    @property
    def checkpoint_log_dir(self) -> Path:
        return self.checkpoint_dir or self.data_dir / "checkpoints"

    @property
    def checkpoint_key_path(self) -> Path:
        return self.checkpoint_key_file or self.data_dir / "checkpoint-key.pem"

    @property
    def embedded_issuer(self) -> bool:
        """Whether the service signs tokens with a key of its own."""
        return self.jwks_url is None

    @cached_property
    def approval_policy(self) -> ApprovalPolicy:
        return policy_of(self.approval_bands)

    @cached_property
    def risk_rules(self) -> RiskRules:
        return RiskRules(
            self.large_amount_cents, self.large_amount_percent, self.first_payment_percent
        )

    @cached_property
    def patience(self) -> Patience:
        return Patience(
            scoring=timedelta(seconds=self.scoring_patience_s),
            stripe=timedelta(seconds=self.recovery_after_s),
            payer=timedelta(days=self.payer_silence_days),
            approval=timedelta(days=self.approval_expiry_days),
            evidence=timedelta(days=self.dispute_reminder_days),
            payout_hour_utc=self.payout_hour_utc,
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
