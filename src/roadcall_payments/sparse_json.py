"""A frozen record as JSON that leaves out what is at its default (0226).

msgspec leaves defaults out of its own structs alone, and is slow to fill them in for dataclasses.
So a record of many fields is written and read through a struct of the same fields.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Generic, TypeVar, get_type_hints

import msgspec

from roadcall_payments.domain.records import reader_of, record_like

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RecordT = TypeVar("RecordT", bound="DataclassInstance")

_encoder = msgspec.json.Encoder(order="deterministic")


class SparseJson(Generic[RecordT]):
    """The form of one class of records. Records within a record are written in full."""

    def __init__(self, kind: type[RecordT]) -> None:
        types = get_type_hints(kind)
        described = [_described(one, types[one.name]) for one in fields(kind)]
        self._kind = kind
        self._form = msgspec.defstruct(kind.__name__, described, omit_defaults=True, gc=False)
        self._decoder = msgspec.json.Decoder(self._form)
        self._values_of = reader_of(kind)

    def encode(self, record: RecordT) -> bytes:
        return _encoder.encode(self._form(*self._values_of(record)))

    def decode(self, data: bytes) -> RecordT:
        """The record from JSON that may leave out defaults, and need not.

        Raises msgspec.DecodeError, or msgspec.ValidationError for what is not of its type.
        """
        return record_like(self._kind, self._decoder.decode(data))


def _described(field: Field[object], kind: object) -> tuple[str, object, object]:
    default = msgspec.NODEFAULT if field.default is MISSING else field.default
    return field.name, kind, default
