"""run, demo: see the whole thing work, with one command and no account anywhere."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path

import aiohttp
import click

from roadcall_payments.api.local_issuer import EXAMPLE_CALLERS, local_issuer
from roadcall_payments.bootstrap import open_service
from roadcall_payments.cli.listening import free_port, must_be_free
from roadcall_payments.cli.service import Failed, failed
from roadcall_payments.cli.walkthrough.client import ApiClient, SandboxClient
from roadcall_payments.cli.walkthrough.stack import Places, Stack, open_stack
from roadcall_payments.cli.walkthrough.story import Storyteller
from roadcall_payments.domain.errors import RoadcallError

PORT = click.IntRange(1, 65_535)


@click.command(
    short_help="Service, worker and Stripe sandbox here, and two payments.",
    epilog="Example: roadcall-payments run --port 8001",
)
@click.option("--port", type=PORT, default=8000, show_default=True, help="The service's.")
@click.option("--sandbox-port", type=PORT, default=12111, show_default=True, help="The sandbox's.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var"),
    show_default=True,
    help="Databases, keys, logs, mails; kept for the next run.",
)
def run(port: int, sandbox_port: int, data_dir: Path) -> None:
    """Run service, worker and Stripe sandbox here, and carry two payments through them.

    Needs no account and no network. Stays up until Ctrl-C, which stops everything in order; the
    next run finds its data again.
    """
    if port == sandbox_port:
        raise Failed(f"Service and sandbox cannot both listen on {port}: choose two ports.")
    _must_be_free(port, sandbox_port)
    places = Places(data_dir.resolve(), port, sandbox_port)
    _until_stopped(_run(places))
    click.echo("Stopped.")


@click.command(
    short_help="The same on temporary databases; ends with 0, or 1.",
    epilog="Example: roadcall-payments demo",
)
def demo() -> None:
    """Do what `run` does on temporary databases and free ports, then stop.

    Exit status 0 when both payments completed and the books agree; else 1, and the reason.
    """
    with tempfile.TemporaryDirectory(prefix="roadcall-demo-") as directory:
        finished = _until_stopped(_demo(Places(Path(directory), free_port(), free_port())))
    if not finished:
        raise Failed("The demo was stopped before its end.")


async def _run(places: Places) -> None:
    click.echo(f"Starting the Stripe sandbox and the service; data in {places.data_dir}")
    async with open_stack(places) as stack:
        payments = await _told(stack)
        _print_where_next(stack, payments)
        reason = await stack.until_one_ends()
    raise Failed(reason)


async def _demo(places: Places) -> None:
    click.echo("Starting the Stripe sandbox and the service on temporary databases")
    async with open_stack(places) as stack:
        await _told(stack)
    click.echo("\nBoth payments completed, and everything was stopped.")


async def _told(stack: Stack) -> list[str]:
    """Tell the story, unless a process dies in it: then Failed says which, and its last words."""
    telling = asyncio.create_task(_tell(stack))
    dying = asyncio.create_task(stack.until_one_ends())
    try:
        await asyncio.wait((telling, dying), return_when=asyncio.FIRST_COMPLETED)
        if dying.done():
            raise Failed(dying.result())
        return await telling
    except aiohttp.ClientError as broken:
        raise Failed(f"The service does not answer: {broken}.") from None
    finally:
        for task in (telling, dying):
            task.cancel()
        await asyncio.gather(telling, dying, return_exceptions=True)


async def _tell(stack: Stack) -> list[str]:
    issuer = local_issuer(stack.settings)
    tokens = {caller.role: issuer.token(caller) for caller in EXAMPLE_CALLERS}
    places = stack.places
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http,
        open_service(stack.settings) as service,
    ):
        api = ApiClient(http, places.api, tokens)
        sandbox = SandboxClient(http, places.sandbox, stack.keys.api_key)
        return await Storyteller(api, sandbox, service, stack.mailbox, click.echo).tell()


def _must_be_free(port: int, sandbox_port: int) -> None:
    for taken, variable, option in (
        (port, "PORT", "--port"),
        (sandbox_port, "SANDBOX_PORT", "--sandbox-port"),
    ):
        must_be_free(
            taken,
            f"Stop what runs there (lsof -i :{taken} names it), "
            f"or choose another: make run {variable}={taken + 1}, or run {option} {taken + 1}.",
        )


def _print_where_next(stack: Stack, payments: list[str]) -> None:
    places, issuer = stack.places, local_issuer(stack.settings)
    directory = _short(places.data_dir)
    first = payments[0]
    click.echo(
        f"""
Everything is up; Ctrl-C stops it. Where to go next

  API documentation   {places.api}/docs
  Stripe sandbox      {places.sandbox}/ (objects, balances, events, deliveries)
  Logs, mails         {directory}/service.log, {directory}/mail/

In another terminal, so that every command knows this service:
  . {shlex.quote(f"{directory}/environment")}

  {_command()} timeline {first}
  {_command()} doctor
  {_command()} verify
  curl -H "Authorization: Bearer $({_command()} token service)" \\
    {places.api}/payments/{first}/timeline

Trigger an event with the official Stripe CLI (npm install -g @stripe/cli):
  stripe trigger payment_intent.succeeded --api-base {places.sandbox}
  {_command()} inbox list --status kept

Tokens, for 12 hours"""
    )
    for caller in EXAMPLE_CALLERS:
        click.echo(f"  {caller.role}: {issuer.token(caller)}")


def _command() -> str:
    """The command as it can be typed where this one was."""
    beside = Path(sys.executable).with_name("roadcall-payments")
    found = shutil.which("roadcall-payments")
    if found is not None and Path(found).resolve() == beside.resolve():
        return "roadcall-payments"
    return _short(beside) if beside.exists() else "roadcall-payments"


def _short(path: Path) -> str:
    """Relative where that is shorter to type."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _until_stopped(process: Coroutine[None, None, None]) -> bool:
    """Run to the end, or until Ctrl-C, SIGTERM or a closed terminal: then stop everything in
    order, once."""

    async def supervised() -> bool:
        task = asyncio.ensure_future(process)
        stopping = False

        def stop() -> None:
            nonlocal stopping
            if not stopping:
                stopping = True
                click.echo("\nStopping: the service finishes what is in hand ...")
                task.cancel()

        def hang_up() -> None:
            _fall_silent()
            stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        # Under nohup it is ignored, and stays so.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, hang_up)
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True

    try:
        return asyncio.run(supervised())
    except RoadcallError as error:
        raise failed(error) from None


def _fall_silent() -> None:
    """To a terminal that was closed every further word would be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
