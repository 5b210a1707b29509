"""A sandbox process for tests: started on a free port, stopped with the test."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    url: str
    process: subprocess.Popen[str]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the control API; `path` without its `/_sandbox/`."""
        return self._call(method, f"/_sandbox/{path}", body and json.dumps(body), {})

    def get(self, path: str, key: str, account: str | None = None) -> Any:
        """What the API says, asked without any SDK."""
        headers = {"Authorization": f"Bearer {key}"}
        if account is not None:
            headers["Stripe-Account"] = account
        return self._call("GET", path, None, headers)

    def _call(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Any:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port or 0, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = json.load(response)
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {content}")
        return content

    def kill(self) -> None:
        """As a power cut would: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@contextmanager
def running_sandbox(*options: str) -> Iterator[SandboxProcess]:
    """A sandbox on a free port with these command-line options."""
    command = [sys.executable, "-m", "stripe_sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield SandboxProcess(_address(process), process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise RuntimeError("the sandbox has no output to read its address from")
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    if found is None:
        raise RuntimeError(f"the sandbox did not start; it said {line!r}")
    return found[0]
