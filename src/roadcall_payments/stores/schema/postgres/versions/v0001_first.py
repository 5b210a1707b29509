"""Journal, streams, what is unique, and the worker's lists.

Keys and names are compared byte by byte (COLLATE "C"): in the order that cursors and ``verify``
rely on, whatever the server's locale, and unmoved by a new version of its libraries.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

# Rows that change in place leave room for it on their page. Those with large values keep them
# there, uncompressed, up to what a page holds: a second table for them costs more.
_STATEMENTS = (
    """
    CREATE TABLE journal (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        event_id text COLLATE "C" NOT NULL,
        type text COLLATE "C" NOT NULL,
        at bigint NOT NULL,
        actor text COLLATE "C" NOT NULL,
        data bytea NOT NULL,
        rules_version integer NOT NULL,
        prev_hash text COLLATE "C" NOT NULL,
        hash text COLLATE "C" NOT NULL,
        PRIMARY KEY (stream, seq),
        CONSTRAINT journal_event_id_key UNIQUE (event_id)
    ) WITH (toast_tuple_target = 8160)
    """,
    """
    CREATE TABLE postings (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        line integer NOT NULL,
        book text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        amount_cents bigint NOT NULL,
        PRIMARY KEY (stream, seq, line)
    )
    """,
    """
    CREATE INDEX postings_by_account ON postings (book, account, currency)
        INCLUDE (amount_cents)
    """,
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE FUNCTION refuse_batch() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a commit of this batch does not fit what stands'
            USING ERRCODE = 'serialization_failure';
    END
    $$
    """,
    """
    CREATE TABLE streams (
        stream text COLLATE "C" PRIMARY KEY,
        kind text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        hash text COLLATE "C" NOT NULL,
        state bytea NOT NULL,
        status text COLLATE "C",
        flagged boolean,
        on_review boolean
    ) WITH (fillfactor = 60, toast_tuple_target = 8160)
    """,
    # Most payments are completed: those are found by any other order as fast.
    """
    CREATE INDEX streams_by_status ON streams (status, stream)
        WHERE status <> 'completed'
    """,
    "CREATE INDEX streams_flagged ON streams (stream) WHERE flagged",
    "CREATE INDEX streams_on_review ON streams (stream) WHERE on_review",
    # What a payment is found by and never changes; what does change stands beside its state, so
    # that a change of status touches one row and one index of these.
    """
    CREATE TABLE payments (
        id text COLLATE "C" PRIMARY KEY,
        company_id text COLLATE "C" NOT NULL,
        vendor_id text COLLATE "C" NOT NULL,
        driver_id text COLLATE "C",
        incident_id text COLLATE "C" NOT NULL,
        payer_type text COLLATE "C" NOT NULL
    )
    """,
    "CREATE INDEX payments_by_company ON payments (company_id, id)",
    "CREATE INDEX payments_by_vendor ON payments (vendor_id, id)",
    "CREATE INDEX payments_by_driver ON payments (driver_id, id) WHERE driver_id IS NOT NULL",
    "CREATE INDEX payments_by_incident ON payments (incident_id, id)",
    """
    CREATE TABLE refs (
        key text COLLATE "C" PRIMARY KEY,
        stream text COLLATE "C" NOT NULL
    )
    """,
    """
    CREATE TABLE inbox (
        event_id text COLLATE "C" PRIMARY KEY,
        type text COLLATE "C" NOT NULL,
        origin text COLLATE "C" NOT NULL,
        received_at bigint NOT NULL,
        body bytea NOT NULL,
        status text COLLATE "C" NOT NULL,
        reason text COLLATE "C",
        attempts integer NOT NULL,
        stream text COLLATE "C"
    ) WITH (toast_tuple_target = 8160)
    """,
    "CREATE INDEX inbox_by_time ON inbox (received_at, event_id)",
    """
    CREATE INDEX inbox_open ON inbox (status, received_at, event_id)
        WHERE status IN ('waiting', 'review')
    """,
    """
    CREATE TABLE idempotency (
        scope text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL,
        stream text COLLATE "C" NOT NULL,
        opened_at bigint NOT NULL,
        status integer,
        seq bigint,
        PRIMARY KEY (scope, key)
    )
    """,
    """
    CREATE TABLE texts (
        id text COLLATE "C" PRIMARY KEY,
        stream text COLLATE "C" NOT NULL,
        body text COLLATE "C" NOT NULL,
        salt text COLLATE "C" NOT NULL
    )
    """,
    """
    CREATE TABLE notices (
        id text COLLATE "C" PRIMARY KEY,
        stream text COLLATE "C" NOT NULL,
        channel text COLLATE "C" NOT NULL,
        recipient text COLLATE "C" NOT NULL,
        template text COLLATE "C" NOT NULL,
        params text COLLATE "C" NOT NULL,
        due_at bigint NOT NULL,
        sent_at bigint,
        provider_id text COLLATE "C"
    )
    """,
    # Rows come and go with every payment: old versions are cleared away early and at full speed.
    # head_seq (outbox): the stream's last entry, so that whoever has published up to it can take
    # the row off without looking elsewhere.
    """
    CREATE TABLE work (
        queue text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        due_at bigint NOT NULL,
        attempts integer NOT NULL,
        published_seq bigint NOT NULL,
        head_seq bigint NOT NULL,
        lease text COLLATE "C",
        leased_until bigint,
        parked_at bigint,
        reason text COLLATE "C",
        PRIMARY KEY (queue, key)
    ) WITH (
        fillfactor = 60,
        autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 0
    )
    """,
    "CREATE INDEX work_due ON work (queue, due_at, key) WHERE parked_at IS NULL",
    "CREATE INDEX work_parked ON work (parked_at, queue, key) WHERE parked_at IS NOT NULL",
    # A crash may forget a minute's counts: they are not worth a line in the log.
    """
    CREATE UNLOGGED TABLE requests (
        window_number bigint NOT NULL,
        caller text COLLATE "C" NOT NULL,
        requests bigint NOT NULL,
        PRIMARY KEY (window_number, caller)
    ) WITH (fillfactor = 60)
    """,
    """
    CREATE TABLE probe (
        id integer PRIMARY KEY CHECK (id = 1),
        written bigint NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
