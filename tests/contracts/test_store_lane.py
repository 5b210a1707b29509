"""The thread of a store: one batch under way, and what is done with it in the loop's own turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence

from roadcall_payments.stores.lane import Lane, Submission

WAIT_S = 30.0


class Bench:
    """What a lane calls: keeps what it was given, and works only while ``opened``."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = threading.Event()
        self.prepared: list[tuple[tuple[int, ...], int]] = []
        self.worked: list[tuple[int, ...]] = []
        self.is_working = False

    def first(self, batch: Sequence[Submission[int, int]]) -> None:
        assert not self.is_working
        self.prepared.append((tuple(one.job for one in batch), threading.get_ident()))

    def work(self, batch: Sequence[Submission[int, int]]) -> None:
        self.is_working = True
        self.began.set()
        assert self.opened.wait(WAIT_S)
        self.worked.append(tuple(one.job for one in batch))
        for one in batch:
            one.answer = one.job * 2
        self.is_working = False

    def lane(self, batch_max: int = 100) -> Lane[int, int]:
        return Lane(
            "bench",
            self.work,
            first=self.first,
            waiting_max=1_000,
            batch_max=batch_max,
            at_end=lambda: None,
        )


async def until_it_works(bench: Bench) -> None:
    assert await asyncio.to_thread(bench.began.wait, WAIT_S)


async def test_what_comes_while_a_batch_is_under_way_is_the_next_batch() -> None:
    bench = Bench()
    lane = bench.lane()
    answers = [lane.submit(1)]
    await until_it_works(bench)
    for job in (2, 3, 4):
        answers.append(lane.submit(job))
        await asyncio.sleep(0)
    bench.opened.set()
    assert await asyncio.gather(*answers) == [2, 4, 6, 8]
    assert bench.worked == [(1,), (2, 3, 4)]
    assert bench.prepared == [(batch, threading.get_ident()) for batch in bench.worked]
    await lane.close()


async def test_a_batch_has_its_bound_and_the_rest_follows() -> None:
    bench = Bench()
    bench.opened.set()
    lane = bench.lane(batch_max=2)
    assert await asyncio.gather(*lane.submit_all(range(5))) == [0, 2, 4, 6, 8]
    assert bench.worked == [(0, 1), (2, 3), (4,)]
    await lane.close()


async def test_closing_finishes_what_waits_behind_a_batch() -> None:
    bench = Bench()
    lane = bench.lane(batch_max=2)
    answers = [lane.submit(0)]
    await until_it_works(bench)
    answers += lane.submit_all(range(1, 4))
    closing = asyncio.ensure_future(lane.close())
    await asyncio.sleep(0)
    bench.opened.set()
    await closing
    assert await asyncio.gather(*answers) == [0, 2, 4, 6]
    assert bench.worked == [(0,), (1, 2), (3,)]


def test_a_loop_that_ends_in_the_middle_leaves_the_lane_to_the_next() -> None:
    bench = Bench()
    lane = bench.lane()

    async def gone() -> None:
        lane.submit_all([1, 2])
        await until_it_works(bench)

    async def stays(submitted: Callable[[], Awaitable[int]]) -> int:
        waits = asyncio.ensure_future(submitted())
        await asyncio.sleep(0)
        bench.opened.set()
        return await asyncio.wait_for(waits, WAIT_S)

    async def three() -> int:
        return await lane.submit(3)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(gone())
    assert asyncio.run(stays(three)) == 6
    assert bench.worked == [(1, 2), (3,)]
    asyncio.run(lane.close())
