"""What a reading thread does with a batch: each job alone, on its own connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.sqlite.connection import classified, connect_reader

ReadJob = Callable[[sqlite3.Connection], object]


class Reader:
    """Owned by its thread. After a failure the connection is opened anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def work(self, batch: Sequence[Submission[ReadJob, object]]) -> None:
        for one in batch:
            try:
                one.answer = one.job(self._connected())
            except Exception as error:  # noqa: BLE001  # a job's error is answered to its caller
                one.error = classified(error)
                if isinstance(error, sqlite3.Error):
                    self.close()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect_reader(self._path)
        return self._db
