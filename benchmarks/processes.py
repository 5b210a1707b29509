"""Processes under measurement: started, watched by their ids, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psutil import NoSuchProcess  # type: ignore[import-untyped]  # it ships no types
from psutil import Process as Process

READY_S = 60
_STOP_S = 20
# user, system, children_user, children_system: all systems have these first.
_TIMES = 4


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. ``pss`` shares out what several processes map; it is None where nobody counts it."""

    rss: int
    pss: int | None


class Started:
    """A process of ours and its children."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log

    def line(self, beginning: str = "") -> str:
        """The next line of standard output that begins so. Raises RuntimeError at its end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line.strip()
        raise RuntimeError(f"it ended before it said {beginning!r}:\n{self.told()}")

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:]

    @property
    def tree(self) -> list[Process]:
        return tree(self._process.pid)

    def memory(self) -> Memory:
        seen = [process.memory_full_info() for process in self.tree]
        shares = [getattr(one, "pss", None) for one in seen]
        return Memory(
            sum(one.rss for one in seen), None if None in shares else sum(filter(None, shares))
        )

    def wait_for(self, url: str) -> None:
        """Until ``url`` answers with anything. Raises RuntimeError."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own address
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{url} did not answer:\n{self.told()}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                for process in reversed(self.tree):
                    process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[Started]:
    """Run ``command`` while the block lasts; what it logs goes to ``log``."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
    }
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**inherited, **environment},
            cwd=cwd,
        )
        running = Started(process, log)
        try:
            yield running
        finally:
            running.stop()


def tree(process_id: int) -> list[Process]:
    top = Process(process_id)
    return [top, *top.children(recursive=True)]


def cpu_seconds(processes: Sequence[Process]) -> float:
    """User and system time of all of them until now, and of the children that they have seen end:
    of a whole tree nothing is lost when one of it ends (macOS does not tell; there it is)."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(NoSuchProcess):
            total += sum(process.cpu_times()[:_TIMES])
    return total
