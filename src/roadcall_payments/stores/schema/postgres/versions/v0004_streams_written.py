"""What a commit writes to a stream travels as one row: see ``stores/postgres/statement.py``."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

# The types of the version before stay, whose processes write on meanwhile.
_COLUMNS = """
    stream text, expected_seq bigint, prev_hash text, seq bigint, hash text, state bytea,
    status text, flagged boolean, on_review boolean, queue_key text, due_at bigint,
    event_id text, type text, at bigint, actor text, data bytea, rules_version integer,
    entry_hash text
"""


def upgrade() -> None:
    op.execute(f"CREATE TYPE streams_written_row AS ({_COLUMNS})")
