"""`python -m stripe_sandbox`: the sandbox on the loopback interface."""

import argparse
import asyncio
import gc
import logging
import secrets
import signal
import sys
import time

from aiohttp import web

from stripe_sandbox.clock import SandboxClock
from stripe_sandbox.config import Endpoint, SandboxConfig
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.server import Server
from stripe_sandbox.storage import MemoryStorage, SqliteStorage, Storage, StorageError

GRACE_S = 5.0

log = logging.getLogger("stripe_sandbox")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    defaults = SandboxConfig()
    parser = argparse.ArgumentParser(
        prog="python -m stripe_sandbox", description="A stateful, offline Stripe with Connect."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    add("--port", type=int, default=12111, help="port; 0 picks a free one (default: %(default)s)")
    add("--state", metavar="FILE", help="SQLite file that keeps the state (default: memory alone)")
    add("--seed", help="makes ids and faults repeatable (default: random, kept in the state file)")
    add(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY",
        help="accept only this secret key; repeatable (default: every sk_test_...)",
    )
    add("--webhook-url", metavar="URL", help="send the platform's events there from the start")
    add("--webhook-secret", metavar="SECRET", help="signs them")
    add("--connect-webhook-url", metavar="URL", help="send connected accounts' events there")
    add("--connect-webhook-secret", metavar="SECRET", help="signs them")
    add(
        "--opening-balance",
        type=int,
        default=defaults.opening_balance,
        metavar="AMOUNT",
        help="the platform's available balance, minor units (default: %(default)s)",
    )
    add("--currency", default=defaults.currency, help="the platform's (default: %(default)s)")
    add(
        "--platform-account",
        default=defaults.platform_account,
        metavar="ID",
        help="its account id (default: %(default)s)",
    )
    add(
        "--fee-basis-points",
        type=int,
        default=defaults.fee_basis_points,
        metavar="N",
        help="Stripe's rate on a charge (default: %(default)s = 2.9 %%)",
    )
    add(
        "--fee-fixed",
        type=int,
        default=defaults.fee_fixed,
        metavar="AMOUNT",
        help="its fixed part, minor units (default: %(default)s)",
    )
    add(
        "--settlement-seconds",
        type=int,
        default=defaults.settlement_s,
        metavar="S",
        help="from a charge to its funds being available (default: %(default)s)",
    )
    add(
        "--webhook-retries",
        metavar="S,S,...",
        default=",".join(map(str, defaults.webhook_retries_s)),
        help="waits between delivery attempts, seconds (default: %(default)s)",
    )
    add("--verbose", action="store_true", help="log every failed delivery")
    return parser.parse_args(arguments)


def make_config(options: argparse.Namespace, port: int) -> SandboxConfig:
    """Raises ValueError with what is wrong."""
    endpoints = []
    for url, secret, connect in (
        (options.webhook_url, options.webhook_secret, False),
        (options.connect_webhook_url, options.connect_webhook_secret, True),
    ):
        if (url is None) != (secret is None):
            raise ValueError("a webhook's URL and secret go together")
        if url is not None:
            endpoints.append(Endpoint(url, secret, connect))
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104  # read, not bound
    return SandboxConfig(
        seed=options.seed or secrets.token_hex(8),
        platform_account=options.platform_account,
        currency=options.currency,
        opening_balance=options.opening_balance,
        fee_basis_points=options.fee_basis_points,
        fee_fixed=options.fee_fixed,
        settlement_s=options.settlement_seconds,
        webhook_retries_s=tuple(int(part) for part in options.webhook_retries.split(",") if part),
        api_keys=tuple(options.api_key),
        endpoints=tuple(endpoints),
        base_url=f"http://{host}:{port}",
    )


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def serve(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    loop = asyncio.get_running_loop()
    handler: list[Server] = []

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        return await handler[0].respond(request)

    runner = web.ServerRunner(web.Server(respond, access_log=None), shutdown_timeout=GRACE_S)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        print(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}. "
            "Is another sandbox running there? Choose another with --port.",
            file=sys.stderr,
        )
        await runner.cleanup()
        return 1
    port = runner.addresses[0][1]
    try:
        config = make_config(options, port)
        storage: Storage = SqliteStorage(options.state) if options.state else MemoryStorage()
        sandbox = Sandbox(SandboxClock(wall_clock_ms), storage, config)
    except (ValueError, StorageError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        await runner.cleanup()
        return 1
    sandbox.commit()
    server = Server(sandbox, durable=options.state is not None)
    handler.append(server)
    delivering = asyncio.create_task(server.deliverer.run())
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopping.set)
    print(
        f"Stripe sandbox on http://{options.host}:{port} "
        f"({options.state or 'state in memory'}); Ctrl-C stops it.",
        flush=True,
    )
    ends = [asyncio.create_task(stopping.wait()), asyncio.create_task(server.broken.wait())]
    await asyncio.wait([*ends, delivering], return_when=asyncio.FIRST_COMPLETED)
    status = 0 if stopping.is_set() else 1
    await runner.cleanup()
    for task in (*ends, delivering):
        task.cancel()
    for result in await asyncio.gather(*ends, delivering, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("the webhook deliverer failed", exc_info=result)
    if not server.broken.is_set():
        sandbox.commit()
    storage.close()
    return status


def run(options: argparse.Namespace) -> int:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.run(serve(options))
    return uvloop.run(serve(options))


def main() -> None:
    options = parse_arguments()
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.ERROR,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    # Records live for ever: looking through all of them for garbage costs more than it finds.
    gc.set_threshold(50_000, 20, 1_000)
    sys.exit(run(options))


if __name__ == "__main__":
    main()
