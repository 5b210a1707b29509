"""migrate: bring the database to this version's schema, while older processes run on."""

from __future__ import annotations

import asyncio

import click

from roadcall_payments.bootstrap_database import migrate_database
from roadcall_payments.cli.service import failed, read_settings
from roadcall_payments.domain.errors import RoadcallError


@click.command(
    short_help="Bring the database to this version's schema.",
    epilog="Example: DATABASE_URL=postgresql://owner@db.example/payments roadcall-payments migrate",
)
def migrate() -> None:
    """Make the database's tables, or change them to what this version needs; the service may run.

    `serve` and `worker` do the same at their start, where their role may. Other commands never do.
    """
    settings = read_settings()
    try:
        asyncio.run(migrate_database(settings))
    except RoadcallError as error:
        raise failed(error) from None
    click.echo(f"{settings.database_place} has this version's schema.")
