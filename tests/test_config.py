"""Settings: what they refuse, what they hide, and that their reference is true."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from roadcall_payments.config import Settings
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Role
from tests.settings_reference import reference

REFERENCE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_settings_reference_lists_every_setting_as_it_is() -> None:
    wanted = reference()
    assert REFERENCE.read_text(encoding="utf-8") == wanted, (
        f"docs/settings.md is out of date; it should read:\n{wanted}"
    )


def test_every_setting_is_described_and_every_number_is_bounded() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation is int:
            assert len(field.metadata) == 2, f"{name} needs a lower and an upper bound"


def test_a_number_of_time_or_money_names_its_unit() -> None:
    unitless = {"port", "worker_batch_size", "worker_concurrency", "relay_batch_size"}
    units = re.compile(
        r"_(s|ms|days|hour_utc|cents|bps|percent|per_minute|attempts_max|bytes_max)$"
    )
    for name, field in Settings.model_fields.items():
        if field.annotation is int and name not in unitless:
            assert units.search(name), f"{name} does not say its unit"


def test_the_environment_is_read_by_our_names_and_the_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROADCALL_PORT", "9001")
    monkeypatch.setenv("ROADCALL_APPROVER_EMAILS", "ann@example.com, bo@example.com ,")
    monkeypatch.setenv("STRIPE_SECRET_NAME", "other/keys")
    monkeypatch.setenv("ROADCALL_STRIPE_TIMEOUT_S", "")
    settings = Settings()
    assert settings.port == 9001
    assert settings.approver_emails == ("ann@example.com", "bo@example.com")
    assert settings.stripe_secret_name == "other/keys"
    assert settings.stripe_timeout_s == 10


@pytest.mark.parametrize("show", [str, repr, lambda settings: settings.model_dump_json()])
def test_no_secret_is_shown(show: object) -> None:
    settings = Settings(
        smtp_url="smtp://ann:hunter2@mail.example",
        database_url="postgresql://ann:hunter2@db.example/roadcall",
    )
    assert callable(show)
    assert "hunter2" not in show(settings)


def test_no_secret_is_shown_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADCALL_SMTP_URL", "smtp://ann:hunter2@mail.example")
    monkeypatch.setenv("ROADCALL_HOST", "0.0.0.0")  # noqa: S104  # this is what must be refused
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_its_own_key_serves_loopback(host: str) -> None:
    assert Settings(host=host).embedded_issuer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "payments.example.com"])  # noqa: S104  # these must be refused
def test_its_own_key_serves_nobody_else(host: str) -> None:
    with pytest.raises(ValidationError, match="ROADCALL_JWKS_URL"):
        Settings(host=host)
    assert not Settings(host=host, jwks_url="https://issuer.example/jwks.json").embedded_issuer


def test_approval_bands_per_currency_become_the_domains_policy() -> None:
    anyone, admin = ("dispatcher", "admin"), ("admin",)
    settings = Settings.model_validate(
        {
            "approval_bands": {
                "*": [
                    {"upToCents": 500_000, "approvals": 1, "roles": anyone},
                    {"approvals": 2, "roles": admin},
                ],
                "jpy": [{"approvals": 3, "roles": admin}],
            }
        }
    )
    policy = settings.approval_policy
    assert policy.band(Money(500_000, "usd")).approvals == 1
    assert policy.band(Money(500_001, "usd")).approvals == 2
    assert policy.band(Money(1, "jpy")).approvals == 3
    assert policy.band(Money(500_001, "eur")).roles == {Role.ADMIN}


@pytest.mark.parametrize(
    ("bands", "complaint"),
    [
        ({"usd": [{"approvals": 1, "roles": ["admin"]}]}, "not named"),
        ({"*": []}, "last band"),
        ({"*": [{"upToCents": 5, "approvals": 1, "roles": ["admin"]}]}, "last band"),
        ({"*": [{"approvals": 1, "roles": ["admin"]}] * 2}, "last band"),
        ({"*": [{"approvals": 1, "roles": ["vendor"]}]}, "roles"),
        ({"*": [{"approvals": 0, "roles": ["admin"]}]}, "approvals"),
        (
            {
                "*": [
                    {"upToCents": 9, "approvals": 1, "roles": ["admin"]},
                    {"upToCents": 9, "approvals": 1, "roles": ["admin"]},
                    {"approvals": 1, "roles": ["admin"]},
                ]
            },
            "must rise",
        ),
    ],
)
def test_bands_that_leave_an_amount_in_doubt_are_refused(bands: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Settings.model_validate({"approval_bands": bands})


def test_the_worker_stays_clear_of_requests_and_of_other_workers() -> None:
    with pytest.raises(ValidationError, match="recovery_after_s must be longer"):
        Settings(stripe_budget_s=20, recovery_after_s=20)
    with pytest.raises(ValidationError, match="worker_lease_s must be at least twice"):
        Settings(worker_lease_s=60, smtp_timeout_s=31)


def test_patience_and_risk_follow_the_settings() -> None:
    settings = Settings(
        payer_silence_days=3, recovery_after_s=45, large_amount_cents={"*": 10, "jpy": 99}
    )
    assert settings.patience.payer == timedelta(days=3)
    assert settings.patience.stripe == timedelta(seconds=45)
    assert settings.risk_rules.large(Money(11, "usd"))
    assert not settings.risk_rules.large(Money(99, "jpy"))
