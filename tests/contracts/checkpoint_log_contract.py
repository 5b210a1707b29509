"""What every ``CheckpointLog`` keeps: each number once, whole, for all processes."""

from __future__ import annotations

import asyncio

from roadcall_payments.ports import CheckpointLog


class CheckpointLogContract:
    async def test_a_new_log_is_empty(self, log: CheckpointLog) -> None:
        assert list(await log.numbers()) == []
        assert await log.read(1) is None
        assert await log.newest_copy() is None

    async def test_what_was_appended_is_read_byte_for_byte(
        self, log: CheckpointLog, other: CheckpointLog
    ) -> None:
        documents = {number: bytes([number]) * 100_000 for number in range(1, 12)}
        for number, document in documents.items():
            assert await log.append(number, document)
            assert await other.newest_copy() == document
        assert list(await other.numbers()) == list(documents)
        assert {number: await other.read(number) for number in documents} == documents

    async def test_a_taken_number_stays_what_it_is(
        self, log: CheckpointLog, other: CheckpointLog
    ) -> None:
        assert await log.append(1, b"first")
        assert not await other.append(1, b"second")
        assert await log.read(1) == b"first"
        assert await log.newest_copy() == b"first"

    async def test_of_many_at_once_one_gets_the_number(
        self, log: CheckpointLog, other: CheckpointLog
    ) -> None:
        documents = [f"document {n}".encode() for n in range(40)]
        won = await asyncio.gather(
            *((log, other)[n % 2].append(1, document) for n, document in enumerate(documents))
        )
        assert won.count(True) == 1
        assert await log.read(1) == documents[won.index(True)]
        assert list(await log.numbers()) == [1]
