"""A checkpoint stands for exactly its heads: nothing can be changed, left out or moved (M30)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from roadcall_payments.checkpoint import (
    HEADS_MAX,
    Checkpoint,
    SignedCheckpoint,
    StreamHead,
    checkpoint_hash,
    decode_checkpoint,
    draw_up,
    encode_checkpoint,
    merkle_root,
    root_of,
    statement,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.journal import GENESIS, Head
from tests.builders import NOON

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
HEADS = st.lists(
    st.builds(StreamHead, NAMES, st.builds(Head, st.integers(1, 2**53 - 1), HASHES)),
    min_size=1,
    max_size=20,
    unique_by=lambda one: one.stream,
)
SIGNATURE = bytes(range(64))


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    halves = naive_root(leaves[:split]) + naive_root(leaves[split:])
    return hashlib.sha256(b"\x01" + halves).digest()


@given(LEAVES)
def test_the_root_is_the_rfcs(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == naive_root(leaves)


@given(LEAVES, LEAVES)
def test_other_leaves_have_another_root(leaves: list[bytes], others: list[bytes]) -> None:
    assert (merkle_root(leaves) == merkle_root(others)) == (leaves == others)


@given(LEAVES, st.data())
def test_any_change_of_the_leaves_changes_the_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:at], leaves[at] + b"!", *leaves[at + 1 :]]
    assert merkle_root(changed) != merkle_root(leaves)
    assert merkle_root([*leaves[:at], b"new", *leaves[at:]]) != merkle_root(leaves)
    if len(leaves) > 1:
        assert merkle_root(leaves[:at] + leaves[at + 1 :]) != merkle_root(leaves)
    moved = data.draw(st.permutations(leaves))
    assert (merkle_root(moved) == merkle_root(leaves)) == (moved == leaves)


@given(LEAVES, st.integers(1, 40))
def test_repeating_the_end_never_keeps_the_root(leaves: list[bytes], count: int) -> None:
    """CVE-2012-2459: where odd ones are doubled, a list and its lengthened twin look the same."""
    assert merkle_root(leaves + leaves[-count:]) != merkle_root(leaves)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40))
def test_a_node_cannot_pose_as_a_leaf(leaves: list[bytes]) -> None:
    """The second preimage of a tree without domains: two leaves given as the node over them."""
    inner = b"".join(hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves[:2])
    assert merkle_root([inner, *leaves[2:]]) != merkle_root(leaves)


def test_a_tree_of_nothing_is_refused() -> None:
    with pytest.raises(BrokenInvariant):
        merkle_root([])


@given(HEADS, st.data())
def test_the_order_in_which_heads_are_found_does_not_matter(
    heads: list[StreamHead], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(heads))
    assert draw_up(None, NOON, shuffled) == draw_up(None, NOON, heads)


@given(HEADS, st.data())
def test_every_part_of_a_head_is_in_the_root(heads: list[StreamHead], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(heads) - 1))
    one = heads[at]
    for forged in (
        replace(one, stream=one.stream + "x"),
        replace(one, head=Head(one.head.seq + 1, one.head.hash)),
        replace(one, head=Head(one.head.seq, GENESIS)),
    ):
        assume(forged != one)
        assert root_of([*heads[:at], forged, *heads[at + 1 :]]) != root_of(heads)


@given(HEADS)
def test_what_is_signed_is_canonical_and_says_what_it_is(heads: list[StreamHead]) -> None:
    checkpoint, _ = draw_up(None, NOON, heads)
    said: dict[str, str | int] = {
        "at": "2026-03-02T12:00:00.123456Z",
        "number": 1,
        "previous": GENESIS,
        "root": checkpoint.root,
        "size": len(heads),
    }
    assert statement(checkpoint) == b"roadcall-payments checkpoint 1\n" + rfc8785.dumps(said)
    assert checkpoint_hash(checkpoint) == hashlib.sha256(statement(checkpoint)).hexdigest()


def test_each_part_of_a_checkpoint_is_in_its_hash_and_the_next_names_it() -> None:
    first, _ = draw_up(None, NOON, [StreamHead("payment/a", Head(1, "a" * 64))])
    others = [
        replace(first, number=2),
        replace(first, at=NOON + timedelta(microseconds=1)),
        replace(first, previous="f" * 64),
        replace(first, size=2),
        replace(first, root="f" * 64),
    ]
    assert len({checkpoint_hash(one) for one in (first, *others)}) == 6
    second, _ = draw_up(first, NOON, [StreamHead("payment/b", Head(1, "b" * 64))])
    assert (first.number, first.previous) == (1, GENESIS)
    assert (second.number, second.previous) == (2, checkpoint_hash(first))


def signed(heads: list[StreamHead], last: Checkpoint | None = None) -> SignedCheckpoint:
    checkpoint, ordered = draw_up(last, NOON, heads)
    return SignedCheckpoint(checkpoint, ordered, SIGNATURE)


@given(HEADS)
def test_a_document_is_canonical_and_comes_back_the_same(heads: list[StreamHead]) -> None:
    data = encode_checkpoint(signed(heads))
    assert data == rfc8785.dumps(json.loads(data))
    assert decode_checkpoint(data) == signed(heads)


@given(HEADS, st.data())
def test_no_byte_of_a_document_changes_unseen(heads: list[StreamHead], data: st.DataObject) -> None:
    """Either it no longer decodes, or what the signature covers, or the signature, is other."""
    whole = signed(heads)
    document = encode_checkpoint(whole)
    at = data.draw(st.integers(0, len(document) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != document[at]))
    try:
        read = decode_checkpoint(document[:at] + bytes([byte]) + document[at + 1 :])
    except ValueError:
        return
    assert read.heads == whole.heads
    assert (statement(read.checkpoint), read.signature) != (
        statement(whole.checkpoint),
        whole.signature,
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b",", b", ", 1),
        lambda data: data.replace(b'{"checkpoint"', b'{"extra":1,"checkpoint"'),
        lambda data: data.replace(b'"size":2', b'"size":1'),
        lambda data: data.replace(b"payment/b", b"payment/c"),
        lambda data: data.replace(b'"number":1', b'"number":' + b"9" * 40),
        lambda data: data.replace(b'"number":1', b'"number":0'),
        lambda data: data.replace(b'"at":"2026', b'"at":"0000'),
    ],
)
def test_what_is_no_checkpoint_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    heads = [StreamHead(f"payment/{name}", Head(1, name * 64)) for name in "ab"]
    whole = encode_checkpoint(signed(heads))
    assert spoil(whole) != whole
    with pytest.raises(ValueError):  # noqa: PT011  # decoders word it, each in its own way
        decode_checkpoint(spoil(whole))


def test_too_many_heads_none_and_a_stream_named_twice_are_refused() -> None:
    one = StreamHead("payment/a", Head(1, "a" * 64))
    many = [StreamHead(f"payment/{n}", Head(1, "a" * 64)) for n in range(HEADS_MAX + 1)]
    assert draw_up(None, NOON, many[1:])[0].size == HEADS_MAX
    for refused in ([], many, [one, replace(one, head=Head(2, "b" * 64))]):
        with pytest.raises(BrokenInvariant):
            draw_up(None, NOON, refused)
