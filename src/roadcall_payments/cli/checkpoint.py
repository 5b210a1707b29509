"""checkpoint: sign where the streams stand, now."""

from __future__ import annotations

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import read_settings, with_service
from roadcall_payments.cli.tables import moment, print_json
from roadcall_payments.workflows.checkpoints import Made


@click.command(
    short_help="Sign where the journal stands, now.", epilog="Example: roadcall-payments checkpoint"
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, checkpoints and faults.")
def checkpoint(as_json: bool) -> None:
    """Sign the heads of all streams that changed since the last checkpoint.

    The worker does it every hour and when it stops. Exit status 1 when streams contradict what
    was signed before; `roadcall-payments verify` says more.
    """
    settings = read_settings()
    made = with_service(_made, settings)
    if as_json:
        print_json(
            {
                "checkpoints": [
                    {"number": one.number, "at": one.at, "streams": one.size, "root": one.root}
                    for one in made.checkpoints
                ],
                "faults": list(made.faults),
            }
        )
    else:
        for one in made.checkpoints:
            click.echo(
                f"Checkpoint {one.number} of {moment(one.at)}: {one.size} streams, root {one.root}"
            )
        if made.checkpoints:
            click.echo(f"Kept in {settings.checkpoint_log_dir}")
        elif not made.faults:
            click.echo("Nothing has changed since the last checkpoint.")
        for fault in made.faults:
            click.echo(fault)
    if made.faults:
        raise click.exceptions.Exit(1)


async def _made(service: Service) -> Made:
    return await service.checkpoints.make()
