"""The store on one SQLite file: group commit, readers beside it, work leases."""

from roadcall_payments.stores.sqlite.store import SqliteStore, open_sqlite

__all__ = ["SqliteStore", "open_sqlite"]
