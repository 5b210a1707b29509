"""Checkpoints: sign where the streams stand, and hold the journal against what was signed (M30).

What changed since the last checkpoint is found by comparing every stream's head with the last one
that was signed: no mark in the database, which its attacker could set, and no cursor over
positions, which a slow commit could slip behind (M27). A stream written while its page is passed
is taken up by the next checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from roadcall_payments.checkpoint import (
    HEADS_MAX,
    Checkpoint,
    SignedCheckpoint,
    StreamHead,
    checkpoint_hash,
    decode_checkpoint,
    draw_up,
    encode_checkpoint,
    statement,
)
from roadcall_payments.domain.errors import BrokenInvariant, FinalError, TransientError
from roadcall_payments.journal import GENESIS
from roadcall_payments.ports import (
    CheckpointKeys,
    CheckpointLog,
    Clock,
    HeadIndex,
    LastSigned,
    Store,
    Stored,
)

STREAMS_PAGE = 500
JOURNAL_PAGE = 1000
READS_AT_ONCE = 200
# How many that hold are read before the journal is taken to be no older than they are.
SOUND_MAX = 2
# How often another process may take the number that we were about to use.
APPENDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Made:
    """``checkpoints``: none when nothing has changed. ``faults``: streams that contradict what
    was signed before, in words; they are left out."""

    checkpoints: tuple[Checkpoint, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What ``hold`` found: how many checkpoints there are, the newest sound one, the faults."""

    count: int
    newest: Checkpoint | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """``fault``: one thing that was signed and is not there, in words. Up to ``sound_at`` nothing
    is missing; None: no checkpoint holds."""

    fault: str
    sound_at: datetime | None


class Checkpoints:
    """``interval``: how old the newest checkpoint may grow before ``attend`` makes another."""

    def __init__(
        self,
        store: Store,
        log: CheckpointLog,
        keys: CheckpointKeys,
        index: HeadIndex,
        clock: Clock,
        interval: timedelta,
    ) -> None:
        self._store = store
        self._log = log
        self._keys = keys
        self._index = index
        self._clock = clock
        self._interval = interval
        self._making = asyncio.Lock()
        self._last: Checkpoint | None = None  # the newest that the index knows

    # --- making one ---

    async def attend(self) -> float:
        """Make one if the newest is old enough; in how many seconds to look again.

        Raises BrokenInvariant for a log that is not whole, and for streams that contradict it.
        """
        wait_s = await self._due_in_s()
        if wait_s > 0:
            return wait_s
        await self.make_or_raise()
        return self._interval.total_seconds()

    async def make_or_raise(self) -> None:
        """Make one now. Raises BrokenInvariant, once the others are signed, when streams
        contradict what was signed before."""
        faults = (await self.make()).faults
        if faults:
            raise BrokenInvariant(
                f"{len(faults)} streams contradict their checkpoints; run verify. {faults[0]}"
            )

    async def make(self) -> Made:
        """Sign every head that changed since the last checkpoint.

        Raises BrokenInvariant when the log is not whole: nothing is added to it then.
        """
        return await self._make(restart=False)

    async def restart(self) -> Made:
        """Sign every head anew: the database was restored, and its drift repaired (M18)."""
        return await self._make(restart=True)

    async def _make(self, *, restart: bool) -> Made:
        async with self._making:
            await self._catch_up()
            if restart:
                await self._index.clear()
            made: list[Checkpoint] = []
            changed: list[StreamHead] = []
            faults: list[str] = []
            after = ""
            while page := await self._store.streams(after, STREAMS_PAGE):
                after = page[-1].stream
                signed = await self._index.find([stored.stream for stored in page])
                for stored in page:
                    last = signed.get(stored.stream)
                    if last is not None and last.head == stored.head:
                        continue
                    fault = await self._departure(stored, last)
                    if fault is None:
                        changed.append(StreamHead(stored.stream, stored.head))
                    else:
                        faults.append(fault)
                if len(changed) > HEADS_MAX - STREAMS_PAGE:
                    made += await self._append(changed, restart=restart and not made)
                    changed = []
            made += await self._append(changed, restart=restart and not made)
            return Made(tuple(made), tuple(faults))

    async def newest(self) -> Checkpoint | None:
        """The newest one, if its signature holds. Raises InvalidInput without a usable key."""
        numbers = await self._log.numbers()
        signed, _ = await self._examined(numbers[-1], None) if numbers else (None, [])
        return signed.checkpoint if signed else None

    async def _due_in_s(self) -> float:
        newest = await self.newest()
        if newest is None:
            return 0.0
        due_at = newest.at + self._interval
        # A clock that was set back must not silence us for longer than one interval.
        wait = min(due_at - self._clock.now(), self._interval)
        return max(wait.total_seconds(), 0.0)

    async def _departure(self, stored: Stored, last: LastSigned | None) -> str | None:
        """What is wrong with a changed stream that does not go on from where it was signed."""
        if last is None:
            return None
        known = StreamHead(stored.stream, last.head)
        fault = await self._contradiction(last.number, known)
        if fault is None and stored.head.seq <= last.head.seq:
            fault = (
                f"{stored.stream}: it stands at seq {stored.head.seq}, "
                f"but checkpoint {last.number} signed it at seq {last.head.seq}"
            )
        return fault

    async def _append(self, changed: Sequence[StreamHead], *, restart: bool) -> list[Checkpoint]:
        """Sign and keep ``changed``, less what another process has signed meanwhile."""
        for _ in range(APPENDS_MAX):
            if not changed:
                return []
            checkpoint, heads = draw_up(self._last, self._clock.now(), changed, restart=restart)
            signature = await self._keys.sign(statement(checkpoint))
            signed = SignedCheckpoint(checkpoint, heads, signature)
            if await self._log.append(checkpoint.number, encode_checkpoint(signed)):
                await self._learn(signed)
                return [checkpoint]
            await self._catch_up()
            known = await self._index.find([one.stream for one in changed])
            changed = [
                one
                for one in changed
                if one.stream not in known or known[one.stream].head.seq < one.head.seq
            ]
        raise TransientError("Other processes took each next checkpoint's number before us.")

    async def _catch_up(self) -> None:
        """Read what was appended since; all of it, when the process is new."""
        copied = await self._copied_number()
        numbers = await self._log.numbers()
        known = self._last.number if self._last else 0
        _must_be_whole(_gaps(numbers, max(copied or 0, known)))
        if known:
            # It is read again: a log that lost or changed it is not gone on with.
            signed, faults = await self._examined(known, None)
            if (
                signed
                and self._last
                and checkpoint_hash(signed.checkpoint) != checkpoint_hash(self._last)
            ):
                faults.append(f"checkpoint {known}: it is not the one that was made")
            _must_be_whole(faults)
        for number in numbers[known:]:
            signed, faults = await self._examined(number, self._last_hash())
            _must_be_whole(faults)
            if signed:
                await self._learn(signed)

    async def _learn(self, signed: SignedCheckpoint) -> None:
        if signed.checkpoint.restart:
            await self._index.clear()
        await self._index.add(signed.checkpoint.number, signed.heads)
        self._last = signed.checkpoint

    def _last_hash(self) -> str:
        return checkpoint_hash(self._last) if self._last else GENESIS

    # --- holding the journal against them ---

    async def hold(self) -> Held:
        """Every checkpoint against the one before, its key, and the journal.

        Raises InvalidInput when there are checkpoints and no key to judge them by.
        """
        faults: list[str] = []
        # Before the numbers: what is copied is in the log already, also while others append.
        copied = await self._copied_number()
        numbers = await self._log.numbers()
        if copied is None and len(numbers) > 1:
            faults.append(
                "the checkpoints' copy of the newest is missing or was altered: "
                "whether the newest were removed cannot be told"
            )
        faults += _gaps(numbers, copied or 0)
        newest: Checkpoint | None = None
        told: set[str] = set()
        contradicted: list[str] = []
        hashes = {0: GENESIS}
        for number in numbers:
            # One that was removed is told of already: the one behind it follows nothing.
            signed, found = await self._examined(number, hashes.pop(number - 1, None))
            faults += found
            if signed:
                newest, hashes[number] = signed.checkpoint, checkpoint_hash(signed.checkpoint)
                if newest.restart:
                    contradicted, told = [], set()
                contradicted += await self._contradictions(signed, told)
        return Held(len(numbers), newest, (*faults, *contradicted))

    async def ahead(self) -> Ahead | None:
        """What was signed and the journal no longer has: the database is older than it was (M18).

        Looks at the newest checkpoints only, as far back as they contradict the journal. One that
        cannot be read or is not ours says nothing: ``verify`` tells of it.
        """
        fault: str | None = None
        sound_at: datetime | None = None
        sound = 0
        for number in reversed(await self._log.numbers()):
            signed, _ = await self._examined(number, None)
            if signed is None:
                continue
            # A full one was made together with others: of those, the last have the newest payments.
            full = signed.checkpoint.size > HEADS_MAX - STREAMS_PAGE
            if sound >= SOUND_MAX or (sound and not full):
                break
            found = await self._contradictions(signed, set())
            sound = 0 if found else sound + 1
            fault = found[0] if found else fault
            sound_at = signed.checkpoint.at if sound else None
            if signed.checkpoint.restart:
                break
        return Ahead(fault, sound_at) if fault else None

    async def _examined(
        self, number: int, previous: str | None
    ) -> tuple[SignedCheckpoint | None, list[str]]:
        """The checkpoint, if it is what it was when it was signed; and what is wrong with it.

        ``previous``: the hash that it must name; None where that is not known.
        """
        data = await self._log.read(number)
        if data is None:
            return None, [f"checkpoint {number}: it was removed"]
        try:
            signed = decode_checkpoint(data)
        except ValueError as unreadable:
            return None, [f"checkpoint {number}: it was altered: {unreadable}"]
        if not await self._keys.made(signed.signature, statement(signed.checkpoint)):
            return None, [
                f"checkpoint {number}: its signature is not of our key: it was altered, "
                "or signed with another"
            ]
        if signed.checkpoint.number != number:
            return None, [
                f"checkpoint {number}: it was replaced by checkpoint {signed.checkpoint.number}"
            ]
        if previous is not None and signed.checkpoint.previous != previous:
            return signed, [f"checkpoint {number}: it does not follow the checkpoint before it"]
        return signed, []

    async def _copied_number(self) -> int | None:
        """The number of the newest copy; None when it is not there, or not ours."""
        data = await self._log.newest_copy()
        if data is None:
            return None
        try:
            signed = decode_checkpoint(data)
        except ValueError:
            return None
        ours = await self._keys.made(signed.signature, statement(signed.checkpoint))
        return signed.checkpoint.number if ours else None

    async def _contradictions(self, signed: SignedCheckpoint, told: set[str]) -> list[str]:
        """Each stream that contradicts a checkpoint is told of once, with the first one."""
        faults: list[str] = []
        for start in range(0, len(signed.heads), READS_AT_ONCE):
            page = [
                one for one in signed.heads[start : start + READS_AT_ONCE] if one.stream not in told
            ]
            found = await asyncio.gather(
                *(self._contradiction(signed.checkpoint.number, one) for one in page)
            )
            for one, fault in zip(page, found, strict=True):
                if fault:
                    told.add(one.stream)
                    faults.append(fault)
        return faults

    async def _contradiction(self, number: int, signed: StreamHead) -> str | None:
        """What the journal says against this head, which checkpoint ``number`` signed."""
        stream, head = signed.stream, signed.head
        try:
            found = await self._store.journal(stream, head.seq - 1, 1)
            if not found or found[0].seq != head.seq:
                return await self._absence(number, signed)
        except FinalError as unreadable:
            return f"{stream} seq {head.seq}: checkpoint {number} signed it; {unreadable}"
        if found[0].hash == head.hash:
            return None
        return (
            f"{stream} seq {head.seq}: its history was rewritten: its hash is {found[0].hash}, "
            f"but checkpoint {number} signed {head.hash}"
        )

    async def _absence(self, number: int, signed: StreamHead) -> str:
        stream, seq = signed.stream, signed.head.seq
        ends_at = 0
        while page := await self._store.journal(stream, ends_at, JOURNAL_PAGE):
            ends_at = page[-1].seq
        if ends_at == 0:
            return f"{stream}: it vanished: checkpoint {number} signed it at seq {seq}"
        if ends_at < seq:
            return (
                f"{stream}: it was cut back: checkpoint {number} signed it at seq {seq}, "
                f"but its journal ends at seq {ends_at}"
            )
        return f"{stream} seq {seq}: checkpoint {number} signed this entry, and it is missing"


def _gaps(numbers: Sequence[int], at_least: int) -> list[str]:
    """Which checkpoints are missing, of those up to the last one and up to ``at_least``."""
    faults: list[str] = []
    before = 0
    for number in (*numbers, max(at_least, before, *numbers) + 1):
        first, last = before + 1, number - 1
        if first == last:
            faults.append(f"checkpoint {first}: it was removed")
        elif first < last:
            faults.append(f"checkpoints {first} to {last}: they were removed")
        before = number
    return faults


def _must_be_whole(faults: Sequence[str]) -> None:
    if faults:
        raise BrokenInvariant(
            f"The log of checkpoints is not whole: {'; '.join(faults)}. Find out why with verify; "
            "to begin a new one, keep the old and set ROADCALL_CHECKPOINT_DIR to an empty place."
        )
