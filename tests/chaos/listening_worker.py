"""``python -m tests.chaos.listening_worker FILE``: a worker whose consumer keeps all it hears.

It is put together as an embedder would: the service opened, a subscriber on its bus, the worker
run. Several append to one file, so its lines are in the order in which events were published.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import structlog

from roadcall_payments.bootstrap import open_service
from roadcall_payments.cli.service import failed, read_settings
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.ports import OutgoingEvent
from roadcall_payments.telemetry import configure_logging

MODULE = "tests.chaos.listening_worker"


class Heard(msgspec.Struct, frozen=True):
    """A line of the file: what a consumer tells events apart by (M27)."""

    stream: str
    seq: int
    event_id: str


def heard_in(file: Path) -> Iterator[Heard]:
    with file.open("rb") as lines:
        yield from (msgspec.json.decode(line, type=Heard) for line in lines)


class Consumer:
    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def take(self, event: OutgoingEvent) -> None:
        heard = Heard(event.stream, event.seq, event.event_id)
        # One write a line: the system appends it whole, whoever else writes and is killed.
        os.write(self._file, msgspec.json.encode(heard) + b"\n")


async def _work(settings: Settings, file: Path) -> None:
    configure_logging(settings.log_level)
    async with open_service(settings) as service:
        service.bus.subscribe(Consumer(file).take)
        await service.restore_guard.examine()
        structlog.get_logger().info("working")
        await service.worker.run()


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def main(file: Path) -> None:
    try:
        asyncio.run(_work(read_settings(), file))
    except RoadcallError as error:
        raise failed(error) from None


if __name__ == "__main__":
    main()
