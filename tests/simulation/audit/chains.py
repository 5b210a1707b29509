"""Each stream's chain, recomputed with a canonicaliser that is not the service's (M29)."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import rfc8785

from roadcall_payments.journal import JournalEntry
from tests.simulation.audit.chart import Posted, UnknownFact, expected_postings
from tests.simulation.audit.journal_facts import Fact
from tests.simulation.audit.violations import Violation

GENESIS = "0" * 64
# Most facts post nothing.
NO_POSTINGS = hashlib.sha256(b"[]").hexdigest()
# The package takes 0.3 ms an entry: it judges the streams whose head's hash begins so, one in
# sixteen.
JUDGED_BY_THE_PACKAGE = "0"


Content = Mapping[str, Any] | Sequence[Mapping[str, str | int]]  # facts of any shape
"""What is hashed: an entry, or its postings."""


Canonical = Callable[[Content], bytes]


_sorted = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sorted_form(content: Content) -> bytes:
    """RFC 8785 for content without floats and with ASCII keys, as facts are: by the standard
    library, forty times as fast."""
    return _sorted.encode(content).encode()


def canonical_of(digest: str) -> Canonical:
    return rfc8785.dumps if digest.startswith(JUDGED_BY_THE_PACKAGE) else sorted_form


def audit_chain(
    stream: str, entries: Sequence[JournalEntry], head: tuple[int, str], canonical: Canonical
) -> Iterator[Violation]:
    """Numbers without a gap, each hash over its own content and the one before, and a head that
    is the last one's."""
    before = GENESIS
    for place, entry in enumerate(entries, start=1):
        if entry.seq != place or entry.stream != stream:
            yield Violation("M27", stream, f"seq {entry.seq} stands where {place} should")
        if entry.prev_hash != before:
            yield Violation("M29", stream, f"seq {entry.seq} does not follow the one before it")
        if _hash(entry, canonical) != entry.hash:
            yield Violation("M29", stream, f"seq {entry.seq} is not what its hash was made of")
        if b"_secret_" in entry.data:
            yield Violation("M33", stream, f"seq {entry.seq} holds a client secret")
        before = entry.hash
    if head != (len(entries), before):
        yield Violation("M29", stream, f"its head is at seq {head[0]}, its journal elsewhere")


def _hash(entry: JournalEntry, canonical: Canonical) -> str:
    lines: Content = [
        {
            "book": line.book,
            "account": line.account,
            "currency": line.currency,
            "amount_cents": line.amount_cents,
        }
        for line in entry.postings
    ]
    content: Content = {
        "stream": entry.stream,
        "seq": entry.seq,
        "event_id": entry.event_id,
        "type": entry.type,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        "actor": entry.actor,
        "data": json.loads(entry.data),
        "rules_version": entry.rules_version,
        "postings": hashlib.sha256(canonical(lines)).hexdigest() if lines else NO_POSTINGS,
        "prev_hash": entry.prev_hash,
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def audit_postings(entry: JournalEntry, fact: Fact) -> Iterator[Violation]:
    """They sum to zero per book and currency, and are those that the auditor's own chart gives."""
    where = f"seq {entry.seq}, {entry.type}"
    stored = [
        (line.book, line.account, line.currency, line.amount_cents) for line in entry.postings
    ]
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for book, _, currency, cents in stored:
        sums[book, currency] += cents
    for (book, currency), off in sums.items():
        if off:
            yield Violation("books", entry.stream, f"{where}: {book} is off by {off} {currency}")
    try:
        expected = expected_postings(fact)
    except UnknownFact:
        yield Violation("books", entry.stream, f"{where}: the auditor's chart has no such fact")
        return
    if _summed(expected) != _summed(stored):
        yield Violation("books", entry.stream, f"{where}: posted {stored}, expected {expected}")


def _summed(lines: Sequence[Posted]) -> dict[tuple[str, str, str], int]:
    """An account may have several lines of one fact."""
    sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for book, account, currency, cents in lines:
        sums[book, account, currency] += cents
    return {key: cents for key, cents in sums.items() if cents}
