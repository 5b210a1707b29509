"""The real thing as processes: the sandbox, the service, a mail server. Everything on loopback.

Each process is held by its handle, started on a free port, and ended by its id.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from roadcall_payments.api.local_issuer import LocalIssuer
from roadcall_payments.domain.people import Actor, Role
from tests.flows.databases import Database, sqlite_in
from tests.ports import free_port

Json = Mapping[str, "JsonValue"]
JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Json
T = TypeVar("T")

WEBHOOK_SECRET = "whsec_flows_platform"
CONNECT_SECRET = "whsec_flows_connect"
API_KEY = "sk_test_flows"
SANDBOX_READY = "/_sandbox/clock"
SERVICE_READY = "/health/ready"
WAIT_S = 60
# Seconds of processor time, which a busy machine may spread over minutes.
START_S = 180


def wait_for(what: str, look: Callable[[], T | None], timeout_s: float = WAIT_S) -> T:
    """Look until there is something; fail naming what never came."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {timeout_s} s")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: dict[str, object]
    headers: Mapping[str, str]

    def text(self, *path: str) -> str:
        value: object = self.body
        for name in path:
            assert isinstance(value, dict), self.body
            value = value[name]
        assert isinstance(value, str), f"{path}: {value!r}"
        return value


def call(
    method: str,
    url: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
    timeout_s: float = 60,
) -> Reply:
    """One HTTP exchange; a 4xx or 5xx is a reply like any other."""
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 # loopback only
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 # as above
            return Reply(answer.status, _json(answer.read()), dict(answer.headers))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Reply(refusal.code, _json(refusal.read()), dict(refusal.headers))


def _json(data: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(data)
    except ValueError:
        return {"_raw": data.decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {"data": parsed}


class ServerProcess:
    """A child process that serves HTTP; its output goes to a file for the failure report."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path, url: str) -> None:
        self.url = url
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env={**os.environ, **env}, stdout=output, stderr=output
            )

    def wait_ready(self, path: str) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"ended early:\n{self.log.read_text()[-3000:]}")
            with contextlib.suppress(OSError):
                return call("GET", self.url + path, timeout_s=5).status == 200
            return False

        try:
            wait_for(f"{self.url}{path}", lambda: ready() or None, START_S)
        except AssertionError:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait(timeout=20)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


class Mailbox:
    """A loopback SMTP server that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(  # noqa: N802 # aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        message: Message = BytesParser(policy=modern).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.controller.port}"

    def to(self, address: str) -> list[EmailMessage]:
        return [m for m in self.messages if address in str(m["To"])]


@dataclass
class Stack:
    """One sandbox, one service, and everything needed to talk to both."""

    directory: Path
    mailbox: Mailbox
    database: Database
    settings: dict[str, str] = field(default_factory=dict)
    sandbox_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    api_key: str = field(default=API_KEY, repr=False)
    words: Sequence[str] = ("serve",)

    def __post_init__(self) -> None:
        self.secrets = self.directory / "stripe.json"
        self.write_secrets(self.api_key)
        self.others: list[ServerProcess] = []
        # Side by side: most of a start is imports. The sandbox, which the service's readiness
        # asks for, is there first.
        self.sandbox = self.launch_sandbox()
        self.service = self.launch_service()
        try:
            self.sandbox.wait_ready(SANDBOX_READY)
            self.service.wait_ready(SERVICE_READY)
        except BaseException:
            self.close()
            raise

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    def write_secrets(
        self, api_key: str, *, webhook_secrets: Sequence[str] = (), connect_enabled: bool = True
    ) -> None:
        """Replaced as a whole, as a secret's rotation does; ``webhook_secrets``: further ones of
        the platform's endpoint."""
        draft = self.secrets.with_suffix(".new")
        platform = (*webhook_secrets, WEBHOOK_SECRET)
        hooks = [{"value": secret, "origin": "platform"} for secret in platform]
        hooks.append({"value": CONNECT_SECRET, "origin": "connect"})
        shape = {"apiKey": api_key, "webhookSecret": hooks, "connectEnabled": connect_enabled}
        draft.write_text(json.dumps(shape))
        draft.replace(self.secrets)

    def start_sandbox(self) -> ServerProcess:
        process = self.launch_sandbox()
        process.wait_ready(SANDBOX_READY)
        return process

    def launch_sandbox(self) -> ServerProcess:
        hook = f"http://127.0.0.1:{self.port}/payments/webhooks/stripe"
        command = [sys.executable, "-m", "stripe_sandbox", "--port", str(self.sandbox_port)]
        command += ["--state", str(self.directory / "sandbox.sqlite"), "--api-key", API_KEY]
        command += ["--webhook-url", hook, "--webhook-secret", WEBHOOK_SECRET]
        command += ["--connect-webhook-url", hook, "--connect-webhook-secret", CONNECT_SECRET]
        command += ["--webhook-retries", "1,1,1,2,2,5,5,10,10,10,10,10"]
        log = self.directory / "sandbox.log"
        return ServerProcess(command, {}, log, f"http://127.0.0.1:{self.sandbox_port}")

    def start_service(self, ready: str = SERVICE_READY, **changed: str) -> ServerProcess:
        """Start `serve` and wait until ``ready`` answers 200; ``changed`` overrides settings for
        this process alone."""
        process = self.launch_service(**changed)
        process.wait_ready(ready)
        return process

    def launch_service(self, **changed: str) -> ServerProcess:
        env = {
            "ROADCALL_DATA_DIR": str(self.data_dir),
            "ROADCALL_PORT": str(self.port),
            "ROADCALL_STRIPE_API_BASE": self.sandbox.url,
            "ROADCALL_STRIPE_SECRETS_FILE": str(self.secrets),
            "ROADCALL_STRIPE_BUDGET_S": "3",
            "ROADCALL_STRIPE_TIMEOUT_S": "2",
            "ROADCALL_RECOVERY_AFTER_S": "4",
            "ROADCALL_SMTP_URL": self.mailbox.url,
            "ROADCALL_BACK_OFFICE_EMAILS": "office@fleet.example",
            "ROADCALL_WORKER_POLL_INTERVAL_MS": "100",
            # What a killed worker had taken up comes back within what the tests wait for.
            "ROADCALL_WORKER_LEASE_S": "15",
            "ROADCALL_SMTP_TIMEOUT_S": "5",
            "ROADCALL_RATE_LIMIT_PER_MINUTE": "100000",
            "ROADCALL_RATE_LIMIT_SENSITIVE_PER_MINUTE": "100000",
            # Most stories end with the payment; the settlement's own turn it on.
            "ROADCALL_SETTLEMENT": "off",
            **self.database.settings,
            **self.settings,
            **changed,
        }
        command = [sys.executable, "-m", "roadcall_payments.cli.main", *self.words]
        self.environment = env
        log = self.directory / "service.log"
        return ServerProcess(command, env, log, f"http://127.0.0.1:{self.port}")

    def restart_service(self, **changed: str) -> None:
        self.service = self.start_service(**changed)

    def start_beside(
        self, name: str, *words: str, module: str = "roadcall_payments.cli.main", **changed: str
    ) -> ServerProcess:
        """Another process of the service's on the same data, gone when the stack is."""
        env = {**self.environment, **changed}
        command = [sys.executable, "-m", module, *words]
        url = f"http://127.0.0.1:{env['ROADCALL_PORT']}"
        process = ServerProcess(command, env, self.directory / f"{name}.log", url)
        self.others.append(process)
        return process

    def close(self) -> None:
        for process in (*self.others, self.service, self.sandbox):
            if process.running:
                process.kill()

    # --- talking to the service ---

    def token(self, role: Role, own_id: str, **owners: str | None) -> str:
        issuer = LocalIssuer.open(
            self.data_dir, issuer="roadcall-payments", audience="roadcall-payments"
        )
        return issuer.token(Actor(own_id, role, **owners))

    def api(
        self, method: str, path: str, body: object = None, *, as_: str = "dispatcher", **more: str
    ) -> Reply:
        """Call as one of ``bearer``'s roles."""
        headers = {**self.bearer(as_), **more}
        return call(method, self.service.url + path, body, headers=headers)

    def bearer(self, role: str) -> dict[str, str]:
        """A role's token: service, dispatcher (two: dispatcher, approver), admin, driver."""
        tokens = {
            "service": lambda: self.token(Role.SERVICE, "svc_1", company_id="co_1"),
            "dispatcher": lambda: self.token(Role.DISPATCHER, "us_1", company_id="co_1"),
            "approver": lambda: self.token(Role.DISPATCHER, "us_2", company_id="co_1"),
            "admin": lambda: self.token(Role.ADMIN, "us_3"),
            "driver": lambda: self.token(Role.DRIVER, "dr_1", company_id="co_1", driver_id="dr_1"),
        }
        return {"Authorization": f"Bearer {tokens[role]()}"}

    def payment(self, payment_id: str) -> dict[str, object]:
        reply = self.api("GET", f"/payments/{payment_id}")
        assert reply.status == 200, reply
        return reply.body

    def status(self, payment_id: str) -> str:
        return str(self.payment(payment_id)["status"])

    def wait_status(self, payment_id: str, status: str, timeout_s: float = WAIT_S) -> None:
        wait_for(
            f"{payment_id} {status}",
            lambda: self.status(payment_id) == status or None,
            timeout_s,
        )

    def facts(self, payment_id: str) -> list[str]:
        """The types of the payment's facts, in order, as its timeline tells them."""
        reply = self.api("GET", f"/payments/{payment_id}/timeline")
        entries = reply.body["entries"]
        assert isinstance(entries, list)
        return [str(entry["type"]) for entry in entries]

    # --- talking to the sandbox ---

    def stripe(self, method: str, path: str, body: object = None) -> Reply:
        return call(method, self.sandbox.url + path, body)

    def fault(self, **fault: object) -> None:
        reply = self.stripe("POST", "/_sandbox/faults", fault)
        assert reply.status in (200, 201), reply

    def no_faults(self) -> None:
        self.stripe("DELETE", "/_sandbox/faults")

    def objects(self, kind: str) -> list[dict[str, object]]:
        """What the sandbox's own books hold, with the request and key that made each."""
        reply = self.stripe("GET", f"/_sandbox/state?kinds={kind}")
        found = reply.body[kind]
        assert isinstance(found, list), reply
        return found

    def connected_account(self) -> str:
        reply = self.form("POST", "/v1/accounts")
        return reply.text("id")

    def form(self, method: str, path: str, form: str = "", **headers: str) -> Reply:
        return call(
            method,
            self.sandbox.url + path,
            raw=form.encode() if form else None,
            headers={
                "Authorization": f"Bearer {self.api_key}",
                "Content-Type": "application/x-www-form-urlencoded",
                **headers,
            },
        )


@contextlib.contextmanager
def running_stack(
    directory: Path,
    database: Database | None = None,
    *,
    words: Sequence[str] = ("serve",),
    **settings: str,
) -> Iterator[Stack]:
    """A stack that is gone afterwards, whatever happened; on a SQLite file unless told. ``words``
    are the command that its service runs."""
    kept_in = database or sqlite_in(directory)
    mailbox = Mailbox()
    mailbox.controller.start()
    stack: Stack | None = None
    try:
        stack = Stack(directory, mailbox, kept_in, settings, words=words)
        yield stack
    finally:
        if stack is not None:
            stack.close()
        mailbox.controller.stop()
