"""The types of the rows that the writing statement takes, one for each of its parts.

A batch is sent as an array of rows for each part: asyncpg looks at each element of an array for
one more dimension, which for columns of values costs more than their encoding.

They are fixed: a part whose columns change gets a type of another name, so that processes of the
version before write on.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_ROW_TYPES = {
    "streams_moved_row": """
        stream text, expected_seq bigint, prev_hash text, seq bigint, hash text, state bytea,
        status text, flagged boolean, on_review boolean
    """,
    "streams_opened_row": """
        stream text, kind text, seq bigint, hash text, state bytea,
        status text, flagged boolean, on_review boolean
    """,
    "refs_added_row": "key text, stream text",
    "refs_moved_row": "key text, from_stream text, to_stream text",
    "refs_freed_row": "key text, stream text",
    "inbox_taken_row": """
        event_id text, type text, origin text, received_at bigint, body bytea, status text,
        reason text, attempts integer, stream text
    """,
    "inbox_told_row": "event_id text, status text, reason text, attempts integer, stream text",
    "keys_opened_row": """
        scope text, key text, digest text, stream text, opened_at bigint, status integer, seq bigint
    """,
    "keys_answered_row": "scope text, key text, status integer, seq bigint",
    "journal_added_row": """
        stream text, seq bigint, event_id text, type text, at bigint, actor text, data bytea,
        rules_version integer, prev_hash text, hash text
    """,
    "postings_added_row": """
        stream text, seq bigint, line integer, book text, account text, currency text,
        amount_cents bigint
    """,
    "payments_opened_row": """
        id text, company_id text, vendor_id text, driver_id text, incident_id text, payer_type text
    """,
    "texts_added_row": "id text, stream text, body text, salt text",
    "notices_added_row": """
        id text, stream text, channel text, recipient text, template text, params text,
        due_at bigint
    """,
    "outbox_listed_row": "key text, due_at bigint, published_seq bigint, head_seq bigint",
    "work_listed_row": "queue text, key text, due_at bigint, attempts integer",
    "work_done_row": "queue text, key text",
}


def upgrade() -> None:
    for name, columns in _ROW_TYPES.items():
        op.execute(f"CREATE TYPE {name} AS ({columns})")
