"""Webhooks that arrive together: each fares as it would alone, whatever its neighbours are."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Conflict,
    InboxInsert,
    InboxStatus,
    Unique,
)
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput, StoreUnavailable
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import IntentStatus, PaymentIntent
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.workflows.office import Office
from tests.workflows.test_interleavings import intent_at_stripe, kept

SUCCEEDED = "payment_intent.succeeded"


async def success_of(office: Office, payment_id: str, event_id: str) -> bytes:
    intent = await intent_at_stripe(office, payment_id)
    return office.stripe.event(event_id, SUCCEEDED, paid(intent, f"ch_{payment_id}"))


def paid(intent: PaymentIntent, charge: str) -> PaymentIntent:
    return replace(intent, status=IntentStatus.SUCCEEDED, latest_charge=charge)


async def arrive(office: Office, *bodies: bytes) -> list[str | BaseException]:
    take = office.service.webhook_inbox.take
    return await asyncio.gather(
        *(take(body, GOOD_SIGNATURE) for body in bodies), return_exceptions=True
    )


async def test_each_of_many_moves_its_own_payment(office: Office) -> None:
    payments = [await office.opened() for _ in range(5)]
    bodies = [await success_of(office, one, f"evt_{n}") for n, one in enumerate(payments)]
    assert await arrive(office, *bodies) == [f"evt_{n}" for n in range(5)]
    for number, one in enumerate(payments):
        assert (await office.payment(one)).status is Status.COMPLETED
        assert (await kept(office, f"evt_{number}")).status is InboxStatus.APPLIED


async def test_m16_the_same_event_twice_at_once_counts_once(office: Office) -> None:
    payment_id = await office.opened()
    body = await success_of(office, payment_id, "evt_1")
    assert await arrive(office, body, body) == ["evt_1", "evt_1"]
    assert (await office.facts(payment_id)).count("PaymentCompleted") == 1


async def test_m16_two_events_of_one_payment_at_once_are_both_kept(office: Office) -> None:
    payment_id = await office.opened()
    bodies = [await success_of(office, payment_id, f"evt_{n}") for n in range(2)]
    assert await arrive(office, *bodies) == ["evt_0", "evt_1"]
    assert (await office.facts(payment_id)).count("PaymentCompleted") == 1
    assert [(await kept(office, f"evt_{n}")).status for n in range(2)] == [InboxStatus.APPLIED] * 2


async def test_a_forged_one_is_refused_and_its_neighbours_are_taken(office: Office) -> None:
    payment_id = await office.opened()
    body = await success_of(office, payment_id, "evt_1")
    take = office.service.webhook_inbox.take
    forged, taken = await asyncio.gather(
        take(body, "t=1,v1=forged"), take(body, GOOD_SIGNATURE), return_exceptions=True
    )
    assert isinstance(forged, InvalidInput)
    assert taken == "evt_1"
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m19_one_that_cannot_be_written_waits_alone(office: Office) -> None:
    poisoned, sound = await office.opened(), await office.opened()
    bodies = [await success_of(office, one, f"evt_{one}") for one in (poisoned, sound)]

    def trouble(commit: Commit) -> CommitResult | None:
        if any(write.stream.endswith(poisoned) for write in commit.streams):
            raise BrokenInvariant("It cannot be stored.")
        return None

    office.troubled.trouble = trouble
    assert await arrive(office, *bodies) == [f"evt_{poisoned}", f"evt_{sound}"]
    assert (await office.payment(sound)).status is Status.COMPLETED
    assert (await office.payment(poisoned)).status is Status.PROCESSING
    assert (await kept(office, f"evt_{poisoned}")).status is InboxStatus.WAITING


async def test_m25_a_payment_that_moved_meanwhile_is_decided_again(office: Office) -> None:
    payment_id = await office.opened()
    body = await success_of(office, payment_id, "evt_1")
    struck: list[str] = []

    def trouble(commit: Commit) -> CommitResult | None:
        if commit.streams and not struck:
            struck.append(commit.streams[0].stream)
            return Conflict(Unique.STREAM, commit.streams[0].stream)
        return None

    office.troubled.trouble = trouble
    assert await arrive(office, body) == ["evt_1"]
    assert struck
    assert (await office.facts(payment_id)).count("PaymentCompleted") == 1


async def test_m14_a_success_that_names_a_payment_which_is_not_its_own_moves_nothing(
    office: Office,
) -> None:
    named, own = await office.opened(), await office.opened()
    intent = paid(await intent_at_stripe(office, own), "ch_1")
    strange = replace(intent, id="pi_of_nobody", metadata={**intent.metadata, "paymentId": named})
    body = office.stripe.event("evt_1", SUCCEEDED, strange)
    assert await arrive(office, body) == ["evt_1"]
    assert (await office.payment(named)).status is Status.PROCESSING
    assert (await kept(office, "evt_1")).status is not InboxStatus.APPLIED


async def test_m19_nothing_is_taken_while_the_store_is_away(office: Office) -> None:
    payment_id = await office.opened()
    body = await success_of(office, payment_id, "evt_1")

    def away(commit: Commit) -> CommitResult | None:
        if isinstance(commit.inbox, InboxInsert):
            raise StoreUnavailable("It is away.")
        return None

    office.troubled.trouble = away
    (answer,) = await arrive(office, body)
    assert isinstance(answer, StoreUnavailable)
    assert (await office.payment(payment_id)).status is Status.PROCESSING
