"""Many callers' commits in one durable transaction (M23, M24).

A batch's statements run in the event loop's own turn, its COMMIT in a thread: each step of a
statement gives the interpreter's lock away, and wins it back at once where nobody else wants it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from roadcall_payments.commit import CommitResult, Committed, CommitUnknown, Conflict
from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.arbitration import beside_is_stored, idempotency_key, inbox_id
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.sqlite.batch import write_batch
from roadcall_payments.stores.sqlite.connection import Connecting, begin, begin_at_once, classified
from roadcall_payments.stores.sqlite.prepared import Prepared
from roadcall_payments.stores.sqlite.queries import read_idempotency, read_inbox_event

Statement = Callable[[sqlite3.Connection], object]
"""A small write beside the commits (a claim, its end); runs in the batch's transaction."""

WriteJob = Prepared | Statement
WriteAnswer = CommitResult | object
Pending = Submission[WriteJob, object]


class _CommitFailed(Exception):
    """COMMIT itself failed: whether the transaction is durable has to be found out."""


class GroupWriter:
    """What is done with a batch: ``write``, then ``work``. They take turns, never at once."""

    def __init__(self, path: Path, busy_seconds_max: float, connecting: Connecting) -> None:
        self._path = path
        self._connecting = connecting
        self._busy_seconds_max = busy_seconds_max
        self._db: sqlite3.Connection | None = None
        self._is_written = False

    def write(self, batch: Sequence[Pending]) -> None:
        """In the event loop's own turn: all but COMMIT. Or nothing, where it fails or would have to
        wait; then ``work`` begins anew, waits, and meets the failure again."""
        if self._db is None:
            # Opening may have to wait for other processes.
            return
        try:
            begin_at_once(self._db)
            self._write(self._db, batch)
            self._is_written = True
        except Exception:  # noqa: BLE001  # not swallowed: ``work`` meets it again and answers it
            self._rollback()

    def work(self, batch: Sequence[Pending]) -> None:
        """In the thread: settle every submission; answers are given only after COMMIT."""
        try:
            if self._is_written:
                self._is_written = False
                self._commit(self._connected())
            else:
                self._transact(batch)
        except StoreUnavailable as error:
            # Waiting for the lock took too long: each alone would wait as long again.
            self._rollback()
            _fail(batch, error)
        except _CommitFailed:
            self._reconnect()
            for one in batch:
                self._find_out(one)
        except Exception as error:  # noqa: BLE001  # M23: any error is its commit's own; it is answered to the caller
            self._rollback()
            if len(batch) == 1:
                _fail(batch, classified(error))
                return
            for one in batch:
                self.work([one])

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _transact(self, batch: Sequence[Pending]) -> None:
        db = self._connected()
        begin(db, seconds_max=self._busy_seconds_max)
        self._write(db, batch)
        self._commit(db)

    def _write(self, db: sqlite3.Connection, batch: Sequence[Pending]) -> None:
        commits = [one for one in batch if isinstance(one.job, Prepared)]
        prepared = [one.job for one in commits if isinstance(one.job, Prepared)]
        for one, result in zip(commits, write_batch(db, prepared), strict=True):
            one.answer = result
        for one in batch:
            if not isinstance(one.job, Prepared):
                one.answer = one.job(db)

    def _commit(self, db: sqlite3.Connection) -> None:
        try:
            # Gives the lock of the interpreter away once; COMMIT as a statement, at every step.
            db.commit()
        except sqlite3.Error as error:
            raise _CommitFailed from error

    def _find_out(self, one: Pending) -> None:
        """After a failed COMMIT: do it again, which reads first and finds what is there (M24)."""
        try:
            self._transact([one])
        except (_CommitFailed, StoreUnavailable, sqlite3.Error) as error:
            self._reconnect()
            if isinstance(one.job, Prepared):
                one.answer = CommitUnknown(f"COMMIT failed twice: {error.__cause__ or error}")
            else:
                _fail([one], StoreUnavailable("The database failed at COMMIT."))
            return
        if isinstance(one.answer, Conflict) and self._was_own(one.job):
            one.answer = Committed()

    def _was_own(self, job: WriteJob) -> bool:
        if not isinstance(job, Prepared):
            return False
        db, commit = self._connected(), job.commit
        event = record = None
        if commit.inbox is not None:
            event = read_inbox_event(db, inbox_id(commit.inbox))
        if commit.idempotency is not None:
            record = read_idempotency(db, *idempotency_key(commit.idempotency))
        return beside_is_stored(commit, event, record)

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._connecting.writer(self._path)
        return self._db

    def _rollback(self) -> None:
        try:
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._reconnect()

    def _reconnect(self) -> None:
        """Closing rolls back what is open; the next transaction opens anew."""
        self.close()


def _fail(batch: Sequence[Pending], error: Exception) -> None:
    for one in batch:
        one.answer, one.error = None, error
