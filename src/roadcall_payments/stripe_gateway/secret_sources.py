"""Where Stripe's credentials come from without AWS: the environment, or a JSON file.

Both are read again at each call of ``stripe_credentials``; nothing here caches but the file's
last content, until the file changes. No message shows a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.ports import StripeCredentials, WebhookSecret

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class EnvironmentSecretSource:
    """``STRIPE_API_KEY``, ``STRIPE_WEBHOOK_SECRET`` (comma-separated), ``STRIPE_CONNECT_ENABLED``.

    Connect is enabled unless it is switched off.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def stripe_credentials(self) -> StripeCredentials:
        api_key = self._environ.get("STRIPE_API_KEY", "").strip()
        if not api_key:
            raise CredentialsRejected(
                "STRIPE_API_KEY is not set: export it, or name a file in "
                "ROADCALL_STRIPE_SECRETS_FILE."
            )
        secrets = [s.strip() for s in self._environ.get("STRIPE_WEBHOOK_SECRET", "").split(",")]
        return StripeCredentials(
            api_key=_visible(api_key, "STRIPE_API_KEY"),
            webhook_secrets=tuple(
                WebhookSecret(_visible(s, "STRIPE_WEBHOOK_SECRET")) for s in secrets if s
            ),
            connect_enabled=self._connect_enabled(),
        )

    def _connect_enabled(self) -> bool:
        word = self._environ.get("STRIPE_CONNECT_ENABLED", "").strip().lower()
        if word in _FALSE:
            return False
        if word and word not in _TRUE:
            raise CredentialsRejected("STRIPE_CONNECT_ENABLED is neither true nor false.")
        return True


class SignedBy(msgspec.Struct, forbid_unknown_fields=True):
    """One webhook secret in the file, with the endpoint that signs with it (M36)."""

    value: str
    origin: Literal["platform", "connect"] | None = None


class SecretsDocument(msgspec.Struct, rename="camel"):
    """The seed's shape; AWS Secrets Manager holds the same."""

    api_key: str
    webhook_secret: str | list[str | SignedBy] = ""
    connect_enabled: bool = True


_decoder = msgspec.json.Decoder(SecretsDocument)


def credentials_from_json(document: bytes, *, origin: str) -> StripeCredentials:
    """The credentials in a document of the seed's shape; ``origin`` names it in complaints."""
    try:
        parsed = _decoder.decode(document)
    except msgspec.ValidationError as exc:
        # It names the field and the expected type, never the value.
        raise CredentialsRejected(f"{origin}: {exc}") from None
    except (msgspec.DecodeError, RecursionError):
        raise CredentialsRejected(f"{origin} is no JSON.") from None
    if not parsed.api_key.strip():
        raise CredentialsRejected(f"{origin}: apiKey is empty.")
    listed = parsed.webhook_secret
    entries = listed if isinstance(listed, list) else [listed]
    signed_by = [SignedBy(entry) if isinstance(entry, str) else entry for entry in entries]
    return StripeCredentials(
        api_key=_visible(parsed.api_key.strip(), f"{origin}: apiKey"),
        webhook_secrets=tuple(
            WebhookSecret(_visible(entry.value.strip(), f"{origin}: webhookSecret"), entry.origin)
            for entry in signed_by
            if entry.value.strip()
        ),
        connect_enabled=parsed.connect_enabled,
    )


def _visible(secret: str, name: str) -> str:
    """A key goes into a header: anything but visible ASCII would break it, or add another."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise CredentialsRejected(f"{name} holds characters that no key has.")
    return secret


class FileSecretSource:
    """A JSON file, read again when its modification time or size changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int], StripeCredentials] | None = None

    async def stripe_credentials(self) -> StripeCredentials:
        return await asyncio.to_thread(self._current)

    def _current(self) -> StripeCredentials:
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            if self._read is None or self._read[0] != version:
                credentials = credentials_from_json(self._path.read_bytes(), origin=str(self._path))
                self._read = (version, credentials)
        except OSError as exc:
            raise CredentialsRejected(
                f"{self._path} cannot be read ({exc.strerror}): it holds Stripe's credentials."
            ) from exc
        return self._read[1]
