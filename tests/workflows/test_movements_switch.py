"""The pause switch: journalled, repeatable without effect, with its reason kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.workflows.movements_switch import MOVEMENTS, MovementsSwitch
from tests.new_sqlite import open_new_sqlite
from tests.workflows.stories import ADMIN, DISPATCHER, Storyteller


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[MovementsSwitch]:
    store = open_new_sqlite(tmp_path / "switch.sqlite")
    yield MovementsSwitch(Storyteller(store).write_path, store)
    await store.close()


async def entries(switch: MovementsSwitch) -> list[tuple[str, str]]:
    journal = await switch._store.journal(MOVEMENTS)
    return [(entry.type, entry.actor) for entry in journal]


async def test_untouched_it_has_no_state(switch: MovementsSwitch) -> None:
    assert await switch.state() is None


async def test_pause_and_resume_are_kept_with_who_and_why(switch: MovementsSwitch) -> None:
    paused = await switch.pause(ADMIN, "  Stripe reports an incident ")
    assert (paused.paused, paused.by, paused.reason) == (
        True,
        "admin:ada",
        "Stripe reports an incident",
    )
    assert await switch.state() == paused
    resumed = await switch.resume(DISPATCHER)
    assert (resumed.paused, resumed.by) == (False, "dispatcher:dana")
    assert await entries(switch) == [
        ("MovementsPaused", "admin:ada"),
        ("MovementsResumed", "dispatcher:dana"),
    ]


async def test_a_second_pause_keeps_the_first_reason_and_writes_nothing(
    switch: MovementsSwitch,
) -> None:
    first = await switch.pause(ADMIN, "a drill")
    assert await switch.pause(DISPATCHER, "another drill") == first
    assert len(await entries(switch)) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
async def test_a_pause_needs_a_reason(switch: MovementsSwitch, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await switch.pause(ADMIN, reason)
    assert refused.value.field == "reason"
    assert await switch.state() is None


async def test_resuming_what_was_never_paused_leaves_it_running(switch: MovementsSwitch) -> None:
    assert (await switch.resume(ADMIN)).paused is False
    assert (await switch.resume(ADMIN)).paused is False
    assert len(await entries(switch)) == 1
