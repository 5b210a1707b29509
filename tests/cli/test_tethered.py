"""What `make run` started ends with it, also where it was killed and could stop nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ENDS_S_MAX = 60
TETHERED = (sys.executable, "-m", "roadcall_payments.cli.walkthrough.tethered")
# Without its tether it would stay for ever.
STAYS = "import sys, time\nprint(sys.argv[1:], flush=True)\ntime.sleep(86_400)\n"
STARTS = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
time.sleep(86_400)
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "stays.py").write_text(STAYS, encoding="utf-8")
    return tmp_path


def test_a_module_ends_when_the_process_that_started_it_is_killed(module: Path) -> None:
    command = (sys.executable, "-c", STARTS, *TETHERED, "stays", "--port", "1")
    with subprocess.Popen(command, cwd=module, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "['--port', '1']\n", "it has its own arguments"
        starter.kill()
        # The child has the other end: this reads on until the child has ended.
        assert starter.communicate(timeout=ENDS_S_MAX)[0] == ""


def test_a_module_that_ends_by_itself_keeps_its_exit_status(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    with subprocess.Popen((*TETHERED, "ends"), cwd=tmp_path, stdin=subprocess.PIPE) as child:
        assert child.wait(timeout=ENDS_S_MAX) == 3
