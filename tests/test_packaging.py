"""pyproject.toml, the lock files, the dependency page and the Makefile tell the same story."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from tests.external_tools import require_tool

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EVERYTHING = RUNTIME + [Requirement(line) for line in PROJECT["dependency-groups"]["dev"]]


def locked(name: str) -> dict[str, list[Requirement]]:
    """The lock's entries by package; a package has several where platforms differ."""
    entries: dict[str, list[Requirement]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            entry = Requirement(line.removesuffix("\\").strip())
            entries.setdefault(entry.name, []).append(entry)
    return entries


def applies(marker: Marker | None, machine: dict[str, str]) -> bool:
    return marker is None or marker.evaluate({**machine})


MACHINES = [
    {"sys_platform": system, "platform_machine": processor, "python_version": python}
    for system, processor in [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "x86_64"),
        ("darwin", "arm64"),
    ]
    for python in ("3.11", "3.14")
]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
@pytest.mark.parametrize(
    ("lock", "asked"),
    [("requirements.lock", RUNTIME), ("requirements-dev.lock", EVERYTHING)],
    ids=["runtime", "dev"],
)
def test_the_lock_serves_what_is_asked(
    lock: str, asked: list[Requirement], machine: dict[str, str]
) -> None:
    entries = locked(lock)
    for requirement in asked:
        if not applies(requirement.marker, machine):
            continue
        versions = [
            Version(str(entry.specifier).removeprefix("=="))
            for entry in entries.get(requirement.name, [])
            if applies(entry.marker, machine)
        ]
        assert len(versions) == 1, f"{requirement}: {versions} in {lock}; run make lock"
        assert versions[0] in requirement.specifier, f"{requirement} in {lock}; run make lock"


def test_the_development_lock_holds_the_runtime_lock() -> None:
    runtime, everything = locked("requirements.lock"), locked("requirements-dev.lock")
    different = {name for name in runtime if runtime[name] != everything.get(name)}
    assert not different, "run make lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_version_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=\w)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    bare = [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert len(entries) > len(EVERYTHING) / 2
    assert not bare


def test_the_dependency_page_lists_each_library_once() -> None:
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([a-z][\w-]*) \|", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted({requirement.name for requirement in EVERYTHING})


def test_each_make_target_is_explained_and_can_run() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (\S+)$", text, flags=re.MULTILINE)
    explained = re.findall(r"^([\w-]+):.*## \S", text, flags=re.MULTILINE)
    assert phony == explained
    help_text = subprocess.run(
        [require_tool("make")], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^  make (\S+)", help_text, flags=re.MULTILINE) == phony
