"""Translation is total: Stripe's JSON becomes our object, or a clear error that names the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import IntentStatus, Operation
from roadcall_payments.stripe_gateway import mapping
from roadcall_payments.stripe_gateway.amounts import CURRENCIES
from roadcall_payments.stripe_gateway.mapping import BadEvent, Untranslatable
from tests.adapters.scripted_stripe import balance_transaction_json, intent_json, transfer_json

PAYOUT: dict[str, object] = {
    "id": "po_1",
    "object": "payout",
    "status": "paid",
    "amount": 5_000,
    "currency": "usd",
    "arrival_date": 1_790_000_000,
}
REFUND: dict[str, object] = {
    "id": "re_1",
    "object": "refund",
    "status": "succeeded",
    "amount": 500,
    "currency": "usd",
    "payment_intent": "pi_1",
    "charge": "ch_1",
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
two_decimals = st.sampled_from(sorted(CURRENCIES - {"isk", "ugx", "mga"}))
times = st.integers(0, 253_402_300_799)
ids = st.from_regex(r"[a-z]{2,3}_[A-Za-z0-9]{1,20}", fullmatch=True)

EVERY_OBJECT: list[tuple[Callable[[mapping.Json], object], dict[str, object]]] = [
    (mapping.read_payment_intent, intent_json()),
    (mapping.read_transfer, transfer_json()),
    (mapping.read_payout, PAYOUT),
    (mapping.read_refund, REFUND),
]


@given(
    intent_id=ids,
    status=st.sampled_from(list(IntentStatus)),
    amount=st.integers(1, 10**12),
    currency=two_decimals,
    livemode=st.booleans(),
    created=times,
    metadata=st.dictionaries(st.text(max_size=40), st.text(max_size=200), max_size=5),
    charge=st.none() | ids,
    unread=json_values,
)
def test_a_payment_intent_is_translated_field_by_field(
    intent_id: str,
    status: IntentStatus,
    amount: int,
    currency: str,
    livemode: bool,
    created: int,
    metadata: dict[str, str],
    charge: str | None,
    unread: object,
) -> None:
    body = intent_json(
        id=intent_id,
        status=status.value,
        amount=amount,
        currency=currency,
        livemode=livemode,
        created=created,
        metadata=metadata,
        latest_charge=charge,
        a_field_of_next_year=unread,
    )
    read = mapping.read_payment_intent(json.dumps(body))
    assert (read.id, read.status, read.amount) == (intent_id, status, Money(amount, currency))
    assert (read.livemode, read.created) == (livemode, datetime.fromtimestamp(created, UTC))
    assert (read.metadata, read.latest_charge) == (metadata, charge)


@given(
    amount=st.integers(-(10**12), 10**12),
    fee=st.integers(-(10**6), 10**6),
    currency=two_decimals,
    created=times,
    available_on=times,
)
def test_a_line_of_stripes_books_keeps_its_signs(
    amount: int, fee: int, currency: str, created: int, available_on: int
) -> None:
    line = balance_transaction_json(
        amount=amount,
        fee=fee,
        net=amount - fee,
        currency=currency,
        created=created,
        available_on=available_on,
    )
    body = {"object": "list", "data": [line], "has_more": False}
    [read] = mapping.read_balance_transactions(json.dumps(body)).items
    assert read.amount == read.net + read.fee == Money(amount, currency)
    assert read.available_on == datetime.fromtimestamp(available_on, UTC)


@pytest.mark.parametrize(("read", "whole"), EVERY_OBJECT)
@given(data=st.data())
def test_a_changed_field_is_read_or_untranslatable_and_nothing_else(
    read: Callable[[mapping.Json], object], whole: dict[str, object], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(whole)))
    value = data.draw(json_values | st.integers())
    with suppress(Untranslatable):
        read(json.dumps({**whole, name: value}))


@pytest.mark.parametrize(("read", "whole"), EVERY_OBJECT)
@given(body=json_values.map(json.dumps) | st.text())
def test_anything_at_all_is_untranslatable_at_worst(
    read: Callable[[mapping.Json], object], whole: dict[str, object], body: str
) -> None:
    with pytest.raises(Untranslatable):
        read(body.encode(errors="replace"))


@given(body=json_values.map(json.dumps) | st.text(), data=st.data())
def test_anything_at_all_is_a_bad_event_at_worst(body: str, data: st.DataObject) -> None:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": data.draw(st.sampled_from(sorted(mapping.READER_OF_EVENT))),
        "livemode": False,
        "created": 1,
        "data": {"object": data.draw(json_values)},
        data.draw(st.sampled_from(["id", "type", "data", "created", "x"])): data.draw(json_values),
    }
    for content in (body, json.dumps(event)):
        with suppress(BadEvent):
            mapping.read_event(content.encode(errors="replace"))


@pytest.mark.parametrize(
    ("read", "whole", "status"),
    [(read, whole, "pondering") for read, whole in EVERY_OBJECT if "status" in whole],
)
def test_an_unknown_status_is_named(
    read: Callable[[mapping.Json], object], whole: dict[str, object], status: str
) -> None:
    with pytest.raises(Untranslatable, match="pondering"):
        read(json.dumps({**whole, "status": status}))


@pytest.mark.parametrize(("read", "whole"), EVERY_OBJECT)
def test_another_kind_of_object_is_not_taken_for_it(
    read: Callable[[mapping.Json], object], whole: dict[str, object]
) -> None:
    with pytest.raises(Untranslatable, match="object"):
        read(json.dumps({**whole, "object": "customer"}))


def test_every_operation_has_its_reader() -> None:
    assert set(mapping.READER_OF_OPERATION) == set(Operation)
