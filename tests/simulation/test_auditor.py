"""The auditor is silent about a clean world, and sees each falsehood put into it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import rfc8785

from roadcall_payments.stores.sqlite.store import open_sqlite
from tests.simulation.audit.chains import audit_chain, sorted_form
from tests.simulation.audit.chart import UnknownFact, expected_postings
from tests.simulation.audit.debts import SetOffStart, audit_debts, debt_book
from tests.simulation.audit.journal_facts import Amount, Fact
from tests.simulation.audit.payment_book import PaymentBook, payment_book
from tests.simulation.audit.small_world import Remains, small_world
from tests.simulation.audit.stripes_units import stripes_units
from tests.simulation.audit.tamperings import TAMPERINGS, Tampering

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    return small_world(tmp_path_factory.mktemp("world"))


async def test_a_clean_world_has_no_violation(clean: Remains) -> None:
    assert await clean.violations() == []


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda one: one.name)
async def test_each_falsehood_is_seen(clean: Remains, tmp_path: Path, tampering: Tampering) -> None:
    falsified = clean.copied(tmp_path)
    tampering.apply(falsified)
    found = await falsified.violations()
    assert any(one.rule == tampering.rule and tampering.said in one.sentence for one in found), [
        str(one) for one in found
    ]


async def test_both_canonical_forms_agree(clean: Remains) -> None:
    store = open_sqlite(clean.database)
    try:
        stored = await store.streams()
        heads = {one.stream: (one.head.seq, one.head.hash) for one in stored}
        for name, (seq, digest) in heads.items():
            entries = await store.journal(name)
            for canonical in (rfc8785.dumps, sorted_form):
                assert list(audit_chain(name, entries, (seq, digest), canonical)) == []
    finally:
        await store.close()


async def test_what_strangers_made_on_purpose_is_no_violation(
    clean: Remains, tmp_path: Path
) -> None:
    falsified = clean.copied(tmp_path)
    claim = next(one for one in TAMPERINGS if one.name == "a stranger's claim")
    claim.apply(falsified)
    falsified.strangers = frozenset({"tr_more"})
    assert await falsified.violations() == []


async def test_what_is_published_twice_is_no_violation(clean: Remains, tmp_path: Path) -> None:
    again = clean.copied(tmp_path)
    again.published += again.published[-5:]
    assert await again.violations() == []


CREATED = {
    "payment_id": "p1",
    "company_id": "co_1",
    "incident_id": "in_1",
    "vendor_id": "ve_1",
    "payer_type": "back_office",
    "amount": {"amount_cents": 100, "currency": "usd"},
    "created_by": "dispatcher:us_1",
}
CLEAR, FLAGGED = {"flagged": False}, {"flagged": True}
APPROVED = {"destination": "acct_1"}
DONE = {
    "payer_type": "back_office",
    "object_id": "tr_1",
    "amount": {"amount_cents": 100, "currency": "usd"},
    "account": "acct_0",
    "company_id": "co_1",
    "vendor_id": "ve_1",
    "destination": "acct_1",
}


def started(key: str, destination: str) -> dict[str, object]:
    request = {"idempotency_key": key, "account": "acct_0", "livemode": False, "params": "{}"}
    return {"request": request, "destination": destination}


def folded(told: Sequence[tuple[str, object]], actor: str = "dispatcher:us_2") -> PaymentBook:
    facts = [Fact(name, AT, actor, msgspec.json.encode(data)) for name, data in told]
    return payment_book("payment/p1", facts)


def rules(*told: tuple[str, object], actor: str = "dispatcher:us_2") -> set[str]:
    return {one.rule for one in folded(told, actor).violations}


def given_up(*told: tuple[str, object]) -> dict[str, str]:
    return folded(told).given_up


BEGINNING = (("PaymentCreated", CREATED), ("PaymentScored", CLEAR))


def test_what_the_journal_alone_gives_away() -> None:
    approved = (*BEGINNING, ("PaymentApproved", APPROVED))
    assert rules(*approved, ("ProcessingStarted", started("k", "acct_1"))) == set()
    assert rules(*approved, actor="dispatcher:us_1") == {"M10"}
    assert rules(*approved, ("ProcessingStarted", started("k", "acct_2"))) == {"M10"}
    assert rules(BEGINNING[0], ("PaymentApproved", APPROVED)) == {"M12"}
    flagged = (BEGINNING[0], ("PaymentScored", FLAGGED), ("PaymentApproved", APPROVED))
    assert rules(*flagged) == {"M12"}
    twice = [("ProcessingStarted", started("k", "acct_1"))] * 2
    assert rules(*approved, *twice) == {"M4"}
    assert given_up(*approved, ("ProcessingStarted", started("k", "acct_1"))) == {}
    failed: Sequence[tuple[str, object]] = (
        *approved,
        ("ProcessingStarted", started("k", "acct_1")),
        ("PaymentFailed", {}),
    )
    assert rules(*approved, ("PaymentFailed", {"code": "authentication"})) == {"M5"}
    assert given_up(*failed) == {"k": "PaymentFailed"}
    ended = (*approved, ("PaymentCompleted", DONE))
    assert rules(*ended, ("PaymentFailed", {})) == {"M16"}


def set_off(name: str, key: str, cents: int, debt_id: str | None = None) -> tuple[str, object]:
    shares = [{"debt_id": debt_id, "amount_cents": cents}] if debt_id else []
    amount = {"amount_cents": cents, "currency": "usd"}
    return name, {"transfer_key": key, "payment_id": "p2", "amount": amount, "shares": shares}


def debt_rules(*told: tuple[str, object], adopted_cents: int = 50) -> set[str]:
    """Of a vendor with a debt of 50 in the end, and a transfer that a restore adopted."""
    book = debt_book("ve_1", [Fact(n, AT, "system:w", msgspec.json.encode(d)) for n, d in told])
    start = SetOffStart("k", "p2", "ve_1", adopted_cents, AT, "completed", None, adopted=True)
    return {one.rule for one in audit_debts({"ve_1": book}, [start], {("ve_1", "p1", "re_1"): 50})}


def test_m18_a_set_off_whose_debt_a_restore_lost_is_credited_and_used_once() -> None:
    amount = {"amount_cents": 50, "currency": "usd"}
    owed = ("VendorDebtIncurred", {"debt_id": "re_1", "payment_id": "p1", "amount": amount})
    credited = set_off("SetOffCredited", "k", 50)
    assert debt_rules(credited, owed, set_off("DebtSetOff", "k", 50, "re_1")) == set()
    assert debt_rules(owed, set_off("DebtSetOff", "k", 50, "re_1")) == set()
    # Given back at once, as if nothing were to come; or collected by another transfer as well.
    assert debt_rules(set_off("SetOffExceededDebt", "k", 50), owed) == {"M18", "M22"}
    assert debt_rules(credited, owed, set_off("DebtReserved", "k3", 50, "re_1")) == {"M22"}
    assert debt_rules(set_off("SetOffCredited", "k", 40), owed) == {"M18"}
    assert debt_rules(credited, owed, set_off("DebtSetOff", "k", 51, "re_1")) == {"M22"}


def test_a_payment_begins_with_its_creation() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        payment_book("payment/p1", [])


def test_the_auditors_own_postings_balance_and_unknown_facts_have_no_place_in_them() -> None:
    posted = expected_postings(Fact("PaymentCompleted", AT, "", msgspec.json.encode(DONE)))
    assert posted == [
        ("acct_0", "fleet_receivable:co_1", "usd", 100),
        ("acct_0", "stripe_clearing", "usd", -100),
        ("acct_1", "stripe_balance", "usd", 100),
        ("acct_1", "earnings", "usd", -100),
    ]
    with pytest.raises(UnknownFact):
        expected_postings(Fact("SomethingNew", AT, "", b"{}"))


def test_stripes_units_are_not_always_ours() -> None:
    amounts = [Amount(5, "usd"), Amount(5, "jpy"), Amount(5, "isk"), Amount(500, "mga")]
    assert [stripes_units(amount) for amount in amounts] == [5, 5, 500, 5]
