"""When the worker tries again, and when it gives up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.errors import FinalError, TransientError
from roadcall_payments.worker import RetryRules

RULES = RetryRules(base_s=2, cap_s=60, attempts_max=4)
PATIENT = RetryRules(base_s=2, cap_s=60, attempts_max=4, transient_parks=False)
STRICT = RetryRules(base_s=2, cap_s=60, attempts_max=4, final_parks=True)


@given(
    attempts=st.integers(0, 10_000),
    fraction=st.floats(0, 1, exclude_max=True),
    base_s=st.integers(1, 600),
    cap_s=st.integers(1, 86_400),
)
def test_waits_double_up_to_the_cap_within_the_jitter(
    attempts: int, fraction: float, base_s: int, cap_s: int
) -> None:
    wait_s = RetryRules(base_s, cap_s, 9).wait_s(attempts, fraction)
    middle = min(base_s * 2 ** min(attempts, 32), cap_s)
    assert 0.75 * middle <= wait_s <= 1.25 * middle


def test_waits_without_jitter() -> None:
    assert [RULES.wait_s(attempt, 0.5) for attempt in range(7)] == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("rules", "error", "last_try"),
    [
        (RULES, TransientError("later"), 3),
        (RULES, FinalError("never"), 3),
        (RULES, ZeroDivisionError(), 3),
        (STRICT, FinalError("never"), 0),
        (STRICT, TransientError("later"), 3),
        (PATIENT, TransientError("later"), None),
        (PATIENT, FinalError("never"), 3),
        (PATIENT, ZeroDivisionError(), 3),
    ],
)
def test_when_a_piece_is_parked(rules: RetryRules, error: Exception, last_try: int | None) -> None:
    parked = [attempts for attempts in range(50) if rules.parks(error, attempts)]
    assert parked == ([] if last_try is None else list(range(last_try, 50)))
