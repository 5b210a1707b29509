"""Reads, and finding what any id belongs to: our own, Stripe's, an event's, an incident's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadcall_payments.commit import Commit, InboxEvent, InboxInsert, InboxStatus
from roadcall_payments.domain.errors import NotFound, StripeUnavailable
from roadcall_payments.ports import PaymentQuery, Store
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.workflows.queries import Queries
from tests.fakes.gateway import FakeGateway
from tests.workflows.stories import Storyteller, World


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_sqlite(tmp_path / "world.sqlite")
    yield store
    await store.close()


@pytest.fixture
async def world(store: Store) -> World:
    return await Storyteller(store).world()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def queries(store: Store, gateway: FakeGateway) -> Queries:
    return Queries(store, gateway)


async def kept(store: Store, event_id: str, stream: str | None) -> None:
    event = InboxEvent(
        event_id,
        "payment_intent.succeeded",
        "platform",
        datetime(2026, 3, 2, tzinfo=UTC),
        b"{}",
        InboxStatus.APPLIED if stream else InboxStatus.KEPT,
        stream=stream,
    )
    await store.commit([Commit(inbox=InboxInsert(event))])


async def test_a_payment_its_timeline_and_its_texts(queries: Queries, world: World) -> None:
    payment = await queries.payment(world.driver_payment)
    timeline = await queries.timeline(world.driver_payment)
    assert [entry.seq for entry in timeline] == list(range(1, len(timeline) + 1))
    assert timeline[-1].type == "BalanceTransactionBooked"
    assert set((await queries.texts(payment)).values()) == {
        "Two tyres on the I-80",
        "Tyre 315/80 R22.5",
    }


@pytest.mark.parametrize("nobodys", ["0195ffff-0000-7000-8000-000000000000", "", "ve_tow"])
async def test_an_unknown_payment_is_not_found(
    queries: Queries, world: World, nobodys: str
) -> None:
    with pytest.raises(NotFound):
        await queries.payment(nobodys)
    with pytest.raises(NotFound):
        await queries.timeline(nobodys)


async def test_payments_are_listed_newest_first(queries: Queries, world: World) -> None:
    page = await queries.payments(PaymentQuery(incident_id="in_1"))
    assert [payment.id for payment in page.items] == [world.driver_payment]
    everything = await queries.payments(PaymentQuery())
    assert everything.items[0].id == world.open_payment


async def test_every_kind_of_id_leads_to_its_stream(
    queries: Queries, store: Store, world: World
) -> None:
    driver = f"payment/{world.driver_payment}"
    back_office = f"payment/{world.back_office_payment}"
    await kept(store, "evt_1", driver)
    leads = {
        world.driver_payment: driver,
        driver: driver,
        "pi_1": driver,
        "ch_1": driver,
        "evt_1": driver,
        "in_1": driver,
        "tr_1": back_office,
        "ve_tow": "vendor/ve_tow",
        "po_1": "payout/po_1",
        "movements": "control/movements",
    }
    assert {any_id: await queries.find(any_id) for any_id in leads} == {
        any_id: [stream] for any_id, stream in leads.items()
    }


@pytest.mark.parametrize("nobodys", ["pi_2", "evt_2", "payment/none", "0195ffff", "", "%"])
async def test_what_nobody_knows_leads_nowhere(
    queries: Queries, world: World, nobodys: str
) -> None:
    assert await queries.find(nobodys) == []


async def test_an_event_that_changed_nothing_leads_to_no_stream(
    queries: Queries, store: Store, world: World
) -> None:
    await kept(store, "evt_stranger", None)
    assert await queries.find("evt_stranger") == []


async def test_stripe_ids_are_found_while_stripe_is_down(
    queries: Queries, gateway: FakeGateway, world: World
) -> None:
    gateway.down = StripeUnavailable("Stripe does not answer.")
    assert await queries.find("tr_1") == [f"payment/{world.back_office_payment}"]
