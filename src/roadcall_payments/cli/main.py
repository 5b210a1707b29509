"""`roadcall-payments`: the one command, and what it can be asked."""

from __future__ import annotations

import click

from roadcall_payments.cli.backup import backup, restore
from roadcall_payments.cli.checkpoint import checkpoint
from roadcall_payments.cli.doctor import doctor
from roadcall_payments.cli.hold import hold, release, repair_drift
from roadcall_payments.cli.migrate import migrate
from roadcall_payments.cli.movements import pause, resume
from roadcall_payments.cli.payments import find, timeline
from roadcall_payments.cli.queues import dead_letters, inbox
from roadcall_payments.cli.serve import serve, worker
from roadcall_payments.cli.settings import settings
from roadcall_payments.cli.settle import settle
from roadcall_payments.cli.token import token
from roadcall_payments.cli.transfer_queue import queue
from roadcall_payments.cli.verify import verify
from roadcall_payments.cli.walkthrough.commands import demo, run
from roadcall_payments.telemetry import configure_logging


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from the environment: roadcall-payments settings",
)
@click.version_option(package_name="roadcall-payments")
def cli() -> None:
    """Roadcall Payments: approved money moves once, and every cent is explained."""
    # A command's output is for people; only what went wrong is logged beside it.
    configure_logging("WARNING")


for command in (
    run,
    demo,
    serve,
    worker,
    migrate,
    timeline,
    find,
    verify,
    checkpoint,
    queue,
    inbox,
    dead_letters,
    pause,
    resume,
    settle,
    backup,
    restore,
    hold,
    repair_drift,
    release,
    token,
    doctor,
    settings,
):
    cli.add_command(command)


def main() -> None:
    cli(prog_name="roadcall-payments")


if __name__ == "__main__":
    main()
