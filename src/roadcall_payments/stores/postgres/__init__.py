"""The store on PostgreSQL 15 and later: group commit, batched look-ups, work leases."""

from roadcall_payments.stores.postgres.store import PostgresStore, open_postgres

__all__ = ["PostgresStore", "open_postgres"]
