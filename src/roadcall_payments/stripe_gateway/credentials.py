"""The live credentials: read when first needed, kept, and read again in good time."""

from __future__ import annotations

import asyncio

import structlog

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.ports import Clock, SecretSource, StripeCredentials

AGE_MAX_S = 60.0
"""A rotated key or a switched-off Connect is seen within this time, without a restart."""

DOUBTED_AGE_MAX_S = 10.0
"""The age after a bad signature: anybody can send those, so the source is not asked at each."""

_log = structlog.get_logger("stripe.credentials")


class Credentials:
    """A cache over the secret source, read by one task at a time."""

    def __init__(self, source: SecretSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._lock = asyncio.Lock()
        self._live: StripeCredentials | None = None
        self._read_at = 0.0

    async def current(self, *, age_max_s: float = AGE_MAX_S) -> StripeCredentials:
        """No older than ``age_max_s``, unless the source has failed since: then as they were.

        Raises CredentialsRejected while there have never been any.
        """
        if self._live is not None and not self._older_than(age_max_s):
            return self._live
        async with self._lock:
            if self._live is None:
                return await self._read()
            if self._older_than(age_max_s):
                self._read_at = self._clock.monotonic()
                try:
                    return await self._read()
                except CredentialsRejected as exc:
                    _log.warning("stripe_credentials_kept", reason=exc.message)
            return self._live

    async def replaced(self, doubted: StripeCredentials) -> StripeCredentials:
        """Read the source, unless another task has since ``doubted`` was used."""
        async with self._lock:
            if self._live is not None and self._live is not doubted:
                return self._live
            return await self._read()

    async def reload(self) -> StripeCredentials:
        """Read the source now. Raises CredentialsRejected; what was cached then stays."""
        async with self._lock:
            return await self._read()

    def _older_than(self, age_s: float) -> bool:
        return self._clock.monotonic() - self._read_at >= age_s

    async def _read(self) -> StripeCredentials:
        self._live = await self._source.stripe_credentials()
        self._read_at = self._clock.monotonic()
        return self._live
