"""A storage in memory that outlives its sandbox, for restarts without a file."""

from collections.abc import Iterable, Sequence

from stripe_sandbox.storage import Row


class KeptRows:
    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}

    def load(self) -> Iterable[Row]:
        return [self.rows[sequence] for sequence in sorted(self.rows)]

    def commit(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.body is None:
                self.rows.pop(row.sequence, None)
            else:
                self.rows[row.sequence] = row

    def close(self) -> None:
        return None
