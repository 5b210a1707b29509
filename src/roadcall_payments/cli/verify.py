"""verify: does everything stored follow from the journal?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import with_service
from roadcall_payments.cli.tables import print_json


@click.command(
    short_help="Check every stored row against the journal.",
    epilog="Example: roadcall-payments verify && echo clean",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, streams and faults.")
def verify(as_json: bool) -> None:
    """Fold the journal again from its beginning and compare every stored row, hash and balance.

    Names the exact rows that are off, with exit status 1. Reads only; the service may run.
    """
    streams, faults = with_service(_verified)
    if as_json:
        print_json({"streams": streams, "faults": list(faults)})
    elif faults:
        for fault in faults:
            click.echo(fault)
        click.echo(
            f"{len(faults)} faults in {streams} streams. Hold movements (roadcall-payments pause "
            "REASON), keep the database as it is, and compare with the last backup.",
            err=True,
        )
    else:
        click.echo(f"Clean: {streams} streams, every hash, row and balance.")
    if faults:
        raise click.exceptions.Exit(1)


async def _verified(service: Service) -> tuple[int, Sequence[str]]:
    streams = await service.verification.count()
    # On a terminal only, and on standard error: the answer alone goes to standard output.
    with click.progressbar(
        length=streams,
        label="Verifying",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
    ) as bar:
        faults = await service.verification.verify(bar.update)
    return streams, faults
