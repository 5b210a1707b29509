"""A commit's larger rows, encoded before it waits for its batch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadcall_payments.commit import Commit, StreamWrite, encode_state, stream_kind
from roadcall_payments.domain.payment import Payment
from roadcall_payments.stores.rows import Row, journal_row, payment_row, posting_rows


class Prepared(msgspec.Struct, frozen=True):
    """A commit with its larger rows encoded, on the caller's own time."""

    commit: Commit
    journal: Sequence[Row]
    postings: Sequence[Row]
    streams: Sequence[Row]
    payments: Sequence[Row]


def prepare(commit: Commit) -> Prepared:
    journal: list[Row] = []
    postings: list[Row] = []
    streams: list[Row] = []
    payments: list[Row] = []
    for write in commit.streams:
        for entry in write.entries:
            journal.append(journal_row(entry))
            if entry.postings:
                postings += posting_rows(entry)
        streams.append(_stream_row(write))
        if isinstance(write.state, Payment):
            payments.append(payment_row(write.state))
    return Prepared(commit, journal, postings, streams, payments)


def _stream_row(write: StreamWrite) -> Row:
    last = write.entries[-1]
    return (
        write.stream,
        stream_kind(write.stream),
        last.seq,
        last.hash,
        encode_state(write.state),
    )
