"""Names for JSON as it comes in and goes out.

`msgspec.Raw` stands for a part that is JSON text already: an event's frozen object.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

JsonValue: TypeAlias = (
    "bool | int | float | str | msgspec.Raw | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = dict[str, "JsonValue"]


def encode_json(value: JsonValue) -> bytes:
    """Compact JSON text of `value`."""
    return msgspec.json.encode(value)
