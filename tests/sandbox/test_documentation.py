"""docs/sandbox.md says what is there, and its example runs."""

import re
from pathlib import Path

import pytest

from stripe_sandbox import control
from stripe_sandbox.__main__ import parse_arguments
from stripe_sandbox.cards import card_for_token
from stripe_sandbox.faults import FaultKind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"
TEXT = PAGE.read_text("utf-8")


def test_the_example_in_one_process_runs() -> None:
    [example] = [
        block for block in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "Sandbox(" in block
    ]
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102  # our own documentation


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
