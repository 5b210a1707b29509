"""What a checkpoint is: a statement over stream heads, to be signed and kept elsewhere (M30).

A stream's hash chain shows a change in its middle; it cannot show that the whole stream is gone,
or that somebody with the database in their hands wrote it anew with fitting hashes. A checkpoint
can. It names each stream that changed since the checkpoint before, with its last sequence number
and hash; a Merkle root stands for them all in the statement, which names the hash of the
checkpoint before. Pure: who signs and who keeps it is behind ports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.journal import GENESIS, Head, instant

HEADS_MAX = 10_000
"""Heads of one checkpoint (M28); where more have changed, several are made in a row."""

# Apart from each other, no leaf can be passed off as a node, and no statement as anything else.
_LEAF, _NODE = b"\x00", b"\x01"
_STATEMENT = b"roadcall-payments checkpoint 1\n"
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"

_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where a stream stood."""

    stream: str
    head: Head


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed. ``number`` counts from 1; ``previous`` is the hash of the checkpoint before
    (zeros for the first); ``root`` is the Merkle root over ``size`` heads. ``restart``: the
    database was restored before it, so what earlier ones say of its streams holds no more."""

    number: int
    at: datetime
    previous: str
    size: int
    root: str
    restart: bool = False


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it is kept; ``heads`` are in the order of their streams' names."""

    checkpoint: Checkpoint
    heads: tuple[StreamHead, ...]
    signature: bytes


# What every JSON reader takes for the same number (RFC 8785).
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class _Statement(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    # In alphabetical order, as RFC 8785 sorts them; so below.
    at: str
    number: _Count
    previous: str
    restart: bool = False
    root: str
    size: _Count


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    checkpoint: _Statement
    heads: list[tuple[str, _Count, str]]
    signature: str


_documents = msgspec.json.Decoder(_Document)


def draw_up(
    last: Checkpoint | None, at: datetime, heads: Sequence[StreamHead], *, restart: bool = False
) -> tuple[Checkpoint, tuple[StreamHead, ...]]:
    """The checkpoint that follows ``last``, and its heads in their order.

    Raises BrokenInvariant for no heads, too many, or a stream that is named twice.
    """
    ordered = tuple(sorted(heads, key=lambda one: one.stream))
    if not 1 <= len(ordered) <= HEADS_MAX:
        raise BrokenInvariant(f"A checkpoint has 1 to {HEADS_MAX} heads, not {len(ordered)} (M28).")
    if len({one.stream for one in ordered}) != len(ordered):
        raise BrokenInvariant("A checkpoint names a stream once.")
    checkpoint = Checkpoint(
        number=1 if last is None else last.number + 1,
        at=at,
        previous=GENESIS if last is None else checkpoint_hash(last),
        size=len(ordered),
        root=root_of(ordered),
        restart=restart,
    )
    return checkpoint, ordered


def root_of(heads: Iterable[StreamHead]) -> str:
    """Hex Merkle root over ``heads`` in the given order."""
    return merkle_root(_json.encode(_row(one)) for one in heads).hex()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of RFC 9162, 2.1.1, with SHA-256.

    An odd subtree is carried up as it is, never doubled: with doubling, two lists of leaves could
    share a root (CVE-2012-2459). Raises BrokenInvariant without leaves.
    """
    # Roots of complete subtrees, larger ones first, each with its number of leaves.
    subtrees: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, digest = 1, hashlib.sha256(_LEAF + leaf).digest()
        while subtrees and subtrees[-1][0] == size:
            digest = _join(subtrees.pop()[1], digest)
            size *= 2
        subtrees.append((size, digest))
    if not subtrees:
        raise BrokenInvariant("A Merkle tree has at least one leaf.")
    _, root = subtrees.pop()
    while subtrees:
        root = _join(subtrees.pop()[1], root)
    return root


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def statement(checkpoint: Checkpoint) -> bytes:
    """The bytes that are signed: canonical JSON (RFC 8785) behind a line that says what it is."""
    return _STATEMENT + _json.encode(_statement(checkpoint))


def checkpoint_hash(checkpoint: Checkpoint) -> str:
    """What the next checkpoint names as its ``previous``: hex SHA-256 of the statement."""
    return hashlib.sha256(statement(checkpoint)).hexdigest()


def encode_checkpoint(signed: SignedCheckpoint) -> bytes:
    """Canonical JSON: a checkpoint has one spelling."""
    document = _Document(
        checkpoint=_statement(signed.checkpoint),
        heads=[_row(one) for one in signed.heads],
        signature=signed.signature.hex(),
    )
    return _json.encode(document)


def decode_checkpoint(data: bytes) -> SignedCheckpoint:
    """The checkpoint back from its document; whether the signature holds is for the key to say.

    Raises ValueError when it is not, byte for byte, what ``encode_checkpoint`` makes of a
    checkpoint whose heads give its root.
    """
    document = _documents.decode(data)  # its errors are ValueErrors
    signed = SignedCheckpoint(
        Checkpoint(
            number=document.checkpoint.number,
            at=datetime.strptime(document.checkpoint.at, _INSTANT).replace(tzinfo=UTC),
            previous=document.checkpoint.previous,
            size=document.checkpoint.size,
            root=document.checkpoint.root,
            restart=document.checkpoint.restart,
        ),
        tuple(StreamHead(stream, Head(seq, digest)) for stream, seq, digest in document.heads),
        bytes.fromhex(document.signature),
    )
    if encode_checkpoint(signed) != data:
        raise ValueError("it is not spelt as checkpoints are")
    size, root = signed.checkpoint.size, signed.checkpoint.root
    if len(signed.heads) != size or not signed.heads or root_of(signed.heads) != root:
        raise ValueError("its heads do not give its root")
    return signed


def _row(one: StreamHead) -> tuple[str, int, str]:
    return one.stream, one.head.seq, one.head.hash


def _statement(checkpoint: Checkpoint) -> _Statement:
    return _Statement(
        at=instant(checkpoint.at),
        number=checkpoint.number,
        previous=checkpoint.previous,
        restart=checkpoint.restart,
        root=checkpoint.root,
        size=checkpoint.size,
    )
