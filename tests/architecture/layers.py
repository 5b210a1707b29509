"""The import rule: which room of `src/roadcall_payments` may import which.

`domain <- ledger, journal <- commit <- ports <- workflows <- {api, console, cli, lambdas}`;
adapters import ports and inward; only `bootstrap` and `bootstrap_database` join the two sides. A
new room is added to `MAY_IMPORT`, with a decision page when it changes the shape.
"""

import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.architecture.source import Import, Source, Violation

_CORE = {"domain", "ledger", "journal", "checkpoint", "commit"}
_PORTS = _CORE | {"ports"}
_EDGE = _PORTS | {"workflows", "telemetry", "config"}
_ADAPTER = _PORTS | {"telemetry"}

ADAPTERS = ("stripe_gateway", "stores", "checkpoint_files", "aws", "notifications")

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "domain": set(),
    "ledger": {"domain"},
    "journal": {"domain", "ledger"},  # an entry's hash covers its postings' digest (M29)
    "checkpoint": {"domain", "journal"},
    "sparse_json": {"domain"},
    "commit": {"domain", "ledger", "journal", "sparse_json"},
    "ports": _CORE,
    "workflows": _PORTS,
    **dict.fromkeys(ADAPTERS, _ADAPTER),
    "checkpoint_files": _ADAPTER | {"private_key_file"},
    "api": _EDGE | {"private_key_file"},
    "private_key_file": set(),
    "console": _EDGE,
    # These start processes: they take the wired parts from bootstrap.
    "cli": _EDGE | {"bootstrap", "bootstrap_database", "api", "worker"},
    "lambdas": _EDGE | {"bootstrap", "api"},
    "worker": _EDGE | {"bootstrap"},
    "measures": _PORTS | {"workflows", "telemetry"},
    "tracing": _PORTS | {"telemetry"},
    "config": {
        "domain",
        "approval_bands",
        "database_url",
        "payout_settings",
        "settlement_settings",
    },
    "payout_settings": {"domain", "approval_bands"},
    "settlement_settings": {"domain", "approval_bands"},
    "approval_bands": {"domain"},
    "database_url": set(),
    "telemetry": set(),
    "clock": _PORTS,
    "event_bus": _PORTS,
}

EVERYTHING = ("bootstrap", "bootstrap_database")  # the composition root may import every room

# Of `api`, only the file that a server process starts from may reach for the wired parts.
API_ENTRY_FILES = ("__main__", "app", "asgi", "main", "server")

VENDOR_ROOMS = {"stripe": "stripe_gateway"}  # no vendor's type goes further in than its adapter

_IMPURE = frozenset(
    "asyncio concurrent http logging multiprocessing os pathlib random secrets select selectors "
    "shutil socket sqlite3 ssl subprocess tempfile threading time urllib".split()
)
_STDLIB_ONLY = {"domain", "ledger"}


def check_layers(source: Source) -> Iterator[Violation]:
    """Imports between the rooms of the service, and between the two packages."""
    if not source.is_product:
        return
    for found in source.imports():
        problem, mend = _judge(source, found)
        if problem:
            yield Violation(source.path, found.line, "import rule", problem, mend)


def check_core_imports(source: Source) -> Iterator[Violation]:
    """The core decides; it does no I/O, reads no clock and draws no random number."""
    if source.package != "roadcall_payments" or source.unit not in _CORE:
        return
    for found in source.imports():
        if found.root in _IMPURE:
            yield Violation(
                source.path,
                found.line,
                "pure core",
                f"{source.unit} imports {found.root}: I/O, clock or randomness",
                "Take the value as an argument; the caller at the edge reads it through a port.",
            )
        elif (
            source.unit in _STDLIB_ONLY
            and found.root != source.package
            and found.root not in sys.stdlib_module_names
        ):
            yield Violation(
                source.path,
                found.line,
                "pure core",
                f"{source.unit} imports {found.root}, which is not the standard library",
                "Keep libraries in adapters or at the edge, behind a port.",
            )


def _judge(source: Source, found: Import) -> tuple[str, str]:
    """The problem and how to mend it; ("", "") where the import is allowed."""
    other = {"roadcall_payments": "stripe_sandbox", "stripe_sandbox": "roadcall_payments"}
    if found.root == other.get(source.package):
        return (
            f"{source.package} imports {found.root}",
            "They speak over HTTP only, or both would share one misunderstanding of Stripe.",
        )
    if source.package != "roadcall_payments":
        return "", ""
    room = VENDOR_ROOMS.get(found.root)
    if room and source.unit != room:
        return (
            f"{source.unit} imports the vendor's package {found.root}",
            f"Only {room} may; let it translate the vendor's objects to ours.",
        )
    if found.root != source.package or source.unit in EVERYTHING:
        return "", ""
    return _judge_room(source, found)


def _judge_room(source: Source, found: Import) -> tuple[str, str]:
    parts = found.name.split(".")
    target = parts[1] if len(parts) > 1 else "__init__"
    if source.unit not in MAY_IMPORT:
        return (
            f"the room {source.unit} stands in no line of the import rule",
            "Move the code to a room of the design, or add the room to MAY_IMPORT in "
            "tests/architecture/layers.py with its reason in docs/decisions/.",
        )
    allowed = MAY_IMPORT[source.unit] | {source.unit}
    if source.unit == "api" and PurePosixPath(source.path).stem in API_ENTRY_FILES:
        allowed = allowed | {"bootstrap"}
    if target in allowed or (target not in MAY_IMPORT and target not in EVERYTHING):
        return "", ""
    names = ", ".join(sorted(MAY_IMPORT[source.unit])) or "nothing of ours"
    return (
        f"{source.unit} imports {target}",
        f"It may import {names}. Put a port in between, or move the code to the room it needs.",
    )
