"""The record of facts: entry, sequence, hash chain (M27, M29).

An entry's hash is SHA-256 over canonical JSON (RFC 8785) of everything but its position, with the
digest of its postings and the version of the posting rules that made them. Hashes chain within a
stream, so an entry that was changed, or taken out of the middle, shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import UnionType
from typing import get_args

import msgspec

from roadcall_payments.domain import events
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import Fact
from roadcall_payments.ledger.posting_rules import RULES_VERSION, Posting, postings

GENESIS = "0" * 64

_canonical = msgspec.json.Encoder(order="sorted")
_unordered = msgspec.json.Encoder()


def _members(union: UnionType) -> dict[str, type[Fact]]:
    return {member.__name__: member for member in get_args(union)}


_FACTS = _members(events.Fact)
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in _FACTS.items()}


class JournalEntry(msgspec.Struct, frozen=True):
    """One fact in its place. ``data`` is the fact's canonical JSON, kept byte for byte."""

    stream: str
    seq: int
    event_id: str
    type: str
    at: datetime
    actor: str
    data: bytes
    rules_version: int
    postings: tuple[Posting, ...]
    prev_hash: str
    hash: str

    @property
    def fact(self) -> Fact:
        return decode_fact(self.type, self.data)


class Head(msgspec.Struct, frozen=True):
    """Where a stream stands: its last sequence number (0: empty) and hash."""

    seq: int = 0
    hash: str = GENESIS


EMPTY = Head()


class _Hashed(msgspec.Struct):
    # In alphabetical order, as RFC 8785 sorts them; ``data`` is canonical already.
    actor: str
    at: str
    data: msgspec.Raw
    event_id: str
    postings: str
    prev_hash: str
    rules_version: int
    seq: int
    stream: str
    type: str


def encode_fact(fact: Fact) -> bytes:
    """Canonical JSON of a fact: sorted keys, no spaces; facts hold no floats."""
    return _canonical.encode(fact)


def decode_fact(type_name: str, data: bytes) -> Fact:
    """The fact back from the journal. Raises BrokenInvariant for a type this version lacks."""
    decoder = _DECODERS.get(type_name)
    if decoder is None:
        raise BrokenInvariant(f"The journal holds a {type_name}, which this version cannot read.")
    return decoder.decode(data)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the one spelling that goes into a hash."""
    # msgspec's takes a fifth of isoformat's time, once for every entry; it leaves out zeros alone.
    text: str = msgspec.to_builtins(at.astimezone(UTC))
    return text if at.microsecond else f"{text.removesuffix('Z')}.000000Z"


def entry_hash(entry: JournalEntry) -> str:
    """What the entry's hash should be: recomputed by ``verify``."""
    lines = _canonical.encode(entry.postings) if entry.postings else b"[]"
    body = _Hashed(
        actor=entry.actor,
        at=instant(entry.at),
        data=msgspec.Raw(entry.data),
        event_id=entry.event_id,
        postings=hashlib.sha256(lines).hexdigest(),
        prev_hash=entry.prev_hash,
        rules_version=entry.rules_version,
        seq=entry.seq,
        stream=entry.stream,
        type=entry.type,
    )
    return hashlib.sha256(_unordered.encode(body)).hexdigest()


def seal(
    stream: str,
    head: Head,
    facts: Sequence[Fact],
    *,
    at: datetime,
    actor: str,
    event_ids: Iterable[str],
) -> tuple[JournalEntry, ...]:
    """Put ``facts`` behind ``head``: numbered, posted and chained. Pure.

    Raises BrokenInvariant when a fact's postings do not balance.
    """
    entries: list[JournalEntry] = []
    seq, prev = head.seq, head.hash
    for fact, event_id in zip(facts, event_ids, strict=True):
        seq += 1
        entry = JournalEntry(
            stream=stream,
            seq=seq,
            event_id=event_id,
            type=type(fact).__name__,
            at=at,
            actor=actor,
            data=encode_fact(fact),
            rules_version=RULES_VERSION,
            postings=postings(fact),
            prev_hash=prev,
            hash="",
        )
        prev = entry_hash(entry)
        entries.append(_with_hash(entry, prev))
    return tuple(entries)


def _with_hash(entry: JournalEntry, digest: str) -> JournalEntry:
    # It was made here, and nobody else has seen it yet: a second one is not worth its making.
    msgspec.structs.force_setattr(entry, "hash", digest)
    return entry


def chain_breaks(entries: Sequence[JournalEntry], head: Head = EMPTY) -> list[str]:
    """What is wrong with a stream's entries, in words; empty when the chain is whole."""
    faults: list[str] = []
    for entry in entries:
        where = f"{entry.stream} seq {entry.seq}"
        if entry.seq != head.seq + 1:
            faults.append(f"{where}: expected seq {head.seq + 1}")
        if entry.prev_hash != head.hash:
            faults.append(f"{where}: does not follow the entry before it")
        if entry.hash != entry_hash(entry):
            faults.append(f"{where}: its content does not match its hash")
        head = Head(entry.seq, entry.hash)
    return faults
