"""``python -m tests.sandbox.fetch``: get what the sandbox is compared with, before any test runs.

The tests get it themselves where it is missing, but within the time that a test may take: on a
machine that has nothing yet, a slow download would fail whichever test came first.
"""

from __future__ import annotations

import sys

from tests.sandbox.node_packages import install
from tests.sandbox.specification import SpecificationMissing, specification_bytes

TRIES = 3


def problems() -> list[str]:
    """What could not be had."""
    found = [install()]
    try:
        specification_bytes()
    except SpecificationMissing as missing:
        found.append(str(missing))
    return [one for one in found if one is not None]


def main() -> None:
    left = problems()
    for _ in range(TRIES - 1):
        left = left and problems()
    if left:
        sys.exit("\n".join(left))


if __name__ == "__main__":
    main()
