"""Which database an address names, and that its password stays inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from roadcall_payments.config import Settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"postgresql://ann:{SECRET}@db.example:6432/pay", "pay at db.example:6432"),
        ("postgres://db.example/pay", "pay at db.example"),
        (f"postgresql://ann:{SECRET}@[::1]:5432/pay", "pay at [::1]:5432"),
        ("postgresql://ann:p%40ss%2F@db-1:1,db-2:2/pay?sslmode=require", "pay at db-1:1,db-2:2"),
        ("postgresql://ann@/pay?host=/run/postgresql", "pay at /run/postgresql"),
        ("postgresql:///pay", "pay at localhost"),
        (f"postgresql://db.example?dbname=pay&user=ann&password={SECRET}", "pay at db.example"),
    ],
)
def test_a_postgresql_address_is_shown_without_user_and_password(url: str, place: str) -> None:
    settings = Settings.model_validate({"database_url": url})
    assert settings.postgres_url == url
    assert settings.database_place == place


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/pay.sqlite", "var/pay.sqlite"),
        ("sqlite:////srv/my%20data/pay.sqlite", "/srv/my data/pay.sqlite"),
    ],
)
def test_a_sqlite_address_names_its_file(url: str, path: str) -> None:
    settings = Settings.model_validate({"database_url": url})
    assert settings.postgres_url is None
    assert settings.sqlite_path == Path(path)
    assert settings.database_place == path


def test_without_an_address_it_is_the_file_in_the_data_directory(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.postgres_url is None
    assert settings.database_place == str(tmp_path / "roadcall.sqlite")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (f"mysql://ann:{SECRET}@db.example/pay", "begins with postgresql://"),
        (f"postgresql+asyncpg://ann:{SECRET}@db.example/pay", "begins with postgresql://"),
        (f"ann:{SECRET}@db.example/pay", "begins with postgresql://"),
        (f"postgresql://ann:{SECRET}@db.example", "names no database"),
        (f"postgresql://ann:{SECRET}/x@db.example/pay", "percent-encoded"),
        (f"postgresql://ann:1/{SECRET}@db.example/pay", "percent-encoded"),
        (f"postgresql://ann:{SECRET}@x@db.example/pay", "percent-encoded"),
        (f"postgresql://ann:1#{SECRET}@db.example/pay", "percent-encoded"),
        (f"postgresql://ann:x?{SECRET}@db.example/pay", "percent-encoded"),
        (f"postgresql://ann:{SECRET}@db.example:port/pay", "percent-encoded"),
        ("sqlite://", "sqlite:///var"),
        ("sqlite:///:memory:", "sqlite:///var"),
        ("sqlite:relative", "sqlite:///var"),
    ],
)
def test_what_names_no_database_is_refused_without_being_repeated(
    url: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ValidationError, match=complaint) as refusal:
        Settings()
    (error,) = refusal.value.errors(include_input=False)
    assert error["loc"] == ("DATABASE_URL",)
    assert SECRET not in str(refusal.value)


def test_two_databases_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="unset one"):
        Settings.model_validate({"database_url": "sqlite:///a.sqlite", "database_path": "b.sqlite"})
