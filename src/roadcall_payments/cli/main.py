"""`roadcall-payments`: the one command, and what it can be asked."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module

import click

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.telemetry import configure_logging

# Each command's file in this folder; what it is called there is its name, with underscores.
FILES: Mapping[str, str] = {
    "run": "walkthrough.commands",
    "demo": "walkthrough.commands",
    "serve": "serve",
    "worker": "serve",
    "migrate": "migrate",
    "timeline": "payments",
    "find": "payments",
    "verify": "verify",
    "checkpoint": "checkpoint",
    "queue": "transfer_queue",
    "inbox": "queues",
    "dead-letters": "queues",
    "pause": "movements",
    "resume": "movements",
    "settle": "settle",
    "backup": "backup",
    "restore": "backup",
    "hold": "hold",
    "repair-drift": "hold",
    "release": "hold",
    "token": "token",
    "doctor": "doctor",
    "settings": "settings",
}


class OnDemand(click.Group):
    """Imports a command's file when the command is asked for: most of what a start takes is the
    API's, and few commands need it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in FILES:
            return None
        with _collector_at_rest():
            file = import_module(f"roadcall_payments.cli.{FILES[cmd_name]}")
        found = getattr(file, cmd_name.replace("-", "_"))
        if not isinstance(found, click.Command):
            raise BrokenInvariant(f"{file.__name__} has no command {cmd_name}")
        return found


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Imports make hundreds of thousands of objects and next to no garbage: looking for it takes
    a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@click.group(
    cls=OnDemand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from the environment: roadcall-payments settings",
)
@click.version_option(package_name="roadcall-payments")
def cli() -> None:
    """Roadcall Payments: approved money moves once, and every cent is explained."""
    # A command's output is for people; only what went wrong is logged beside it.
    configure_logging("WARNING")


def main() -> None:
    cli(prog_name="roadcall-payments")


if __name__ == "__main__":
    main()
