"""A process that commits without end and says what was acknowledged; a test kills it.

Each commit writes two streams, a ref, an inbox row, a text and a notice, all named after the
first stream, so that whoever looks later can tell whole from half.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from roadcall_payments.commit import (
    Commit,
    Committed,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    NoticeInsert,
    RefAdded,
    TextWrite,
)
from roadcall_payments.ports import Store
from roadcall_payments.stores.postgres import open_postgres
from roadcall_payments.stores.sqlite import open_sqlite
from tests.builders import NOON, new_payment_write

WRITERS = 8


def whole_commit(name: str) -> Commit:
    first = new_payment_write(f"{name}-a", due_at=NOON, event_id=f"{name}-a1")
    second = new_payment_write(f"{name}-b", event_id=f"{name}-b1")
    event = InboxEvent(f"evt_{name}", "t", "platform", NOON, b"{}" * 500, InboxStatus.APPLIED)
    return Commit(
        streams=(first, second),
        refs_added=(RefAdded(f"ref-{name}", first.stream),),
        inbox=InboxInsert(event),
        texts=(TextWrite(f"text-{name}", first.stream, "a text", "00"),),
        notices=(NoticeInsert(f"n-{name}", first.stream, "sms", "ve_1", "paid", "{}", NOON),),
    )


async def rows_of(store: Store, name: str) -> list[bool]:
    """Which rows of the commit ``name`` are there."""
    return [
        await store.load(f"payment/{name}-a") is not None,
        await store.load(f"payment/{name}-b") is not None,
        len(await store.journal(f"payment/{name}-a")) == 1,
        len(await store.journal(f"payment/{name}-b")) == 1,
        await store.resolve(f"ref-{name}") is not None,
        await store.inbox_event(f"evt_{name}") is not None,
        bool(await store.texts([f"text-{name}"])),
        await store.notice(f"n-{name}") is not None,
    ]


async def _write_without_end(store: Store) -> None:
    while True:
        name = uuid.uuid4().hex
        sys.stdout.write(f"begun {name}\n")
        sys.stdout.flush()
        (result,) = await store.commit([whole_commit(name)])
        sys.stdout.write(f"{'acknowledged' if result == Committed() else result} {name}\n")
        sys.stdout.flush()


async def open_at(place: str) -> Store:
    """The store behind an address of PostgreSQL's, or in a file of SQLite's."""
    if place.startswith("postgresql://"):
        return await open_postgres(place)
    return open_sqlite(Path(place))


async def _main(place: str) -> None:
    store = await open_at(place)
    await asyncio.gather(*[_write_without_end(store) for _ in range(WRITERS)])


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
