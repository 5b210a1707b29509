"""``python -m tests.chaos``: minutes of chaos with real processes, and what the auditor says."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.chaos import chaos


@click.command()
@click.option("--seconds", default=120.0, show_default=True, type=click.FloatRange(1, 3_600))
@click.option("--seed", default="", help="Any word; drawn and shown when left out.")
def main(seconds: float, seed: str) -> None:
    """Kill a process a second under load, restart the database twice, then audit."""
    seed = seed or secrets.token_hex(4)
    click.echo(f"seed {seed}: {seconds:g} s of chaos")
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        outcome = chaos(Path(directory), seconds, seed)
    click.echo(f"payments moved    {outcome.payments}")
    click.echo(f"of them           {outcome.came_back}")
    click.echo(f"facts published   {outcome.published}")
    click.echo(f"kill -9           {outcome.killed}")
    click.echo(f"database restarts {outcome.database_restarts}")
    click.echo(f"calls unheard     {outcome.unheard}, answers {outcome.told}")
    click.echo(f"Stripe's faults   {outcome.faults}")
    click.echo(f"quiet after       {outcome.quiet_after_s:.0f} s")
    for violation in outcome.violations:
        click.echo(f"  {violation}")
    click.echo(f"violations        {len(outcome.violations)}")
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
