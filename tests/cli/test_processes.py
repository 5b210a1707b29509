"""serve, worker, run, demo as processes: ports, signals, exit statuses, what they leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import Typed
from tests.ports import free_port

PATIENCE_S = 180
# Each starts several processes, one after the other.
pytestmark = pytest.mark.timeout(600)
COMMAND = [sys.executable, "-m", "roadcall_payments.cli.main"]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROADCALL_", "STRIPE_"))
    }
    return {**kept, "ROADCALL_DATA_DIR": str(data_dir), **more}


@contextmanager
def started(data_dir: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(data_dir, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    process.send_signal(number)
    return process.communicate(timeout=PATIENCE_S)


def until_answers(port: int, path: str, process: subprocess.Popen[str]) -> int:
    """The status of the first answer."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    pytest.fail(f"nothing answered on port {port}")


def typed_with(environment_file: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line typed in another terminal, after the environment file was read there."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", f". '{environment_file}' && {line}"],
        env={"PATH": path, "HOME": str(environment_file.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def log_lines(stderr: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in stderr.splitlines()]


@contextmanager
def occupied() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_and_drains(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    with started(tmp_path, "serve", "--port", str(port)) as process:
        assert until_answers(port, "/health/live", process) == 200
        stdout, stderr = stopped(process, number)
        assert process.returncode == 0
    assert [line.partition(":")[0] for line in stdout.splitlines()[1:]] == [
        "service",
        "dispatcher",
        "admin",
        "auditor",
        "vendor",
        "driver",
    ]
    events = [line["event"] for line in log_lines(stderr)]
    assert (events[0], events[-1]) == ("serving", "stopped")
    assert "eyJ" not in stderr


@pytest.mark.parametrize("options", [(), ("--no-worker",)])
def test_serve_told_to_stop_as_soon_as_it_says_that_it_serves_drains(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with started(tmp_path, "serve", "--port", str(free_port()), *options) as process:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["event"] == "serving"
        _, stderr = stopped(process, signal.SIGTERM)
        assert process.returncode == 0
        assert log_lines(stderr)[-1]["event"] == "stopped"


def test_serve_without_its_worker_beside_a_worker_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    with (
        started(tmp_path, "serve", "--no-worker", "--port", str(port)) as api,
        started(tmp_path, "worker") as worker,
    ):
        until_answers(port, "/health/live", api)
        assert worker.stderr is not None
        assert json.loads(worker.stderr.readline())["event"] == "working"
        _, stderr = stopped(worker, signal.SIGTERM)
        assert worker.returncode == 0
        assert log_lines(stderr)[-1]["event"] == "stopped"
        _, stderr = stopped(api, signal.SIGTERM)
        assert api.returncode == 0
        assert log_lines(stderr)[0]["worker"] is False


def test_an_occupied_port_is_one_sentence_that_says_how_to_change_it(tmp_path: Path) -> None:
    with occupied() as port:
        for words, remedy in (
            (("serve", "--port", str(port)), f"--port {port + 1}"),
            (("run", "--port", str(port)), f"make run PORT={port + 1}"),
            (("run", "--port", str(port)), f"lsof -i :{port}"),
            (
                ("run", "--port", str(free_port()), "--sandbox-port", str(port)),
                f"make run SANDBOX_PORT={port + 1}",
            ),
        ):
            with started(tmp_path / "untouched", *words) as process:
                stdout, stderr = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 1
            assert stdout == ""
            assert stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{port}")
            assert remedy in stderr
            assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "untouched").exists()


def test_run_refuses_places_that_cannot_be_in_words(typed: Typed, tmp_path: Path) -> None:
    port, taken = str(free_port()), tmp_path / "file"
    taken.touch()
    same = typed("run", "--port", port, "--sandbox-port", port)
    assert (same.exit_code, same.stdout) == (1, "")
    assert same.stderr.startswith(f"Error: Service and sandbox cannot both listen on {port}")
    ports = ("--port", port, "--sandbox-port", str(free_port()))
    unwritable = typed("run", *ports, "--data-dir", str(taken / "kept"))
    assert unwritable.exit_code == 1
    assert unwritable.stderr.startswith(f"Error: Cannot keep data in {taken / 'kept'}: ")
    assert len(unwritable.stderr.splitlines()) == 1
    for words in (("run", "--port"), ("run", "--sandbox-port"), ("serve", "--port")):
        refused = typed(*words, "99999")
        assert refused.exit_code == 2
        assert "1<=x<=65535" in refused.stderr


def test_run_stays_up_stops_in_order_and_finds_its_data_again(tmp_path: Path) -> None:
    port, sandbox_port = free_port(), free_port()
    words = ("run", "--port", str(port), "--sandbox-port", str(sandbox_port))
    booked = []
    for _ in range(2):
        with started(tmp_path, *words, "--data-dir", str(tmp_path / "kept here")) as process:
            told = told_until(process, "driver: eyJ")
            assert until_answers(port, "/docs", process) == 200
            environment_file = tmp_path / "kept here" / "environment"
            assert typed_with(environment_file, "roadcall-payments doctor").returncode == 0
            rest, stderr = stopped(process, signal.SIGINT)
        assert process.returncode == 0, stderr
        assert rest.splitlines()[-1] == "Stopped."
        for step in STEPS:
            assert step in told
        booked.append(told[told.index("books balanced") :].split("; ")[1].split(" ")[0])
        for taken in (port, sandbox_port):
            socket.create_server(("127.0.0.1", taken)).close()
    assert booked == ["3", "6"]
    for kept in ("roadcall.sqlite", "sandbox.sqlite", "environment", "mail/0004.eml"):
        assert (tmp_path / "kept here" / kept).exists()
    assert "eyJ" not in (tmp_path / "kept here" / "service.log").read_text()


def test_the_doctor_sees_a_clock_that_is_off(tmp_path: Path) -> None:
    port, sandbox_port = free_port(), free_port()
    words = ("run", "--port", str(port), "--sandbox-port", str(sandbox_port))
    with started(tmp_path, *words, "--data-dir", str(tmp_path)) as process:
        told_until(process, "driver: eyJ")
        shown = typed_with(
            tmp_path / "environment", "ROADCALL_CLOCK_OFFSET_S=600 roadcall-payments doctor"
        )
        stopped(process, signal.SIGTERM)
    assert shown.returncode == 1
    assert re.search(r"(59\d|6[01]\d) s apart from Stripe's", shown.stdout), shown.stdout


def test_run_says_what_died_under_it(tmp_path: Path) -> None:
    words = ("run", "--port", str(free_port()), "--sandbox-port", str(free_port()))
    with started(tmp_path, *words, "--data-dir", str(tmp_path)) as process:
        told_until(process, "driver: eyJ")
        log = (tmp_path / "service.log").read_text()
        found = re.search(r"Started server process \[(\d+)\]", log)
        assert found, log
        os.kill(int(found[1]), signal.SIGKILL)
        _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert stderr.startswith("Error: The service ended with status -9.")


@pytest.fixture
def in_a_terminal() -> Iterator[None]:
    """Undo a nohup above these tests: `run` inherits it, and rightly outlives its terminal then."""
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, inherited)


@pytest.mark.usefixtures("in_a_terminal")
def test_a_closed_terminal_ends_run_and_all_that_it_started(tmp_path: Path) -> None:
    port, sandbox_port = free_port(), free_port()
    words = ("run", "--port", str(port), "--sandbox-port", str(sandbox_port))
    with started(tmp_path, *words, "--data-dir", str(tmp_path)) as process:
        told_until(process, "driver: eyJ")
        _, stderr = stopped(process, signal.SIGHUP)
    assert (process.returncode, stderr) == (0, "")
    for taken in (port, sandbox_port):
        socket.create_server(("127.0.0.1", taken)).close()


def test_a_second_run_that_fails_leaves_the_first_ones_environment_alone(tmp_path: Path) -> None:
    def words() -> tuple[str, ...]:
        ports = ("--port", str(free_port()), "--sandbox-port", str(free_port()))
        return ("run", *ports, "--data-dir", str(tmp_path))

    with started(tmp_path, *words()) as first:
        told_until(first, "driver: eyJ")
        environment_file = tmp_path / "environment"
        before = environment_file.read_text()
        with started(tmp_path, *words()) as second:
            _, stderr = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 1, stderr
        assert environment_file.read_text() == before
        stopped(first, signal.SIGTERM)


def test_run_names_the_setting_that_keeps_it_from_starting(tmp_path: Path) -> None:
    words = ("run", "--port", str(free_port()), "--sandbox-port", str(free_port()))
    with started(tmp_path, *words, "--data-dir", str(tmp_path), ROADCALL_LOG_LEVEL="LOUD") as run:
        _, stderr = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    assert "ROADCALL_LOG_LEVEL" in stderr
    assert "Traceback" not in stderr


STEPS = (
    "vendor on file",
    "created",
    "scored",
    "approved",
    "processed",
    "webhook received  payment_intent.succeeded",
    "webhook received  transfer.created",
    "completed",
    "vendor notified",
    "Subject: The driver has paid $185.00",
    "Subject: We have sent $420.00",
    "books balanced",
    "journal verified",
)


def told_until(process: subprocess.Popen[str], end: str) -> str:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if end in line:
            return told
    pytest.fail(f"it ended before it said {end!r}: {told}{process.communicate()}")
