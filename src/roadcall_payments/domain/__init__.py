"""Decisions about money. No I/O, no clock, no randomness, no vendor types."""
