"""The machine's clock, and ids that sort by time and repeat never."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.clock import SystemClock, SystemIds
from tests.fakes.manual_clock import START, ManualClock


def test_now_is_utc_and_a_drills_offset_shifts_it() -> None:
    before = datetime.now(UTC)
    now, tomorrow = SystemClock().now(), SystemClock(offset_s=86_400).now()
    assert now.tzinfo is UTC
    assert before <= now
    assert timedelta(hours=23, minutes=59) < tomorrow - now < timedelta(hours=24, minutes=1)


def test_an_id_is_a_uuid_of_version_7_that_holds_its_time() -> None:
    clock = ManualClock()
    made = uuid.UUID(SystemIds(clock).uuid7())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(START.timestamp() * 1000)


@given(st.lists(st.floats(-3_600, 3_600, allow_nan=False), min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(steps: list[float]) -> None:
    clock = ManualClock()
    ids = SystemIds(clock)
    made: list[str] = []
    for step in steps:
        made += [ids.uuid7(), ids.uuid7()]
        clock.advance(step)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_share_an_id() -> None:
    ids = SystemIds(SystemClock())
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ids.uuid7(), range(4_000)))
    assert len(set(made)) == 4_000


def test_ids_of_two_processes_in_one_millisecond_differ() -> None:
    clock = ManualClock()
    assert len({SystemIds(clock).uuid7() for _ in range(1_000)}) == 1_000


def test_salts_and_fractions() -> None:
    ids = SystemIds(SystemClock())
    assert len({ids.salt() for _ in range(100)}) == 100
    assert all(len(bytes.fromhex(ids.salt())) == 16 for _ in range(10))
    assert all(0 <= ids.fraction() < 1 for _ in range(100))
