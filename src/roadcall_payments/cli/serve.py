"""serve, worker: the processes that run day and night."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Coroutine

import click
import structlog
import uvloop
from uvicorn import Server

from roadcall_payments.api.app import create_app
from roadcall_payments.api.local_issuer import (
    EXAMPLE_CALLERS,
    LocalIssuerExposed,
    local_issuer,
)
from roadcall_payments.api.metrics import worker_app
from roadcall_payments.api.server import http_server
from roadcall_payments.bootstrap import open_service
from roadcall_payments.cli.listening import listen
from roadcall_payments.cli.service import Failed, failed, read_settings
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.telemetry import configure_logging
from roadcall_payments.worker import Worker

LOOPBACK = "127.0.0.1"
_YOUNG_OBJECTS_MAX = 20_000

_log = structlog.get_logger()


@click.command(
    short_help="The API, with the worker in the same process.",
    epilog="Example: ROADCALL_STRIPE_SECRETS_FILE=keys.json roadcall-payments serve",
)
@click.option("--host", help="Address to listen on, instead of ROADCALL_HOST.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port to listen on, instead of ROADCALL_PORT."
)
@click.option("--no-worker", is_flag=True, help="API alone; then run `worker` beside it.")
def serve(host: str | None, port: int | None, no_worker: bool) -> None:
    """Serve the API, and work in the background in the same process.

    Logs are JSON lines on standard error. SIGTERM and Ctrl-C answer what was taken, finish the
    work in hand, and stop. With the embedded token issuer a token for each role is printed.
    """
    given = {"host": host, "port": port}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    bound = listen(
        settings.host,
        settings.port,
        f"Stop what runs there, or choose another port: --port {settings.port + 1}, "
        f"or ROADCALL_PORT={settings.port + 1}.",
    )
    try:
        _print_tokens(settings)
        _run(_serve(settings, bound, with_worker=not no_worker))
    finally:
        bound.close()


@click.command(short_help="The worker alone.", epilog="Example: roadcall-payments worker")
def worker() -> None:
    """Work alone: publish events, retry webhooks, finish open payments, send notices.

    Any number may run, beside any number of `serve --no-worker`. SIGTERM and Ctrl-C finish the
    work in hand, and stop.
    """
    settings = read_settings()
    port = settings.worker_metrics_port
    if port is None:
        _run(_work(settings, None))
        return
    bound = listen(LOOPBACK, port, "Choose another with ROADCALL_WORKER_METRICS_PORT.")
    try:
        _run(_work(settings, bound))
    finally:
        bound.close()


def _run(process: Coroutine[None, None, None]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process)
    except RoadcallError as error:
        raise failed(error) from None
    except LocalIssuerExposed as exposed:
        raise Failed(str(exposed)) from None


async def _serve(settings: Settings, bound: socket.socket, *, with_worker: bool) -> None:
    configure_logging(settings.log_level)
    async with open_service(settings) as service:
        await service.restore_guard.examine()
        app = create_app(service, settings)
        if service.tracing is not None:
            app = service.tracing.app(app)
        server = http_server(app, settings.host, settings.port)
        _spare_the_collector()
        stopping = _stop_signals()
        _log.info("serving", host=settings.host, port=settings.port, worker=with_worker)
        await _served(server, bound, service.worker if with_worker else None, stopping)
    _log.info("stopped")


async def _served(
    server: Server, bound: socket.socket, worker: Worker | None, stopping: asyncio.Event
) -> None:
    """Serve, and work beside it, until told to stop."""
    working = asyncio.create_task(_attended(worker, stopping))
    # An API whose worker has died would take payments that nobody finishes.
    working.add_done_callback(lambda _: setattr(server, "should_exit", True))
    # uvicorn takes the signals while it serves, and hands them on when it has drained.
    await server.serve(sockets=[bound])
    stopping.set()
    await working


async def _work(settings: Settings, metrics: socket.socket | None) -> None:
    configure_logging(settings.log_level)
    async with open_service(settings) as service:
        await service.restore_guard.examine()
        _spare_the_collector()
        stopping = _stop_signals()
        _log.info("working", metrics_port=settings.worker_metrics_port)
        if metrics is None:
            await _attended(service.worker, stopping)
        else:
            server = http_server(worker_app(service), LOOPBACK, metrics.getsockname()[1])
            await _served(server, metrics, service.worker, stopping)
    _log.info("stopped")


def _spare_the_collector() -> None:
    """Modules and wiring stay for good: each full collection would go through them again, and
    hold up every request for a tenth of a second."""
    gc.collect()
    gc.freeze()
    # Hundreds of records live as long as their request: counting them out is cheaper than looking.
    gc.set_threshold(_YOUNG_OBJECTS_MAX, *gc.get_threshold()[1:])


async def _attended(worker: Worker | None, stopping: asyncio.Event) -> None:
    """Run the worker, if there is one, until told to stop; what is in hand is finished."""
    if worker is None:
        await stopping.wait()
        return
    running = asyncio.create_task(worker.run())
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    worker.stop()
    await running


def _stop_signals() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C. Taken before the process says that it is up: whoever reads that
    line may stop it at once, and is to have it drained, not killed."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _print_tokens(settings: Settings) -> None:
    """On standard output, which is for people; logs go to standard error and have no tokens."""
    if not settings.embedded_issuer:
        return
    issuer = local_issuer(settings)
    click.echo("Tokens of the embedded issuer, for 12 hours; more: roadcall-payments token ROLE")
    for caller in EXAMPLE_CALLERS:
        click.echo(f"{caller.role}: {issuer.token(caller)}")
