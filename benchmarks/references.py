"""What people use today, installed apart from the service and started as their manuals say.

``install`` puts pinned versions into ``.cache/bench``, an environment and a folder of modules of
their own; it does nothing when they are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import issuer
from benchmarks.identifiers import API_KEY, WEBHOOK_SECRET
from benchmarks.processes import Started, started
from benchmarks.service import free_port

_SOURCES = Path(__file__).with_name("reference_apps")
_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "bench"
_PYTHON = _CACHE / "venv" / "bin" / "python"


def install() -> None:
    """Raises RuntimeError naming the program that is missing."""
    if shutil.which("npm") is None:
        raise RuntimeError("Node.js is missing: apt-get install nodejs npm, or brew install node")
    _CACHE.mkdir(parents=True, exist_ok=True)
    # They run on the interpreter that the service runs on: another one would be another ratio.
    named = ("requirements.txt", "package.json")
    wanted = "".join((_SOURCES / name).read_text() for name in named)
    wanted += f"# {sys.base_prefix} {sys.version}"
    stamp = _CACHE / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Installing what is measured against (once) ...", flush=True)
    environment = str(_PYTHON.parent.parent)
    subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
    pip = [str(_PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(_SOURCES / "requirements.txt")], check=True)
    shutil.copy(_SOURCES / "package.json", _CACHE)
    npm = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run([*npm, "--silent"], cwd=_CACHE, check=True)
    stamp.write_text(wanted)


@dataclass(frozen=True, slots=True)
class Reference:
    """A running system that is not ours; ``path`` takes its webhooks."""

    url: str
    path: str
    process: Started


@contextlib.contextmanager
def dj_stripe(database_url: str, stripe_url: str, log: Path) -> Iterator[Reference]:
    """Two workers of gunicorn, as its manual begins."""
    environment = _environment(database_url, stripe_url)
    prepared = subprocess.run(
        [str(_PYTHON), "dj_wsgi.py"],
        cwd=_SOURCES,
        env={**os.environ, **environment, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if prepared.returncode:
        raise RuntimeError(prepared.stderr[-2_000:])
    endpoint = prepared.stdout.split()[-1]
    gunicorn = [str(_PYTHON), "-m", "gunicorn", "-w", "2", "--no-control-socket"]
    with _serving([*gunicorn, "-b", "{}", "dj_wsgi:application"], environment, log) as (url, told):
        yield Reference(url, f"/stripe/webhook/{endpoint}/", told)


@contextlib.contextmanager
def stripe_sync_engine(database_url: str, stripe_url: str, log: Path) -> Iterator[Reference]:
    environment = {
        **_environment(database_url, stripe_url),
        "NODE_PATH": str(_CACHE / "node_modules"),
        "NODE_ENV": "production",
    }
    with _serving(["node", "stripe_sync.cjs"], environment, log) as (url, told):
        yield Reference(url, "/webhooks", told)


@contextlib.contextmanager
def ordinary_handler(database_url: str, stripe_url: str, log: Path) -> Iterator[Reference]:
    """One process, as the service has one."""
    environment = {
        **_environment(database_url, stripe_url),
        "JWT_PUBLIC_KEY": issuer.public_key(),
        "JWT_ISSUER": issuer.ISSUER,
    }
    subprocess.run(
        [str(_PYTHON), "ordinary.py"],
        cwd=_SOURCES,
        env={**os.environ, **environment, "PYTHONPATH": ""},
        check=True,
    )
    uvicorn = [str(_PYTHON), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools"]
    uvicorn += ["--no-access-log", "--port", "{port}", "ordinary:app"]
    with _serving(uvicorn, environment, log) as (url, told):
        yield Reference(url, "", told)


def _environment(database_url: str, stripe_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": stripe_url,
        "PYTHONPATH": "",
    }


@contextlib.contextmanager
def _serving(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[tuple[str, Started]]:
    """``{}`` in the command stands for host and port, ``{port}`` for the port."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    words = [word.replace("{port}", str(port)).replace("{}", address) for word in command]
    with started(words, log, {**environment, "PORT": str(port)}, cwd=_SOURCES) as process:
        process.wait_for(f"http://{address}/health")
        yield f"http://{address}", process
