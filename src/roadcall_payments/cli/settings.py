"""settings: every setting, what it is now, and what it means."""

from __future__ import annotations

import textwrap

import click
from pydantic import SecretStr

from roadcall_payments.cli.service import read_settings, variable
from roadcall_payments.cli.tables import print_json
from roadcall_payments.config import Settings


@click.command(
    short_help="Every setting, its value now, its meaning.",
    epilog="Example: roadcall-payments settings --changed",
)
@click.option("--changed", is_flag=True, help="Only those that differ from their defaults.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, name to value.")
def settings(changed: bool, as_json: bool) -> None:
    """Show every setting: the environment variable, its value now, and what it means.

    Secrets are never shown. Exit status 1 when a setting is wrong.
    """
    now = read_settings()
    shown = {
        name: _shown(getattr(now, name))
        for name, field in Settings.model_fields.items()
        if not changed or getattr(now, name) != field.default
    }
    if as_json:
        print_json({variable(name): value for name, value in shown.items()})
        return
    if not shown:
        click.echo("Every setting has its default.")
    for name, value in shown.items():
        click.echo(f"{variable(name)}={value}")
        meaning = Settings.model_fields[name].description or ""
        click.echo(textwrap.indent(textwrap.fill(meaning, 92), "    "))


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
