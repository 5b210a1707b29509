"""docs/sandbox.md says what is there, and its example runs."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stripe_sandbox import control
from stripe_sandbox.__main__ import parse_arguments
from stripe_sandbox.cards import card_for_token
from stripe_sandbox.faults import FaultKind
from tests.external_tools import require_tool
from tests.sandbox.process import SandboxProcess, running_sandbox

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"
TEXT = PAGE.read_text("utf-8")


def test_the_example_in_one_process_runs() -> None:
    [example] = [
        block for block in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "Sandbox(" in block
    ]
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102  # our own documentation


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox() as running:
        yield running


def test_the_first_example_runs(sandbox: SandboxProcess) -> None:
    """Against a sandbox of its own port."""
    [example] = [
        block
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.S)
        if "base_addresses" in block
    ]
    names: dict[str, Any] = {}
    code = example.replace("http://127.0.0.1:12111", sandbox.url)
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102  # our own documentation
    assert names["intent"].status == "succeeded"


CURL = re.findall(r"curl -[^`\n]+", TEXT.replace("\\\n", " "))


@pytest.mark.parametrize("command", CURL)
def test_each_curl_command_runs(sandbox: SandboxProcess, command: str) -> None:
    """As it stands, but for the port and the quiet."""
    require_tool("curl")
    words = shlex.split(command.replace("http://127.0.0.1:12111", sandbox.url))
    done = subprocess.run(
        [*words, "--silent", "--fail"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in json.loads(done.stdout)
    sandbox.control("DELETE", "faults")


def test_there_are_curl_commands() -> None:
    assert len(CURL) >= 3


@pytest.mark.parametrize("kind", [kind.value for kind in FaultKind])
def test_every_fault_is_described(kind: str) -> None:
    assert f"`{kind}`" in TEXT


def test_every_control_call_is_described() -> None:
    described = set(re.findall(r"`(GET|POST|DELETE) (/_sandbox/[^`?]+)", TEXT))
    assert described == {(method, template) for method, template, *_ in control.ACTIONS}


def test_every_option_that_it_names_is_one() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", TEXT)) - {"--help"}
    known = {"--" + name.replace("_", "-") for name in vars(parse_arguments([]))}
    assert named <= known


def test_every_token_that_it_names_is_one() -> None:
    for token in re.findall(r"`(pm_card_\w+)`", TEXT):
        assert card_for_token(token) is not None, token
