"""A mistyped data directory is told as such: no command but the service's own makes a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Typed


@pytest.mark.parametrize(
    "words",
    [
        ("verify",),
        ("checkpoint",),
        ("timeline", "0195ffff"),
        ("find", "pi_1"),
        ("inbox", "list"),
        ("inbox", "retry", "evt_1"),
        ("inbox", "dismiss", "evt_1", "--reason", "no"),
        ("dead-letters", "list"),
        ("dead-letters", "redrive", "outbox", "payment/1"),
        ("pause", "an incident"),
        ("resume",),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_without_a_database_a_command_says_so_and_makes_none(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    mistyped = tmp_path / "vra"
    monkeypatch.setenv("ROADCALL_DATA_DIR", str(mistyped))
    refused = typed(*words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        f"Error: There is no database at {mistyped / 'roadcall.sqlite'}: "
    )
    assert len(refused.stderr.splitlines()) == 1
    assert not mistyped.exists()
