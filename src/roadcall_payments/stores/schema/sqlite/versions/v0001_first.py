"""Journal, streams, what is unique, and the worker's lists."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    """
    CREATE TABLE journal (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL CHECK (seq > 0),
        event_id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        at INTEGER NOT NULL,
        actor TEXT NOT NULL,
        data BLOB NOT NULL,
        rules_version INTEGER NOT NULL,
        prev_hash TEXT NOT NULL,
        hash TEXT NOT NULL,
        UNIQUE (stream, seq)
    ) STRICT
    """,
    """
    CREATE TRIGGER journal_is_never_updated BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    """,
    """
    CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    """,
    """
    CREATE TABLE postings (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        line INTEGER NOT NULL,
        book TEXT NOT NULL,
        account TEXT NOT NULL,
        currency TEXT NOT NULL,
        amount_cents INTEGER NOT NULL,
        PRIMARY KEY (stream, seq, line),
        FOREIGN KEY (stream, seq) REFERENCES journal (stream, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX postings_by_account ON postings (book, account, currency, amount_cents)
    """,
    """
    CREATE TRIGGER postings_are_never_updated BEFORE UPDATE ON postings
    BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
    """,
    """
    CREATE TRIGGER postings_are_never_deleted BEFORE DELETE ON postings
    BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
    """,
    """
    CREATE TABLE streams (
        stream TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        seq INTEGER NOT NULL,
        hash TEXT NOT NULL,
        state BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE payments (
        id TEXT PRIMARY KEY,
        company_id TEXT NOT NULL,
        vendor_id TEXT NOT NULL,
        driver_id TEXT,
        incident_id TEXT NOT NULL,
        payer_type TEXT NOT NULL,
        status TEXT NOT NULL,
        flagged INTEGER NOT NULL,
        on_review INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX payments_by_company ON payments (company_id, id)
    """,
    """
    CREATE INDEX payments_by_vendor ON payments (vendor_id, id)
    """,
    """
    CREATE INDEX payments_by_driver ON payments (driver_id, id) WHERE driver_id IS NOT NULL
    """,
    """
    CREATE INDEX payments_by_incident ON payments (incident_id, id)
    """,
    # Most payments are completed: those are found by any other order as fast.
    """
    CREATE INDEX payments_by_status ON payments (status, id, company_id)
        WHERE status != 'completed'
    """,
    """
    CREATE INDEX payments_flagged ON payments (id) WHERE flagged = 1
    """,
    """
    CREATE INDEX payments_on_review ON payments (id) WHERE on_review = 1
    """,
    """
    CREATE INDEX vendors_paid ON payments (vendor_id) WHERE status = 'completed'
    """,
    """
    CREATE TABLE refs (
        key TEXT PRIMARY KEY,
        stream TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE inbox (
        event_id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        origin TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        body BLOB NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        attempts INTEGER NOT NULL,
        stream TEXT
    ) STRICT
    """,
    """
    CREATE INDEX inbox_by_time ON inbox (received_at, event_id)
    """,
    """
    CREATE INDEX inbox_open ON inbox (status, received_at, event_id)
        WHERE status IN ('waiting', 'review')
    """,
    """
    CREATE TABLE idempotency (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        stream TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        status INTEGER,
        seq INTEGER,
        PRIMARY KEY (scope, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE texts (
        id TEXT PRIMARY KEY,
        stream TEXT NOT NULL,
        body TEXT NOT NULL,
        salt TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE notices (
        id TEXT PRIMARY KEY,
        stream TEXT NOT NULL,
        channel TEXT NOT NULL,
        recipient TEXT NOT NULL,
        template TEXT NOT NULL,
        params TEXT NOT NULL,
        due_at INTEGER NOT NULL,
        sent_at INTEGER,
        provider_id TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE work (
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        published_seq INTEGER NOT NULL,
        lease TEXT,
        leased_until INTEGER,
        parked_at INTEGER,
        reason TEXT,
        PRIMARY KEY (queue, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX work_due ON work (queue, due_at, key) WHERE parked_at IS NULL
    """,
    """
    CREATE INDEX work_parked ON work (parked_at, queue, key) WHERE parked_at IS NOT NULL
    """,
    """
    CREATE TABLE probe (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        written INTEGER NOT NULL
    ) STRICT
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
