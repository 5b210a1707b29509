"""What in a stream's rows disagrees with what the core says they must be. Pure: rows in, words out.

Each fault names its row. Which rows to look at, and how to read them, is each store's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadcall_payments.commit import State, decode_state
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import Head
from roadcall_payments.stores.rows import PAYMENT_COLUMNS, payment_row

OWNERS = {
    "journal": "stream",
    "postings": "stream",
    "payments": "'payment/' || id",
    "refs": "stream",
    "texts": "stream",
}
"""Tables and what names the stream that each row belongs to, in SQL."""


def orphan_fault(table: str, stream: str) -> str:
    return f"{table} {stream}: belongs to a stream that has no row in streams"


def journal_end_faults(stream: str, head: Head, end: Head, strays: int) -> list[str]:
    """``end``: the last entry found (seq 0: none); ``strays``: postings of no entry."""
    faults = []
    if end.seq != head.seq or (end.seq and end.hash != head.hash):
        faults.append(f"streams {stream}: head is {head.seq}, the journal ends at {end.seq}")
    if strays:
        faults.append(f"postings {stream}: {strays} belong to no entry")
    return faults


def outbox_faults(stream: str, head_seq: int, published_seq: int | None) -> list[str]:
    """``published_seq``: None where the stream is not listed, as all of it is out."""
    if published_seq is None or 0 <= published_seq <= head_seq:
        return []
    return [f"work outbox {stream}: published up to {published_seq}, the stream ends at {head_seq}"]


def readable_state(stream: str, encoded: bytes) -> tuple[State | None, list[str]]:
    try:
        return decode_state(stream, encoded), []
    except (msgspec.ValidationError, msgspec.DecodeError, KeyError) as error:
        return None, [f"streams {stream}: the state cannot be read: {error}"]


def projection_faults(
    stream: str, state: State | None, stored: Sequence[object] | None
) -> list[str]:
    """``stored``: the stream's row in payments, in the order of PAYMENT_COLUMNS."""
    if not isinstance(state, Payment):
        return []
    if stored is None:
        return [f"payments {stream}: the row is missing"]
    columns = PAYMENT_COLUMNS.split(", ")
    return [
        f"payments {stream}: {column} is {found!r}, the state says {said!r}"
        for column, found, said in zip(columns, stored, payment_row(state), strict=True)
        if found != said
    ]
