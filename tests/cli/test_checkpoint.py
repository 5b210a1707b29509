"""checkpoint and verify as typed: what a person reads, and exit status 1 for what is wrong."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from roadcall_payments.commit import stream_of
from tests.cli.conftest import Typed
from tests.workflows.checkpointed import delete_stream, rewrite_stream
from tests.workflows.stories import World


def test_a_checkpoint_is_made_and_said_and_nothing_changed_makes_none(
    typed: Typed, world: World, tmp_path: Path
) -> None:
    made = typed("checkpoint")
    assert made.exit_code == 0
    first, kept = made.stdout.splitlines()
    assert re.fullmatch(r"Checkpoint 1 of \S+ \S+Z: 7 streams, root [0-9a-f]{64}", first)
    assert kept == f"Kept in {tmp_path / 'checkpoints'}"
    again = typed("checkpoint")
    assert (again.exit_code, again.stdout) == (
        0,
        "Nothing has changed since the last checkpoint.\n",
    )


def test_verify_says_which_checkpoints_it_held_the_journal_against(
    typed: Typed, world: World
) -> None:
    before = typed("verify")
    assert (before.exit_code, before.stderr) == (
        0,
        "No checkpoint was made yet that could show a vanished stream.\n",
    )
    root = json.loads(typed("checkpoint", "--json").stdout)["checkpoints"][0]["root"]
    after = typed("verify")
    assert after.exit_code == 0
    assert after.stdout.startswith("Clean: 7 streams, every hash, row and balance; checkpoints: 1,")
    assert after.stdout.endswith(f"root {root}.\n")
    assert json.loads(typed("verify", "--json").stdout) == {
        "streams": 7,
        "checkpoints": 1,
        "faults": [],
    }


def test_a_vanished_stream_ends_verify_with_1(typed: Typed, world: World, database: Path) -> None:
    stream = stream_of("payment", world.driver_payment)
    assert typed("checkpoint").exit_code == 0
    delete_stream(database, stream)
    shown = typed("verify")
    assert shown.exit_code == 1
    assert shown.stdout == f"{stream}: it vanished: checkpoint 1 signed it at seq 9\n"


def test_a_rewritten_stream_ends_verify_and_checkpoint_with_1(
    typed: Typed, world: World, database: Path
) -> None:
    stream = stream_of("payment", world.open_payment)
    assert typed("checkpoint").exit_code == 0
    rewrite_stream(database, stream, b"acct_1TowTruck", b"acct_thief")
    for command in ("verify", "checkpoint"):
        shown = typed(command)
        assert shown.exit_code == 1
        (line,) = shown.stdout.splitlines()
        assert line.startswith(f"{stream} seq 5: its history was rewritten: its hash is ")


def test_a_removed_checkpoint_ends_verify_with_1(
    typed: Typed, world: World, tmp_path: Path
) -> None:
    assert typed("checkpoint").exit_code == 0
    (tmp_path / "checkpoints" / "checkpoint-0000000001.json").unlink()
    shown = typed("verify")
    assert (shown.exit_code, shown.stdout) == (1, "checkpoint 1: it was removed\n")
    refused = typed("checkpoint")
    assert refused.exit_code == 1
    assert "checkpoint 1: it was removed" in refused.stderr


def test_log_and_key_may_be_far_from_the_database(
    typed: Typed, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, key = tmp_path / "away", tmp_path / "safe" / "key.pem"
    monkeypatch.setenv("ROADCALL_CHECKPOINT_DIR", str(away))
    monkeypatch.setenv("ROADCALL_CHECKPOINT_KEY_FILE", str(key))
    refused = typed("checkpoint")
    assert refused.exit_code == 1
    assert f"ROADCALL_CHECKPOINT_KEY_FILE: {key}" in refused.stderr
    assert not key.exists()
    # The key that the embedded default makes may be taken elsewhere.
    monkeypatch.delenv("ROADCALL_CHECKPOINT_KEY_FILE")
    assert typed("checkpoint").exit_code == 0
    key.parent.mkdir()
    (tmp_path / "checkpoint-key.pem").rename(key)
    monkeypatch.setenv("ROADCALL_CHECKPOINT_KEY_FILE", str(key))
    assert typed("verify").exit_code == 0
    assert (away / "checkpoint-0000000001.json").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_the_doctor_says_where_they_are_and_that_it_is_too_near(
    typed: Typed, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def examined() -> tuple[str, str]:
        checks = json.loads(typed("doctor", "--json").stdout)
        (found,) = (one for one in checks if one["name"] == "checkpoints")
        return found["finding"], found["detail"]

    directory = tmp_path / "checkpoints"
    assert examined() == ("note", f"none that can be trusted in {directory}")
    assert typed("checkpoint").exit_code == 0
    finding, detail = examined()
    assert finding == "note"
    assert re.fullmatch(r"number 1 of \d+ s ago, in .*, beside the database", detail)
    away = directory.rename(tmp_path.parent / f"{tmp_path.name}-away")
    monkeypatch.setenv("ROADCALL_CHECKPOINT_DIR", str(away))
    assert examined()[0] == "ok"
    (tmp_path / "checkpoint-key.pem").unlink()
    finding, detail = examined()
    assert finding == "wrong"
    assert str(tmp_path / "checkpoint-key.pem") in detail


def test_the_database_holds_nothing_of_the_checkpoints(
    typed: Typed, world: World, database: Path
) -> None:
    before = contents(database)
    assert typed("checkpoint").exit_code == 0
    assert contents(database) == before


def contents(database: Path) -> list[str]:
    db = sqlite3.connect(database)
    try:
        return list(db.iterdump())
    finally:
        db.close()
