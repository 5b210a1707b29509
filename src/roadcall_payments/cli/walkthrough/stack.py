"""The sandbox and the service as processes of their own, started in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from roadcall_payments.cli.service import Failed, read_settings, variable
from roadcall_payments.cli.walkthrough import tethered
from roadcall_payments.cli.walkthrough.mailbox import Mailbox, open_mailbox
from roadcall_payments.config import Settings

READY_S_MAX = 60
STOP_S_MAX = 70  # longer than the service gives to requests and work in hand
LOG_LINES_SHOWN = 12

# Settings of the environment that would lead the walk-through away from this machine.
_FOREIGN = ("database_path", "database_url", "table_name", "db_secret_name", "jwks_url")


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is: one directory, two ports."""

    data_dir: Path
    port: int
    sandbox_port: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def keys_file(self) -> Path:
        return self.data_dir / "sandbox-keys.json"

    @property
    def environment_file(self) -> Path:
        return self.data_dir / "environment"


@dataclass(frozen=True, slots=True)
class Keys:
    """The sandbox's API key and webhook secrets: worthless anywhere else."""

    api_key: str
    platform_secret: str
    connect_secret: str


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs. ``settings`` are the service's own."""

    places: Places
    settings: Settings
    keys: Keys
    mailbox: Mailbox
    children: tuple[Child, ...]

    async def until_one_ends(self) -> str:
        """Wait until a child process ends by itself; what to say of it."""
        waits = {asyncio.create_task(child.process.wait()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()].epitaph()
        finally:
            for wait in waits:
                wait.cancel()


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: asyncio.subprocess.Process
    log: Path

    def epitaph(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]
        said = "\n".join(["", *lines]) if lines else " It said nothing."
        return f"The {self.name} ended with status {self.process.returncode}.{said}"

    async def stop(self) -> None:
        """Let it drain; a child that does not end in time is killed."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S_MAX)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def open_stack(places: Places) -> AsyncIterator[Stack]:
    """Start all of it; stop it in reverse order. Raises Failed when something does not start."""
    _must_be_writable(places.data_dir)
    keys = _keys(places.keys_file)
    async with AsyncExitStack() as opened:
        mailbox = opened.enter_context(open_mailbox(places.data_dir / "mail"))
        changed = _settings_of(places, mailbox)
        environment = _environment(changed)
        settings = read_settings(**changed)
        sandbox = await _start("sandbox", _sandbox_command(places, keys), environment, places)
        opened.push_async_callback(sandbox.stop)
        command = ["roadcall_payments.cli.main", "serve"]
        service = await _start("service", command, environment, places)
        opened.push_async_callback(service.stop)
        await _until_answers(f"{places.sandbox}/_sandbox/clock", sandbox)
        await _until_answers(f"{places.api}/health/ready", service)
        # Not before: the file may still tell of a run that has this directory and stays up.
        _write_environment_file(places, changed, keys)
        yield Stack(places, settings, keys, mailbox, (sandbox, service))


def _must_be_writable(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as refused:
        raise Failed(
            f"Cannot keep data in {directory}: {refused.strerror}. "
            "Choose another directory: make run DATA_DIR=..., or run --data-dir ..."
        ) from None


def _keys(path: Path) -> Keys:
    """Yesterday's keys, or new ones."""
    if not path.exists():
        document = {
            "apiKey": f"sk_test_{secrets.token_hex(16)}",
            "webhookSecret": [
                {"value": f"whsec_{secrets.token_hex(24)}", "origin": origin}
                for origin in ("platform", "connect")
            ],
            "connectEnabled": True,
        }
        _write_private(path, json.dumps(document, indent=2))
    document = json.loads(path.read_text(encoding="utf-8"))
    platform, connect = (secret["value"] for secret in document["webhookSecret"])
    return Keys(document["apiKey"], platform, connect)


def _settings_of(places: Places, mailbox: Mailbox) -> Mapping[str, str]:
    changed = {
        "data_dir": str(places.data_dir),
        "host": "127.0.0.1",
        "port": str(places.port),
        "stripe_api_base": places.sandbox,
        "stripe_secrets_file": str(places.keys_file),
        "onboarding_return_url": f"{places.api}/docs",
        # The worker looks often, so that a reader need not wait for it.
        "worker_poll_interval_ms": "200",
    }
    return {**changed, "smtp_url": mailbox.url} if mailbox.url else changed


def _environment(changed: Mapping[str, str]) -> dict[str, str]:
    foreign = {variable(name) for name in _FOREIGN}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, **{variable(name): value for name, value in changed.items()}}


def _write_environment_file(places: Places, changed: Mapping[str, str], keys: Keys) -> None:
    """For another terminal: `. var/environment`, and every command knows this service."""
    exported = {variable(name): value for name, value in changed.items()}
    exported["STRIPE_API_KEY"] = keys.api_key
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exported.items()]
    _write_private(places.environment_file, "".join(lines))


def _write_private(path: Path, text: str) -> None:
    """For its owner alone, and whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _sandbox_command(places: Places, keys: Keys) -> Sequence[str]:
    webhook = f"{places.api}/payments/webhooks/stripe"
    state = str(places.data_dir / "sandbox.sqlite")
    return [
        "stripe_sandbox",
        *("--port", str(places.sandbox_port), "--state", state),
        # Enough for years of runs: each transfer takes some of it.
        *("--opening-balance", "100000000"),
        *("--webhook-url", webhook, "--webhook-secret", keys.platform_secret),
        *("--connect-webhook-url", webhook, "--connect-webhook-secret", keys.connect_secret),
    ]


async def _start(
    name: str, command: Sequence[str], environment: Mapping[str, str], places: Places
) -> Child:
    log = places.data_dir / f"{name}.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", tethered.__name__, *command),
            env=dict(environment),
            # Closes when this process ends: then they end too, though it was killed.
            stdin=asyncio.subprocess.PIPE,
            # Tokens and banners go to standard output; what is worth keeping is logged.
            stdout=asyncio.subprocess.DEVNULL,
            stderr=file,
            # Ctrl-C reaches this process alone, which then stops the others in order.
            start_new_session=True,
        )
    return Child(name, process, log)


async def _until_answers(url: str, child: Child) -> None:
    timeout = aiohttp.ClientTimeout(total=5)
    deadline = asyncio.get_running_loop().time() + READY_S_MAX
    async with aiohttp.ClientSession(timeout=timeout) as http:
        while asyncio.get_running_loop().time() < deadline:
            if child.process.returncode is not None:
                raise Failed(child.epitaph())
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
    await child.stop()
    raise Failed(f"The {child.name} was not ready within {READY_S_MAX} s; see {child.log}.")
