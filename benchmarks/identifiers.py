"""The names of the prepared payments, by number: the same for every system that is measured."""

from __future__ import annotations

import hashlib

ACCOUNT = "acct_1BenchPlatform"
API_KEY = "sk_test_" + "benchmark" * 4
WEBHOOK_SECRET = "whsec_" + "benchmark"

# A template's rows carry these; a copy carries its number, or a digest of it, instead. Stripe's
# ids come in no order, ours in the order of time: indexes feel the difference.
NUMBER_MARK = "a" * 12
DIGEST_MARK = "b" * 24


def payment_id(number: int) -> str:
    """Shaped like a UUIDv7, rising. With letters, as nearly all have: runs of thirteen digits are
    looked at for card numbers wherever they are logged."""
    return f"019a3c7e-5b1f-7d2c-9e4a-{number:012d}"


def stripe_id(prefix: str, number: int) -> str:
    """``pi_...``, ``ch_...``, ``evt_...``: 24 characters in no order."""
    digest = hashlib.md5(f"{prefix}{number}".encode(), usedforsecurity=False).hexdigest()
    return f"{prefix}_{digest[:24]}"
