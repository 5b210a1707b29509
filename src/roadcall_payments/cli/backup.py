"""backup, restore: copy the database while the service runs, put one back while it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from roadcall_payments.bootstrap_database import back_up_database, restore_database
from roadcall_payments.cli.service import (
    failed,
    must_have_database,
    operator,
    read_settings,
)
from roadcall_payments.cli.tables import moment
from roadcall_payments.domain.errors import RoadcallError

_NEXT = """\
Movements are held: what Stripe did since the backup is missing in its books. Now
  1. start the service; it takes requests and webhooks, and moves no money
  2. roadcall-payments repair-drift
  3. roadcall-payments release"""


@click.command(
    short_help="Copy the database while the service runs.",
    epilog="Example: roadcall-payments backup /backups/roadcall-2026-11-22.sqlite",
)
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite database to FILE, as it stands at one moment; the service may run.

    FILE must not be there. It is checked, on disk, and for its owner alone: it holds names and
    addresses. A PostgreSQL database is backed up with its own tools: docs/operating.md.
    """
    settings = read_settings()
    must_have_database(settings)
    try:
        copied = back_up_database(settings, file)
    except RoadcallError as error:
        raise failed(error) from None
    newest = f", the last of {moment(copied.newest_at)}" if copied.newest_at else ""
    click.echo(f"{copied.path}: {copied.size_bytes:,} bytes, {copied.facts:,} facts{newest}.")


@click.command(
    short_help="Put a backup in the database's place; held.",
    epilog="Example: roadcall-payments restore /backups/roadcall-2026-11-22.sqlite",
)
@click.argument("file", type=click.Path(path_type=Path))
def restore(file: Path) -> None:
    """Put the backup FILE in the database's place. Stop every process of the service before.

    The database that was there is kept beside it. The restored one starts held: no money moves
    until `repair-drift` has passed and `release` was given.
    """
    settings = read_settings()
    try:
        since = asyncio.run(restore_database(settings, file, operator()))
    except RoadcallError as error:
        raise failed(error) from None
    click.echo(f"{settings.sqlite_path} is {file} again; its books end at {moment(since)}.")
    click.echo(_NEXT)
