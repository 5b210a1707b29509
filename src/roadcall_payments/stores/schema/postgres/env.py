"""Alembic's entry: runs each migration in a transaction of its own.

So that one which builds an index on a table in use can leave it (``autocommit_block``) and build
CONCURRENTLY.
"""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
