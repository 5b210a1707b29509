"""The key of the checkpoints: made once, read by its owner, changed without losing the past."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from roadcall_payments.checkpoint_files.keys import FileCheckpointKeys
from roadcall_payments.domain.errors import InvalidInput

PLAIN = serialization.NoEncryption()
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
STATEMENT = b"this is so"


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(*PKCS8, PLAIN)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def keys_in(file: Path, *blocks: bytes) -> FileCheckpointKeys:
    file.write_bytes(b"".join(blocks))
    return FileCheckpointKeys(file, makes_key=False)


def names_in(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


async def test_the_embedded_key_is_made_at_first_use_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "checkpoint-key.pem"
    keys = FileCheckpointKeys(file, makes_key=True)
    signature = await keys.sign(STATEMENT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names_in(file.parent) == [file.name]
    assert await keys.made(signature, STATEMENT)
    assert not await keys.made(signature, STATEMENT + b"!")
    assert not await keys.made(bytes(64), STATEMENT)
    # A restart finds the same key.
    again = FileCheckpointKeys(file, makes_key=True)
    assert await again.sign(STATEMENT) == signature


async def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint-key.pem"
    signatures = await asyncio.gather(
        *(FileCheckpointKeys(file, makes_key=True).sign(STATEMENT) for _ in range(20))
    )
    assert len(set(signatures)) == 1


async def test_a_key_that_was_named_is_never_made(tmp_path: Path) -> None:
    keys = FileCheckpointKeys(tmp_path / "absent.pem", makes_key=False)
    for refused in (keys.sign(STATEMENT), keys.made(bytes(64), STATEMENT)):
        with pytest.raises(InvalidInput, match=r"absent\.pem.* cannot be read") as refusal:
            await refused
        assert refusal.value.field == "ROADCALL_CHECKPOINT_KEY_FILE"
    assert names_in(tmp_path) == []


async def test_a_new_key_signs_and_the_retired_one_is_still_believed(tmp_path: Path) -> None:
    old, new, strange = (Ed25519PrivateKey.generate() for _ in range(3))
    keys = keys_in(tmp_path / "keys.pem", private_pem(old))
    before = await keys.sign(STATEMENT)
    keys_in(tmp_path / "keys.pem", private_pem(new), public_pem(old))
    after = await keys.sign(STATEMENT)
    assert after == new.sign(STATEMENT) != before
    assert await keys.made(before, STATEMENT)
    assert await keys.made(after, STATEMENT)
    assert not await keys.made(strange.sign(STATEMENT), STATEMENT)


async def test_a_machine_with_public_keys_alone_verifies_and_cannot_sign(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    keys = keys_in(tmp_path / "keys.pem", public_pem(key))
    assert await keys.made(key.sign(STATEMENT), STATEMENT)
    with pytest.raises(InvalidInput, match="no private key to sign with"):
        await keys.sign(STATEMENT)


@pytest.mark.parametrize(
    "blocks",
    [
        [b"no key at all"],
        [b"-----BEGIN PRIVATE KEY-----\nbm90IG9uZQ==\n-----END PRIVATE KEY-----\n"],
        [generate_private_key(SECP256R1()).private_bytes(*PKCS8, PLAIN)],
        [private_pem(Ed25519PrivateKey.generate()), private_pem(Ed25519PrivateKey.generate())],
    ],
    ids=["no PEM", "no key", "another kind", "two that sign"],
)
async def test_a_file_that_cannot_be_is_refused_without_quoting_it(
    blocks: list[bytes], tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys.pem", *blocks)
    with pytest.raises(InvalidInput) as refusal:
        await keys.sign(STATEMENT)
    assert refusal.value.field == "ROADCALL_CHECKPOINT_KEY_FILE"
    assert "BEGIN" not in str(refusal.value)
    for line in b"".join(blocks).decode().splitlines():
        assert "-----" in line or line not in str(refusal.value)
