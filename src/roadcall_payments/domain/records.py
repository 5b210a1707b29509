"""``dataclasses.replace`` for frozen records of many fields, in a tenth of its time.

The standard's asks every field of the class for its options, and the ``__init__`` of a frozen
class sets each through ``object.__setattr__``; with the payment's forty fields that was a tenth of
all that a webhook costs. Here the values are set on a twin of the same slots that is not frozen,
which then becomes a record of its kind. To the type checker it is the standard's own, so that
names and types of the changes are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import replace as replace
    from typing import TypeVar

    T = TypeVar("T")

    def values_of(kind: type[object], record: object) -> Sequence[object]:
        """What a record of this kind holds, or another object with attributes of these names, in
        the order of the kind's fields."""

    def record_of(kind: type[T], values: Sequence[object]) -> T:
        """A record of this kind that holds these values, in the order of its fields."""

    def quickly_made(kind: type[T]) -> type[T]:
        """Over ``dataclass(frozen=True, slots=True)``: the same record, made in half the time."""

else:
    from dataclasses import MISSING, fields, make_dataclass
    from functools import cache
    from operator import attrgetter

    @cache
    def _layout(kind):
        """How to read all values of a record of this kind, the place of each name among them, and
        how to make a record of them."""
        names = [field.name for field in fields(kind)]
        read = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)
        return read, {name: place for place, name in enumerate(names)}, _maker(kind, names)

    def _maker(kind, names):
        has_a_layout_of_its_own = kind.__bases__ != (object,)
        if has_a_layout_of_its_own or hasattr(kind, "__post_init__"):
            return lambda values: kind(*values)
        twin = make_dataclass(kind.__name__, names, slots=True)

        def make(values):
            record = twin(*values)
            record.__class__ = kind
            return record

        return make

    def quickly_made(kind):
        """As ``dataclass`` itself does, the ``__init__`` is written out and compiled."""
        own = fields(kind)
        assigned = [f"self.{field.name} = {field.name}" for field in own]
        given = [
            field.name if field.default is MISSING else f"{field.name}=_defaults['{field.name}']"
            for field in own
        ]
        lines = ["_set(self, '__class__', _twin)", *assigned, "self.__class__ = _kind"]
        if hasattr(kind, "__post_init__"):
            lines.append("self.__post_init__()")
        names = {
            "_set": object.__setattr__,
            "_twin": make_dataclass(kind.__name__, [field.name for field in own], slots=True),
            "_kind": kind,
            "_defaults": {field.name: field.default for field in own},
        }
        exec(f"def __init__(self, {', '.join(given)}):\n  " + "\n  ".join(lines), names)  # noqa: S102  # of field names alone
        names["__init__"].__annotations__ = kind.__init__.__annotations__
        kind.__init__ = names["__init__"]
        return kind

    def values_of(kind, record):
        return _layout(kind)[0](record)

    def record_of(kind, values):
        return _layout(kind)[2](values)

    def replace(record, /, **changes):
        """A record like ``record`` but for ``changes``. Raises KeyError for an unknown name."""
        read, places, make = _layout(type(record))
        values = list(read(record))
        for name, value in changes.items():
            values[places[name]] = value
        return make(values)
