"""The key that signs checkpoints (Ed25519), in a PEM file outside the database."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.private_key_file import write_private_key

SETTING = "ROADCALL_CHECKPOINT_KEY_FILE"

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Keys:
    signing: Ed25519PrivateKey | None
    trusted: tuple[Ed25519PublicKey, ...]


class FileCheckpointKeys:
    """The ``CheckpointKeys`` of a PEM file: at most one private key, which signs, and the public
    keys of those that signed before it. A machine that only verifies has public keys alone.

    The file is read at every use, so a new key needs no restart. ``makes_key``: make the file
    when something is to be signed and it is not there.
    """

    def __init__(self, path: Path, *, makes_key: bool) -> None:
        self._path = path
        self._makes_key = makes_key

    async def sign(self, statement: bytes) -> bytes:
        return await asyncio.to_thread(self._sign, statement)

    async def made(self, signature: bytes, statement: bytes) -> bool:
        return await asyncio.to_thread(self._made, signature, statement)

    def _sign(self, statement: bytes) -> bytes:
        if self._makes_key and not self._path.exists():
            write_private_key(self._path, Ed25519PrivateKey.generate())
        signing = self._read().signing
        if signing is None:
            raise InvalidInput(SETTING, f"{self._path} holds no private key to sign with.")
        return signing.sign(statement)

    def _made(self, signature: bytes, statement: bytes) -> bool:
        for key in self._read().trusted:
            with contextlib.suppress(InvalidSignature):
                key.verify(signature, statement)
                return True
        return False

    def _read(self) -> _Keys:
        try:
            blocks = list(_PEM_BLOCK.finditer(self._path.read_bytes()))
            private = [_private(block[0]) for block in blocks if block[1] == b"PRIVATE KEY"]
            public = [_public(block[0]) for block in blocks if block[1] == b"PUBLIC KEY"]
        except OSError as error:
            raise InvalidInput(
                SETTING,
                f"{self._path}, with the key of the checkpoints, cannot be read: {error.strerror}. "
                "Put it back from where you keep it.",
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Never the cause: it could quote the file.
            raise InvalidInput(
                SETTING, f"{self._path} is no PEM file of Ed25519 keys without a password."
            ) from None
        if len(private) > 1 or not blocks:
            raise InvalidInput(SETTING, f"{self._path} holds {len(private)} private keys.")
        return _Keys(
            private[0] if private else None, (*(key.public_key() for key in private), *public)
        )


def _private(pem: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("another kind of key")
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("another kind of key")
    return key
