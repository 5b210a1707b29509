"""How many examples a property is tried with: those of the suite, or many more for a long proof."""

from __future__ import annotations

import os

# The suite draws the same each time; `HYPOTHESIS_PROFILE=thorough` others, for an hour to spare.
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
_TIMES = 40


def examples(in_the_suite: int) -> int:
    """As many as this run wants: ``in_the_suite``, or forty times that under ``thorough``."""
    return in_the_suite * (_TIMES if THOROUGH else 1)
