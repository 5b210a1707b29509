"""Transfers that wait for funds are found in the order in which they go out."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD COLUMN queue_key TEXT")
    op.execute("CREATE INDEX payments_queued ON payments (queue_key) WHERE queue_key IS NOT NULL")
