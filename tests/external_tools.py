"""Programs that some tests need beside Python: Node, git, curl, the Stripe CLI.

A test without its program is skipped with the reason, unless `REQUIRE_ALL=1`, as continuous
integration sets it: then it fails, for there a skipped test would be a hole that nobody sees.
"""

import os
import shutil
import subprocess
from functools import cache
from typing import NoReturn

import pytest


def require_tool(name: str) -> str:
    """The program's path; skips the test (fails it under REQUIRE_ALL=1) where it does not run."""
    path = _runnable(name)
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(reason: str) -> NoReturn:
    """Skip for want of something outside; under REQUIRE_ALL=1 fail instead."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and REQUIRE_ALL=1 allows no skip", pytrace=False)
    pytest.skip(reason)


@cache
def _runnable(name: str) -> str | None:
    # macOS has stand-ins on the path for programs that are not installed: only running tells.
    path = shutil.which(name)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None
