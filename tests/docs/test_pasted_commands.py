"""The README's commands, pasted. The long ones run once; of `make run` what it would run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.documents import ROOT, document
from tests.external_tools import require_tool

MINUTES_2 = 120


def pasted(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a person's shell would, from the repository's root: no make is above it."""
    of_make = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")
    ours = {name: value for name, value in os.environ.items() if name not in of_make}
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env={**ours, **environment},
        capture_output=True,
        text=True,
        timeout=MINUTES_2,
        check=False,
    )


def test_the_readme_has_the_two_commands() -> None:
    assert document("README.md").blocks("sh") == ["make run\n", "make test\n"]


def test_make_run_is_the_run_command_with_its_ports_and_directory() -> None:
    require_tool("make")
    shown = pasted("make --dry-run run PORT=8001 SANDBOX_PORT=12112 DATA_DIR=elsewhere")
    assert shown.returncode == 0, shown.stderr
    words = shlex.split(shown.stdout.replace("\\\n", " "))
    for option, value in (("port", "8001"), ("sandbox-port", "12112"), ("data-dir", "elsewhere")):
        assert words[words.index(f"--{option}") + 1] == value


def test_make_demo_ends_well() -> None:
    require_tool("make")
    shown = pasted("make demo")
    assert shown.returncode == 0, shown.stderr
    assert "books balanced" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("Both payments completed")


def test_make_lists_its_targets() -> None:
    require_tool("make")
    shown = pasted("make")
    assert shown.returncode == 0
    for target in ("run", "demo", "test", "check", "format"):
        assert f"make {target} " in shown.stdout


def test_the_operators_commands_of_the_documents_run(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("roadcall-payments")
    (tmp_path / "roadcall.sqlite").touch()
    for words in ("settings", "verify", "token service"):
        shown = pasted(f"{command} {words}", ROADCALL_DATA_DIR=str(tmp_path))
        assert shown.returncode == 0, shown.stderr


def test_the_sandbox_starts_as_described() -> None:
    shown = pasted(f"{sys.executable} -m stripe_sandbox --help")
    assert shown.returncode == 0
    for option in ("--port", "--state"):
        assert option in shown.stdout
