"""A write set that could not be written whole, or at all, is refused before it reaches a store."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadcall_payments.commit import (
    ITEMS_MAX,
    Commit,
    RefAdded,
    decode_state,
    encode_state,
    job_ref,
    stripe_ref,
)
from roadcall_payments.domain.errors import BrokenInvariant
from tests.builders import new_payment_write


def test_m28_at_most_three_streams() -> None:
    writes = [new_payment_write() for _ in range(4)]
    assert Commit(streams=tuple(writes[:3])).streams
    with pytest.raises(BrokenInvariant, match="3 streams"):
        Commit(streams=tuple(writes))


def test_m28_at_most_ninety_items_counting_every_row() -> None:
    write = new_payment_write()
    fits = tuple(RefAdded(f"r{i}", write.stream) for i in range(ITEMS_MAX - 4))
    assert Commit(streams=(write,), refs_added=fits).items == ITEMS_MAX
    with pytest.raises(BrokenInvariant, match="90 items"):
        Commit(streams=(write,), refs_added=(*fits, RefAdded("one_more", write.stream)))


def test_a_stream_is_named_once() -> None:
    write = new_payment_write()
    with pytest.raises(BrokenInvariant, match="once"):
        Commit(streams=(write, write))


def test_entries_follow_the_expected_sequence_and_belong_to_their_stream() -> None:
    write = new_payment_write()
    with pytest.raises(BrokenInvariant, match="do not follow"):
        Commit(streams=(replace(write, expected_seq=1),))
    with pytest.raises(BrokenInvariant, match="do not follow"):
        Commit(streams=(replace(write, entries=()),))
    with pytest.raises(BrokenInvariant, match="another stream"):
        Commit(streams=(replace(write, stream="payment/other"),))


def test_a_state_comes_back_the_same() -> None:
    write = new_payment_write()
    assert decode_state(write.stream, encode_state(write.state)) == write.state


def test_a_state_is_stored_without_what_is_at_its_default() -> None:
    write = new_payment_write()
    stored = json.loads(encode_state(write.state))
    assert "refunds" not in stored
    assert "status" not in stored
    assert stored["created_by"] == json.loads(msgspec.json.encode(write.state))["created_by"]


def test_a_state_is_read_that_an_earlier_version_stored_in_full_or_with_fewer_fields() -> None:
    write = new_payment_write()
    in_full = msgspec.json.encode(write.state)
    assert decode_state(write.stream, in_full) == write.state
    before_settlements = {k: v for k, v in json.loads(in_full).items() if k != "settlement"}
    assert decode_state(write.stream, json.dumps(before_settlements).encode()) == write.state


@pytest.mark.parametrize("data", [b"{", b"{}", b"[]", b'{"id": 7}'])
def test_what_is_no_state_is_not_read(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_state("payment/pay_1", data)


@given(*[st.text(max_size=8)] * 4)
def test_m11_two_jobs_never_share_a_name(a: str, b: str, c: str, d: str) -> None:
    assert (job_ref(a, b) == job_ref(c, d)) == ((a, b) == (c, d))


def test_m14_a_stripe_object_is_known_by_account_and_mode_too() -> None:
    names = {
        stripe_ref(account, livemode, "pi_1")
        for account in ("acct_1", "acct_2")
        for livemode in (True, False)
    }
    assert len(names) == 4
