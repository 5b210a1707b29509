"""The import rule and the house rules of the code, on every file of src/ and tests/.

The rules are in `tests/architecture/`; each is also run here on planted breaches, so that a rule
that has gone blind fails.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import code_rules, layers
from tests.architecture.allowlist import BY_RULE, Allowed
from tests.architecture.source import OUR_PACKAGES, Source, Violation
from tests.external_tools import require_tool

ROOT = Path(__file__).parent.parent

RULES: list[Callable[[Source], Iterator[Violation]]] = [
    layers.check_layers,
    layers.check_core_imports,
    code_rules.check_size,
    code_rules.check_names,
    code_rules.check_floats,
    code_rules.check_clock_and_randomness,
    code_rules.check_broad_excepts,
    code_rules.check_silenced_checks,
]

# Spelt in two halves, or this file would name them.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "yarn" + "pkg.com",
    "debian" + ".org",
    "crates" + ".io",
    "golang" + ".org",
    "maven" + ".org",
    "rubygems" + ".org",
    "docker" + ".io",
    "gh" + "cr.io",
    "brew" + ".sh",
    "ana" + "conda.org",
]


def sources() -> list[Source]:
    """Every Python file of the product and its tests."""
    return [
        Source.read(ROOT, file)
        for folder in ("src", "tests")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ]


def breaches(files: list[Source]) -> list[Violation]:
    """All that the rules find, whether allowed or not."""
    return sorted({found for source in files for rule in RULES for found in rule(source)})


def judge(found: list[Violation], allowed: dict[str, list[Allowed]]) -> list[str]:
    """The breaches that nothing allows, and the permissions that allow nothing."""
    entries = {
        (rule, entry.path, entry.function): entry
        for rule, listed in allowed.items()
        for entry in listed
    }
    keys = {(one.rule, one.path, one.function) for one in found}
    bare = [str(one) for one in found if (one.rule, one.path, one.function) not in entries]
    stale = [
        f"{path}: [{rule}] {function or 'the file'} is allowed a breach it no longer has. "
        "Remove its entry from tests/architecture/allowlist.py."
        for (rule, path, function) in sorted(entries.keys() - keys)
    ]
    return bare + stale


def registry_addresses(path: str, text: str) -> list[str]:
    """Where the text names a package registry's host, subdomains included."""
    hosts = re.compile("|".join(rf"\b{re.escape(host)}\b" for host in REGISTRY_HOSTS))
    return [
        f"{path}:{number}: names the package registry {match[0]}. "
        "Name the package alone; each machine has its own way to the registry."
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := hosts.search(line))
    ]


def test_the_code_keeps_the_house_rules() -> None:
    files = sources()
    assert {source.package for source in files} >= {*OUR_PACKAGES, "tests"}
    problems = judge(breaches(files), BY_RULE)
    assert not problems, "\n" + "\n".join(problems)


def test_every_permission_has_a_reason() -> None:
    for listed in BY_RULE.values():
        for entry in listed:
            assert len(entry.reason.split()) >= 3, f"{entry} needs a reason"


def test_no_file_names_a_package_registry() -> None:
    git = require_tool("git")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert ROOT / "pyproject.toml" in files
    problems = [
        problem
        for file in files
        if file.is_file()
        for problem in registry_addresses(
            file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8", errors="replace")
        )
    ]
    assert not problems, "\n" + "\n".join(problems)


SERVICE = "src/roadcall_payments"
SILENCE = "# type" + ": ignore"  # in two halves, or the rule would read this line
NOQA = "# no" + "qa"

# path, text, and the line and rule that must be reported
PLANTED: list[tuple[str, str, int, str]] = [
    (f"{SERVICE}/domain/a.py", "from roadcall_payments.ledger import b", 1, "import rule"),
    (f"{SERVICE}/domain/a.py", "from roadcall_payments import ports", 1, "import rule"),
    (f"{SERVICE}/domain/a.py", "from ..journal import Entry", 1, "import rule"),
    (f"{SERVICE}/domain/__init__.py", "from .. import journal", 1, "import rule"),
    (f"{SERVICE}/ledger/a.py", "import roadcall_payments.commit", 1, "import rule"),
    (f"{SERVICE}/ledger/a.py", "import roadcall_payments.journal", 1, "import rule"),
    (f"{SERVICE}/commit.py", "def f():\n    import roadcall_payments.ports", 2, "import rule"),
    (f"{SERVICE}/ports.py", "from roadcall_payments.workflows import a", 1, "import rule"),
    (f"{SERVICE}/workflows/a.py", "from roadcall_payments.stores import b", 1, "import rule"),
    (f"{SERVICE}/workflows/a.py", "from roadcall_payments.api import b", 1, "import rule"),
    (f"{SERVICE}/stores/a.py", "from roadcall_payments.workflows import b", 1, "import rule"),
    (f"{SERVICE}/stores/a.py", "from roadcall_payments.aws import b", 1, "import rule"),
    (f"{SERVICE}/api/payments.py", "from roadcall_payments.stores import b", 1, "import rule"),
    (f"{SERVICE}/api/payments.py", "import roadcall_payments.bootstrap", 1, "import rule"),
    (f"{SERVICE}/worker.py", "import roadcall_payments.stripe_gateway", 1, "import rule"),
    (f"{SERVICE}/config.py", "import roadcall_payments.telemetry", 1, "import rule"),
    (f"{SERVICE}/telemetry.py", "import roadcall_payments.domain", 1, "import rule"),
    (f"{SERVICE}/attic.py", "import roadcall_payments.domain", 1, "import rule"),
    (f"{SERVICE}/worker.py", "import_module('roadcall_payments.aws')", 1, "import rule"),
    (f"{SERVICE}/workflows/a.py", "import stripe", 1, "import rule"),
    (f"{SERVICE}/bootstrap.py", "import stripe_sandbox", 1, "import rule"),
    ("src/stripe_sandbox/a.py", "from roadcall_payments.domain import b", 1, "import rule"),
    (f"{SERVICE}/domain/a.py", "import random", 1, "pure core"),
    (f"{SERVICE}/domain/a.py", "from time import monotonic", 1, "pure core"),
    (f"{SERVICE}/domain/a.py", "import os.path", 1, "pure core"),
    (f"{SERVICE}/domain/a.py", "from pydantic import BaseModel", 1, "pure core"),
    (f"{SERVICE}/ledger/a.py", "import asyncio", 1, "pure core"),
    (f"{SERVICE}/journal.py", "import socket", 1, "pure core"),
    (f"{SERVICE}/domain/a.py", "x = datetime.now(UTC)", 1, "no clock"),
    (f"{SERVICE}/domain/a.py", "\nread = datetime.utcnow", 2, "no clock"),
    (f"{SERVICE}/commit.py", "x = uuid.uuid4()", 1, "no clock"),
    (f"{SERVICE}/domain/a.py", "x = float('1')", 1, "no floats"),
    (f"{SERVICE}/domain/a.py", "def f(rate: int | float) -> None: ...", 1, "no floats"),
    (f"{SERVICE}/ledger/a.py", "\nx = -0.7", 2, "no floats"),
    (f"{SERVICE}/domain/utils.py", "", 1, "vague name"),
    ("src/stripe_sandbox/common/a.py", "", 1, "vague name"),
    ("tests/helpers.py", "", 1, "vague name"),
    (f"{SERVICE}/stores/a.py", "\nclass ConnectionManager: ...", 2, "vague name"),
    (f"{SERVICE}/stores/a.py", "async def fetch_helper(): ...", 1, "vague name"),
    (f"{SERVICE}/api/a.py", "\n" * 401, 401, "file length"),
    ("tests/test_a.py", "\ndef f():\n" + "    x = 1\n" * 70, 2, "function length"),
    (f"{SERVICE}/api/a.py", "try: ...\nexcept: ...", 2, "broad except"),
    (f"{SERVICE}/api/a.py", "try: ...\nexcept Exception as e: ...", 2, "broad except"),
    (f"{SERVICE}/api/a.py", "try: ...\nexcept (OSError, BaseException): ...", 2, "broad except"),
    (f"{SERVICE}/api/a.py", "try: ...\nexcept* builtins.Exception: ...", 2, "broad except"),
    (f"{SERVICE}/api/a.py", "with suppress(Exception): ...", 1, "broad except"),
    (f"{SERVICE}/api/a.py", f"x = 1  {SILENCE}", 1, "silenced check"),
    (f"{SERVICE}/api/a.py", f"x = 1  {SILENCE}[arg-type]", 1, "silenced check"),
    ("tests/test_a.py", f"x = 1  {NOQA}", 1, "silenced check"),
    ("tests/test_a.py", f"x = 1  {NOQA}: E501", 1, "silenced check"),
    ("tests/test_a.py", f"x = 1  {SILENCE}[misc]  {NOQA}: E501", 1, "silenced check"),
]


@pytest.mark.parametrize(("path", "text", "line", "rule"), PLANTED)
def test_a_planted_breach_is_reported(path: str, text: str, line: int, rule: str) -> None:
    found = breaches([Source(path, text)])
    assert [(one.line, one.rule) for one in found] == [(line, rule)]
    assert judge(found, {})[0].startswith(f"{path}:{line}: [{rule}]")


SOUND: list[tuple[str, str]] = [
    (f"{SERVICE}/domain/a.py", "from datetime import datetime\nfrom uuid import UUID"),
    (f"{SERVICE}/domain/a.py", "from roadcall_payments.domain.money import Money"),
    (f"{SERVICE}/ledger/a.py", "from roadcall_payments.domain import money"),
    (f"{SERVICE}/ports.py", "from roadcall_payments.commit import Commit"),
    (f"{SERVICE}/workflows/a.py", "from roadcall_payments import ports"),
    (f"{SERVICE}/stores/a.py", "import sqlite3\nfrom roadcall_payments import ports, telemetry"),
    (f"{SERVICE}/stripe_gateway/a.py", "import stripe"),
    (f"{SERVICE}/api/a.py", "from roadcall_payments.workflows import payments"),
    (f"{SERVICE}/api/app.py", "from roadcall_payments import bootstrap"),
    (f"{SERVICE}/cli/serve.py", "from roadcall_payments import api, bootstrap, worker"),
    (f"{SERVICE}/bootstrap.py", "from roadcall_payments import api, stores, worker"),
    (f"{SERVICE}/worker.py", "from roadcall_payments.workflows import outbox_relay"),
    (f"{SERVICE}/api/limits.py", "rate = 0.5\nlast = clock.now()"),
    (f"{SERVICE}/api/a.py", "from contextlib import asynccontextmanager"),
    (f"{SERVICE}/api/a.py", "try: ...\nexcept (OSError, TimeoutError): ..."),
    (f"{SERVICE}/api/a.py", f"x = 1  {SILENCE}[misc]  # its stubs know no overload"),
    (f"{SERVICE}/api/a.py", f"x = 1  {NOQA}: S608  # the table's name is ours"),
    (f"{SERVICE}/api/a.py", "\n" * 400),
    ("tests/test_a.py", "def f():\n" + "    x = 1\n" * 69),
]


@pytest.mark.parametrize(("path", "text"), SOUND)
def test_sound_code_is_left_alone(path: str, text: str) -> None:
    assert breaches([Source(path, text)]) == []


def test_a_permission_covers_its_function_alone_and_must_be_used() -> None:
    text = "def a():\n    try: ...\n    except Exception: ...\n\ndef b():\n" + (
        "    try: ...\n    except Exception: ...\n"
    )
    found = breaches([Source(f"{SERVICE}/worker.py", text)])
    entries = [
        Allowed(f"{SERVICE}/worker.py", "a", "one item of the batch"),
        Allowed(f"{SERVICE}/worker.py", "gone", "one item of the batch"),
    ]
    problems = judge(found, {"broad except": entries})
    assert [problem.split(" ")[0] for problem in problems] == [
        f"{SERVICE}/worker.py:7:",
        f"{SERVICE}/worker.py:",
    ]
    assert "b catches everything" in problems[0]
    assert "gone is allowed a breach it no longer has" in problems[1]


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_a_planted_registry_address_is_reported(host: str) -> None:
    assert registry_addresses("a.lock", f"ok\n--index-url https://files.{host}/simple") != []
    assert registry_addresses("a.lock", f"the {host.split('.')[0]} package") == []
