"""verify: does everything stored follow from the journal?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import with_service
from roadcall_payments.cli.tables import moment, print_json
from roadcall_payments.workflows.checkpoints import Held


@click.command(
    short_help="Check every stored row against the journal.",
    epilog="Example: roadcall-payments verify && echo clean",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, streams and faults.")
def verify(as_json: bool) -> None:
    """Fold the journal again from its beginning and compare every stored row, hash and balance,
    and hold it against the signed checkpoints.

    Names the exact rows that are off, with exit status 1. Reads only; the service may run.
    """
    streams, faults, held = with_service(_verified)
    if as_json:
        print_json({"streams": streams, "checkpoints": held.count, "faults": list(faults)})
    elif faults:
        for fault in faults:
            click.echo(fault)
        click.echo(
            f"{len(faults)} faults in {streams} streams. Hold movements (roadcall-payments pause "
            "REASON), keep the database as it is, and compare with the last backup.",
            err=True,
        )
    elif held.newest is None:
        click.echo(f"Clean: {streams} streams, every hash, row and balance.")
        click.echo("No checkpoint was made yet that could show a vanished stream.", err=True)
    else:
        click.echo(
            f"Clean: {streams} streams, every hash, row and balance; checkpoints: {held.count}, "
            f"the last of {moment(held.newest.at)}, root {held.newest.root}."
        )
    if faults:
        raise click.exceptions.Exit(1)


async def _verified(service: Service) -> tuple[int, Sequence[str], Held]:
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
    held = await service.checkpoints.hold()
    return streams, [*faults, *held.faults], held
