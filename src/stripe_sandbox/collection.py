"""Records of one kind, in order of creation, found by id, by account or by an indexed field."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from stripe_sandbox.records import Record
from stripe_sandbox.storage import Row

R = TypeVar("R", bound=Record)


class Unsaved:
    """The records changed since the last commit, each once."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[str, Record | None]] = {}

    def note(self, kind: str, sequence: int, record: Record | None) -> None:
        self._rows[sequence] = (kind, record)

    def take(self) -> list[Row]:
        rows = [
            Row(sequence, kind, None if record is None else msgspec.json.encode(record))
            for sequence, (kind, record) in self._rows.items()
        ]
        self._rows.clear()
        return rows

    def forget(self) -> None:
        self._rows.clear()

    def __len__(self) -> int:
        return len(self._rows)


class Collection(Generic[R]):
    """An index is a function of a record whose value must never change once it is added."""

    def __init__(
        self,
        kind: str,
        record_type: type[R],
        unsaved: Unsaved,
        **indexes: Callable[[R], str | None],
    ) -> None:
        self.kind = kind
        self._decoder = msgspec.json.Decoder(record_type)
        self._unsaved = unsaved
        self._records: dict[str, R] = {}
        self._indexes = {"account": _account_of, **indexes}
        self._entries: dict[str, dict[str, list[str]]] = {name: {} for name in self._indexes}

    def add(self, record: R) -> R:
        self._enter(record)
        self._unsaved.note(self.kind, record.sequence, record)
        return record

    def save(self, record: R) -> None:
        """Note a change for the next commit. Every change must be saved, or a restart loses it."""
        self._unsaved.note(self.kind, record.sequence, record)

    def remove(self, record: R) -> None:
        del self._records[record.id]
        for name, key_of in self._indexes.items():
            key = key_of(record)
            if key is not None:
                self._entries[name][key].remove(record.id)
        self._unsaved.note(self.kind, record.sequence, None)

    def load(self, body: bytes) -> R:
        record = self._decoder.decode(body)
        self._enter(record)
        return record

    def get(self, record_id: str) -> R | None:
        return self._records.get(record_id)

    def __getitem__(self, record_id: str) -> R:
        return self._records[record_id]

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def where(self, index: str, key: str) -> Iterator[R]:
        """Those whose indexed field is `key`, oldest first."""
        records = self._records
        return (records[record_id] for record_id in self._entries[index].get(key, ()))

    def newest(self, index: str, key: str) -> Iterator[R]:
        """The same, newest first."""
        records = self._records
        return (records[record_id] for record_id in reversed(self._entries[index].get(key, ())))

    def _enter(self, record: R) -> None:
        self._records[record.id] = record
        for name, key_of in self._indexes.items():
            key = key_of(record)
            if key is not None:
                self._entries[name].setdefault(key, []).append(record.id)


def _account_of(record: Record) -> str:
    return record.account
