"""Transfers that wait for funds are found in the order in which they go out."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

# Of another name than those of the version before, whose processes write on meanwhile.
_ROW_TYPES = {
    "streams_moved_row_2": """
        stream text, expected_seq bigint, prev_hash text, seq bigint, hash text, state bytea,
        status text, flagged boolean, on_review boolean, queue_key text
    """,
    "streams_opened_row_2": """
        stream text, kind text, seq bigint, hash text, state bytea,
        status text, flagged boolean, on_review boolean, queue_key text
    """,
}


def upgrade() -> None:
    # A column without a default changes no row, so it waits for nobody for long.
    op.execute('ALTER TABLE streams ADD COLUMN IF NOT EXISTS queue_key text COLLATE "C"')
    for name, columns in _ROW_TYPES.items():
        # What an attempt that was broken off left behind is made anew.
        op.execute(f"DROP TYPE IF EXISTS {name}")
        op.execute(f"CREATE TYPE {name} AS ({columns})")
    # The service may run meanwhile: writers are not kept waiting while streams are read through.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS streams_queued")
        op.execute(
            "CREATE INDEX CONCURRENTLY streams_queued ON streams (queue_key)"
            " WHERE queue_key IS NOT NULL"
        )
