"""Ids in Stripe's manner, from a seed: the same seed and order of calls give the same ids."""

import string
from hashlib import blake2b

_ALPHABET = (string.ascii_letters + string.digits).encode()
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


class IdSource:
    """`boot` counts the starts on one state file, so that no id comes twice over a restart."""

    def __init__(self, seed: str, boot: int = 0) -> None:
        self._key = blake2b(f"{seed}/{boot}".encode(), digest_size=32).digest()
        self._boot = boot
        self._count = 0

    def sequence(self) -> int:
        """A number greater than every one before it, over restarts too."""
        self._count += 1
        return (self._boot << 40) | self._count

    def new(self, prefix: str, length: int = 24) -> str:
        """`prefix` and `length` letters and digits (at most 64)."""
        self._count += 1
        digest = blake2b(self._count.to_bytes(8, "big"), key=self._key, digest_size=length).digest()
        return prefix + digest.translate(_LETTERS).decode()
