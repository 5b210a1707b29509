"""Every money rule that this version keeps is named by a test that fails when it is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# Rules whose subject does not exist yet.
NOT_YET: dict[int, str] = {}
RULES = [number for number in range(1, 39) if number not in NOT_YET]

_NAMED = re.compile(r"\bM(\d{1,2})\b|_m(\d{1,2})(?=_)")


def rules_named_by_tests() -> dict[int, set[str]]:
    """The test files that name each rule, in a test's name or in its words."""
    named: dict[int, set[str]] = {}
    for path in TESTS.rglob("*.py"):
        if path == Path(__file__) or not path.name.startswith(("test_", "store_contract")):
            continue
        for upper, lower in _NAMED.findall(path.read_text(encoding="utf-8")):
            named.setdefault(int(upper or lower), set()).add(path.name)
    return named


@pytest.mark.parametrize("number", RULES)
def test_a_rule_has_a_test(number: int) -> None:
    assert rules_named_by_tests().get(number), f"no test names M{number}"
