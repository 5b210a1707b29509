"""The parts joined: what opens is closed, and what cannot be is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadcall_payments.bootstrap import open_service
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput, StoreUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from tests.postgres_server import PostgresServer

CALLER = Actor("intake", Role.SERVICE, company_id="co_1")
NEW = NewPayment(
    "co_1",
    "in_1",
    "ve_1",
    "dr_1",
    PayerType.DRIVER_IC,
    Money(12_500, "usd"),
    (NewLineItem("tow", 1, 12_500),),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer
) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    with postgres.fresh_database() as url:
        yield Settings.model_validate({"data_dir": tmp_path, "database_url": url})


async def test_an_opened_service_works_and_keeps_what_it_wrote(settings: Settings) -> None:
    async with open_service(settings) as service:
        payment = (await service.intake.create(CALLER, NEW)).payment
        assert await service.worker.work_off() > 0
    async with open_service(settings) as again:
        assert await again.queries.payment(payment.id) == payment
        assert await again.verification.verify(lambda _: None) == []
        assert await again.worker.work_off() == 0


async def test_a_closed_service_is_closed(settings: Settings) -> None:
    async with open_service(settings) as service:
        pass
    with pytest.raises(StoreUnavailable):
        await service.store.ready()


@pytest.mark.parametrize(
    ("refused", "name"),
    [
        ({"table_name": "payments"}, "TABLE_NAME"),
        ({"smtp_url": "mail.example:25"}, "ROADCALL_SMTP_URL"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    refused: dict[str, str], name: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, **refused})
    with pytest.raises(InvalidInput) as refusal:
        async with open_service(settings):
            raise AssertionError("it opened")
    assert refusal.value.field == name
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(("key", "opens"), [("sk_test_1", True), ("rk_live_1", False)])
async def test_a_drills_clock_never_meets_live_keys(key: str, opens: bool, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text(f'{{"apiKey": "{key}", "webhookSecret": "whsec_1", "connectEnabled": true}}')
    settings = Settings(data_dir=tmp_path, stripe_secrets_file=secrets, clock_offset_s=86_400)
    if opens:
        async with open_service(settings) as service:
            assert service.clock.now() is not None
        return
    with pytest.raises(InvalidInput, match="live keys"):
        async with open_service(settings):
            raise AssertionError("it opened")
