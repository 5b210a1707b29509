"""A short story of one payment: facts, calls of Stripe, what was asked, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from roadcall_payments.commit import stream_of
from roadcall_payments.ports import Store
from tests.simulation.time_and_chance import EPOCH
from tests.simulation.world import World

LINES_MAX = 80
# Of a fact's data, what tells most.
_TELLING = ("attempt", "number", "object_id", "payment_intent", "source", "reason", "code")


def timeline(world: World, payment_id: str) -> str:
    """In order of time, seconds since the world began; empty for what is no payment."""
    stream = stream_of("payment", payment_id)

    async def facts(store: Store) -> list[tuple[float, str]]:
        return [
            (
                (entry.at - EPOCH).total_seconds(),
                f"fact    {entry.seq:>2} {entry.type} {_telling(entry.data)}",
            )
            for entry in await store.journal(stream)
        ]

    told = world.inspected(facts)
    if not told:
        return ""
    first, last = told[0][0], told[-1][0]
    told += _calls(world, stream, payment_id)
    told += _asked(world, payment_id)
    told += [
        (strike.at, f"fault   {strike.kind}: {strike.what}")
        for strike in world.faults.log
        if first - 60 <= strike.at <= last + 60
    ]
    told.sort(key=lambda line: line[0])
    shown = [f"{at:>12.3f}  {what}" for at, what in told]
    if len(shown) > LINES_MAX:
        half = LINES_MAX // 2
        shown = [*shown[:half], f"{'...':>12}  {len(shown) - LINES_MAX} more", *shown[-half:]]
    return "\n".join([f"payment {payment_id}", *shown])


def _telling(data: bytes) -> str:
    fact = msgspec.json.decode(data, type=dict)
    return " ".join(f"{name}={fact[name]}" for name in _TELLING if fact.get(name) is not None)


def _calls(world: World, stream: str, payment_id: str) -> Iterator[tuple[float, str]]:
    ours = {payment_id, *world.stripe_ids(stream)}
    for seen in world.network.log:
        if any(one in seen.path or one in seen.key for one in ours):
            key = f" key {seen.key}" if seen.key else ""
            yield seen.at, f"stripe  {seen.method} {seen.path}{key} by {seen.by}: {seen.outcome}"


def _asked(world: World, payment_id: str) -> Iterator[tuple[float, str]]:
    for job in world.asked.jobs:
        if payment_id in job.payment_ids:
            for one in job.commands:
                heard = f"{one.status} {one.code or ''}".strip() if one.status else "no answer"
                yield (
                    (one.at - EPOCH).total_seconds(),
                    f"people  {one.name} under {one.key}: {heard}",
                )
