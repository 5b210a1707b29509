"""What is read, each job alone, on a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.sqlite.connection import Connecting, classified

T = TypeVar("T")

ReadJob = Callable[[sqlite3.Connection], object]


class Reader:
    """Owned by one thread. After a failure the connection is opened anew."""

    def __init__(self, path: Path, connecting: Connecting) -> None:
        self._path = path
        self._connecting = connecting
        self._db: sqlite3.Connection | None = None

    def work(self, batch: Sequence[Submission[ReadJob, object]]) -> None:
        """What a reading thread does with a batch."""
        for one in batch:
            try:
                one.answer = self.look(one.job)
            except RoadcallError as error:
                one.error = error

    def look(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Raises the job's own RoadcallError, or the one that says what the database said."""
        try:
            return job(self._connected())
        except RoadcallError:
            raise
        except Exception as error:
            if isinstance(error, sqlite3.Error):
                self.close()
            raise classified(error) from error

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._connecting.reader(self._path)
        return self._db
