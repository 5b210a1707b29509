"""What may break a house rule, each with its reason. An entry that allows nothing is an error."""

from typing import NamedTuple


class Allowed(NamedTuple):
    """One permitted breach. `function` is the qualified name (`Class.method`); "" for a file."""

    path: str
    function: str
    reason: str


LONG_FILES: list[Allowed] = []

LONG_FUNCTIONS: list[Allowed] = []

BROAD_EXCEPTS: list[Allowed] = []

BY_RULE = {
    "file length": LONG_FILES,
    "function length": LONG_FUNCTIONS,
    "broad except": BROAD_EXCEPTS,
}
