"""The record of facts: canonical, chained, balanced (M29)."""

import hashlib
import itertools
import json

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.journal import (
    Head,
    chain_breaks,
    decode_fact,
    encode_fact,
    entry_hash,
    seal,
)
from tests.builders import NOON, new_ids, payment_created, stray_money

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FACTS = st.one_of(
    st.builds(
        e.PaymentFailed,
        attempt=st.integers(1, 9),
        code=TEXT,
        message=TEXT,
        retryable=st.booleans(),
        source=st.sampled_from(e.Source),
        decline_code=st.none() | TEXT,
        charge_id=st.none() | TEXT,
        request_id=st.none() | TEXT,
    ),
    st.builds(
        e.StrayMoneyObserved,
        object_id=TEXT,
        kind=TEXT,
        amount=st.builds(Money, st.integers(-(2**53) + 1, 2**53 - 1), st.just("usd")),
        account=TEXT,
        reason=TEXT,
        proposed=TEXT,
    ),
    st.builds(
        e.PaymentScored, st.integers(0, 100), TEXT, st.lists(TEXT).map(tuple), st.booleans(), TEXT
    ),
)


@given(FACTS)
def test_a_fact_is_canonical_json_and_comes_back_the_same(fact: e.PaymentFact) -> None:
    data = encode_fact(fact)
    assert data == rfc8785.dumps(json.loads(data))
    assert decode_fact(type(fact).__name__, data) == fact


@given(FACTS)
def test_the_hash_is_over_the_canonical_json_of_all_but_the_position(fact: e.PaymentFact) -> None:
    (entry,) = seal("payment/p", Head(), [fact], at=NOON, actor="a", event_ids=["e"])
    lines = rfc8785.dumps([msgspec.to_builtins(line) for line in entry.postings])
    whole = {
        "actor": entry.actor,
        "at": "2026-03-02T12:00:00.123456Z",
        "data": json.loads(entry.data),
        "event_id": entry.event_id,
        "postings": hashlib.sha256(lines).hexdigest(),
        "prev_hash": entry.prev_hash,
        "rules_version": entry.rules_version,
        "seq": entry.seq,
        "stream": entry.stream,
        "type": entry.type,
    }
    assert entry.hash == hashlib.sha256(rfc8785.dumps(whole)).hexdigest()


def chain() -> list[e.Fact]:
    return [payment_created("p"), stray_money(), stray_money(5, "ch_2")]


def test_a_whole_chain_has_no_breaks_and_each_change_is_seen() -> None:
    ids = itertools.islice(new_ids(), 3)
    entries = seal("payment/p", Head(), chain(), at=NOON, actor="a", event_ids=ids)
    assert chain_breaks(entries) == []
    first, second, third = entries
    changed = replace(second, data=second.data.replace(b"700", b"701"))
    assert chain_breaks([first, changed, third])
    assert chain_breaks([first, third])
    assert chain_breaks([second, first, third])
    assert chain_breaks([first, replace(second, postings=()), third])
    assert chain_breaks([first, replace(second, actor="b"), third])
    forged = replace(second, actor="b")
    forged = replace(forged, hash=entry_hash(forged))
    assert chain_breaks([first, forged, third]) == [
        "payment/p seq 3: does not follow the entry before it"
    ]


def test_a_fact_this_version_lacks_is_no_guess() -> None:
    with pytest.raises(BrokenInvariant):
        decode_fact("PaymentTeleported", b"{}")
