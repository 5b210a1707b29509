"""Stripe's own CLI and Node SDK, installed from the lock in `node/` into `.cache/node`."""

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.external_tools import missing, require_tool

LOCKED = Path(__file__).parent / "node"
INSTALLED = Path(__file__).resolve().parents[2] / ".cache" / "node"


def install() -> str | None:
    """What went wrong, or None. One process of a test run installs, the others wait for it."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with INSTALLED.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return _install_in_turn()


@cache
def _installed() -> str | None:
    return install()


def _install_in_turn() -> str | None:
    """`npm install`, for `npm ci` wants every platform's CLI locked."""
    lock = (LOCKED / "package-lock.json").read_bytes()
    stamp = INSTALLED / "installed-lock.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return None
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, INSTALLED / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [require_tool("npm"), "install", *options],
        cwd=INSTALLED,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        return f"npm could not install Stripe's packages: {done.stderr[-500:]}"
    stamp.write_bytes(lock)
    return None


def node_folder() -> Path:
    """Where `node_modules` is; skips the test (fails it under REQUIRE_ALL=1) without Node."""
    require_tool("node")
    require_tool("npm")
    problem = _installed()
    if problem is not None:
        missing(problem)
    return INSTALLED


def stripe_cli() -> Path:
    return node_folder() / "node_modules" / ".bin" / "stripe"


def cli_environment(home: Path, api_key: str) -> dict[str, str]:
    """The whole environment for the CLI: a home of its own, and no word to the world.

    Telemetry has a switch. The look for a newer version has none: it is sent to a proxy that is
    not there, which what goes to this machine itself does not use.
    """
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "STRIPE_API_KEY": api_key,
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "STRIPE_CLI_NO_PLUGIN_AUTO_INSTALL": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
