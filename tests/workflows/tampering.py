"""Every way to falsify a SQLite file by hand that `verify` must find, with the words that name
the row. Used by the tests of the workflow and of the command."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadcall_payments.journal import entry_hash
from roadcall_payments.stores.sqlite.queries import read_journal
from tests.workflows.stories import World

Named = tuple[str, ...]
"""Parts that one reported fault must contain, all of them."""


@dataclass(frozen=True)
class Tampering:
    name: str
    apply: Callable[[sqlite3.Connection, World], Named]


def tamper(path: Path, tampering: Tampering, world: World) -> Named:
    """Falsify the closed file; the triggers that forbid it go first."""
    db = sqlite3.connect(path)
    try:
        triggers = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute(f"DROP TRIGGER {name}")
        before = db.total_changes
        with db:
            named = tampering.apply(db, world)
        assert db.total_changes > before, f"{tampering.name} changed nothing"
        return named
    finally:
        db.close()


def _changed_data(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.driver_payment}"
    db.execute(
        "UPDATE journal SET data = CAST(replace(CAST(data AS TEXT), '125000', '125001') AS BLOB)"
        " WHERE stream = ? AND type = 'PaymentCreated'",
        (stream,),
    )
    return f"{stream} seq 1", "does not match its hash"


def _changed(column: str, value: str | int) -> Callable[[sqlite3.Connection, World], Named]:
    def apply(db: sqlite3.Connection, world: World) -> Named:
        stream = f"payment/{world.driver_payment}"
        db.execute(f"UPDATE journal SET {column} = ? WHERE stream = ? AND seq = 3", (value, stream))
        return (f"{stream} seq 3",)

    return apply


def _data_that_is_no_json(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.driver_payment}"
    db.execute("UPDATE journal SET data = X'FF' WHERE stream = ? AND seq = 3", (stream,))
    return f"{stream} seq 3", "cannot be read"


def _rehashed_data(db: sqlite3.Connection, world: World) -> Named:
    """A forger who knows how to hash one entry, but not the ones behind it."""
    stream = f"payment/{world.driver_payment}"
    entry = read_journal(db, stream, 2, 1)[0]
    forged = entry.data.replace(b'"ada"', b'"eve"')
    db.execute("UPDATE journal SET data = ? WHERE stream = ? AND seq = 3", (forged, stream))
    new_hash = entry_hash(read_journal(db, stream, 2, 1)[0])
    db.execute("UPDATE journal SET hash = ? WHERE stream = ? AND seq = 3", (new_hash, stream))
    return f"{stream} seq 4", "does not follow the entry before it"


def _deleted_middle_entry(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.driver_payment}"
    db.execute("DELETE FROM journal WHERE stream = ? AND seq = 3", (stream,))
    return f"{stream} seq 4", "expected seq 3"


def _truncated_tail(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.driver_payment}"
    last = "(SELECT max(seq) FROM journal WHERE stream = ?)"
    db.execute(f"DELETE FROM postings WHERE stream = ? AND seq = {last}", (stream, stream))
    db.execute(f"DELETE FROM journal WHERE stream = ? AND seq = {last}", (stream, stream))
    return stream, "its journal ends at seq", "but the stream stands at seq"


def _swapped_entries(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.back_office_payment}"
    for old, new in ((2, 1_000), (3, 2), (1_000, 3)):
        db.execute("UPDATE journal SET seq = ? WHERE stream = ? AND seq = ?", (new, stream, old))
    return f"{stream} seq 2", "does not follow the entry before it"


def _entry_moved_to_another_stream(db: sqlite3.Connection, world: World) -> Named:
    source, target = f"payment/{world.cancelled_payment}", f"payment/{world.driver_payment}"
    db.execute(
        "UPDATE journal SET stream = ?, seq = (SELECT max(seq) + 1 FROM journal WHERE stream = ?)"
        " WHERE stream = ? AND seq = 4",
        (target, target, source),
    )
    return source, "its journal ends at seq 3"


def _vanished_stream_row(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.cancelled_payment}"
    db.execute("DELETE FROM streams WHERE stream = ?", (stream,))
    return stream, "no row in streams"


def _forged_stream(db: sqlite3.Connection, world: World) -> Named:
    db.execute(
        "INSERT INTO streams SELECT 'payment/forged', kind, seq, hash, state FROM streams"
        " WHERE stream = ?",
        (f"payment/{world.driver_payment}",),
    )
    return "payment/forged", "its journal ends at seq 0"


def _changed_state(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.driver_payment}"
    db.execute(
        "UPDATE streams SET state = CAST(json_set(CAST(state AS TEXT), '$.transfer', 'tr_forged')"
        " AS BLOB) WHERE stream = ?",
        (stream,),
    )
    return stream, "its stored transfer is 'tr_forged'", "None"


def _changed_vendor_account(db: sqlite3.Connection, world: World) -> Named:
    stream = f"vendor/{world.vendor}"
    db.execute(
        "UPDATE streams SET state = CAST(json_set(CAST(state AS TEXT),"
        " '$.stripe_account', 'acct_thief') AS BLOB) WHERE stream = ?",
        (stream,),
    )
    return stream, "stored stripe_account is 'acct_thief'", "acct_1TowTruck"


def _unreadable_state(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payout/{world.payout}"
    db.execute("UPDATE streams SET state = X'7B' WHERE stream = ?", (stream,))
    return stream, "cannot be read"


def _changed_head_hash(db: sqlite3.Connection, world: World) -> Named:
    db.execute("UPDATE streams SET hash = ? WHERE stream = 'control/movements'", ("f" * 64,))
    return "control/movements", "last hash is not the stream's"


def _changed_projection(db: sqlite3.Connection, world: World) -> Named:
    db.execute("UPDATE payments SET status = 'approved' WHERE id = ?", (world.cancelled_payment,))
    return world.cancelled_payment, "status", "approved"


def _deleted_projection(db: sqlite3.Connection, world: World) -> Named:
    db.execute("DELETE FROM payments WHERE id = ?", (world.driver_payment,))
    return world.driver_payment, "missing"


def _changed_posting(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.back_office_payment}"
    db.execute(
        "UPDATE postings SET amount_cents = amount_cents + 1"
        " WHERE stream = ? AND account = 'earnings'",
        (stream,),
    )
    return stream, "its postings are", "but PaymentCompleted posts"


def _deleted_postings(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.back_office_payment}"
    db.execute("DELETE FROM postings WHERE stream = ?", (stream,))
    return stream, "its postings are nothing"


def _changed_balance(db: sqlite3.Connection, world: World) -> Named:
    """Balances are the postings' sums: money is added under an entry that posts nothing."""
    stream = f"vendor/{world.vendor}"
    for line, (account, cents) in enumerate((("bank", 900), ("earnings", -900))):
        db.execute(
            "INSERT INTO postings VALUES (?, 1, ?, 'acct_1TowTruck', ?, 'usd', ?)",
            (stream, line, account, cents),
        )
    return "book acct_1TowTruck, account bank", "its balance is 5900 usd", "sums to 5000"


def _one_sided_posting(db: sqlite3.Connection, world: World) -> Named:
    db.execute(
        "INSERT INTO postings VALUES ('nowhere', 1, 0, 'acct_platform', 'stripe_balance', 'usd', 1)"
    )
    return "book acct_platform", "its balances sum to 1 usd, not to zero"


def _redirected_ref(db: sqlite3.Connection, world: World) -> Named:
    db.execute(
        "UPDATE refs SET stream = ? WHERE key LIKE '%:pi_1'",
        (f"payment/{world.cancelled_payment}",),
    )
    return f"payment/{world.driver_payment}", "pi_1 leads to", world.cancelled_payment


def _deleted_job_ref(db: sqlite3.Connection, world: World) -> Named:
    db.execute(
        "DELETE FROM refs WHERE stream = ? AND key LIKE 'job:%'",
        (f"payment/{world.driver_payment}",),
    )
    return f"payment/{world.driver_payment}", "job:", "leads to nothing"


def _changed_text(db: sqlite3.Connection, world: World) -> Named:
    db.execute(
        "UPDATE texts SET body = 'other words' WHERE stream = ?",
        (f"payment/{world.driver_payment}",),
    )
    return f"payment/{world.driver_payment}", "is not the one that the journal was given"


def _forgotten_work(db: sqlite3.Connection, world: World) -> Named:
    stream = f"payment/{world.open_payment}"
    db.execute("DELETE FROM work WHERE queue = 'attention' AND key = ?", (stream,))
    return stream, "no worker will look at it again"


TAMPERINGS = [
    Tampering("forgotten work", _forgotten_work),
    Tampering("changed data", _changed_data),
    Tampering("changed actor", _changed("actor", "admin:eve")),
    Tampering("changed time", _changed("at", 1_700_000_000_000_000)),
    Tampering("changed type", _changed("type", "PaymentRejected")),
    Tampering("unknown type", _changed("type", "PaymentForgotten")),
    Tampering("changed event id", _changed("event_id", "0195ffff-0000-7000-8000-000000000000")),
    Tampering("changed rules version", _changed("rules_version", 99)),
    Tampering("changed hash", _changed("hash", "f" * 64)),
    Tampering("data that is no JSON", _data_that_is_no_json),
    Tampering("data changed and hashed anew", _rehashed_data),
    Tampering("deleted middle entry", _deleted_middle_entry),
    Tampering("truncated tail", _truncated_tail),
    Tampering("swapped entries", _swapped_entries),
    Tampering("entry moved to another stream", _entry_moved_to_another_stream),
    Tampering("vanished stream row", _vanished_stream_row),
    Tampering("forged stream", _forged_stream),
    Tampering("changed state", _changed_state),
    Tampering("changed vendor account", _changed_vendor_account),
    Tampering("unreadable state", _unreadable_state),
    Tampering("changed head hash", _changed_head_hash),
    Tampering("changed projection column", _changed_projection),
    Tampering("deleted projection", _deleted_projection),
    Tampering("changed posting", _changed_posting),
    Tampering("deleted postings", _deleted_postings),
    Tampering("changed balance", _changed_balance),
    Tampering("one-sided posting", _one_sided_posting),
    Tampering("redirected ref", _redirected_ref),
    Tampering("deleted job ref", _deleted_job_ref),
    Tampering("changed text", _changed_text),
]
