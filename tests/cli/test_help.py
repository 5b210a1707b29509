"""Every command explains itself, with an example that names it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from roadcall_payments.cli.main import cli
from tests.cli.conftest import Typed


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(commands(cli))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_has_help_with_an_example(typed: Typed, path: tuple[str, ...]) -> None:
    shown = typed(*path, "--help")
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    assert f"roadcall-payments {' '.join(path)}" in shown.output


def test_the_overview_lists_every_command_uncut(typed: Typed) -> None:
    shown = typed("--help")
    assert shown.exit_code == 0
    for path in COMMANDS:
        assert path[0] in shown.output
    assert "..." not in shown.output.partition("Commands:")[2]


@pytest.mark.parametrize("typo", [("verfy",), ("inbox", "lst"), ("timeline",), ("token", "king")])
def test_a_mistyped_command_says_what_it_knows(typed: Typed, typo: tuple[str, ...]) -> None:
    refused = typed(*typo)
    assert refused.exit_code == 2
    assert "Usage:" in refused.output
