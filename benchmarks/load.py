"""The load: wrk on one thread with 32 connections, over prepared requests, on the loopback.

wrk costs the machine little; a generator in Python would take more of the cores than what it
measures.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("replay.lua")
# Requests are read while the clock runs: from memory where the system offers it as files.
_MEMORY = Path("/dev/shm")  # noqa: S108  # a private directory is made in it


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed. Times in microseconds."""

    requests: int
    seconds: float
    p50_us: int
    p99_us: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class LoadFailed(RuntimeError):
    """An answer that was no 2xx, a broken connection, or too few prepared requests."""


def http_post(url: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.contextmanager
def kept_in_memory(requests: Sequence[bytes]) -> Iterator[tuple[Path, int]]:
    """The file that wrk reads, and the length of each request in it."""
    lengths = {len(request) for request in requests}
    if len(lengths) != 1:
        raise ValueError(f"requests of different lengths: {sorted(lengths)}")
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        path = Path(folder) / "requests"
        path.write_bytes(b"".join(requests))
        yield path, lengths.pop()


def run(url: str, requests: Sequence[bytes], seconds: float) -> Measured:
    """Send ``requests`` for ``seconds``. Raises LoadFailed."""
    if shutil.which("wrk") is None:
        raise LoadFailed("wrk is missing: apt-get install wrk, or brew install wrk")
    with kept_in_memory(requests) as (path, length):
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), url, "--", str(path), str(length)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + 90
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise LoadFailed(f"wrk: {done.stdout}{done.stderr}")
    said = json.loads(lines[0].removeprefix("RESULT "))
    if said["errors"] or said["statuses"]:
        raise LoadFailed(f"{said['errors']} broken, {said['statuses']} not 2xx of {lines[0]}")
    if not said["requests"]:
        raise LoadFailed("no answer within the time of the run")
    return Measured(
        said["requests"], said["duration_us"] / 1_000_000, said["p50_us"], said["p99_us"]
    )
