"""The migrations of each relational store, as package data; run by Alembic."""
