"""A vendor's debts and its statement over HTTP."""

from __future__ import annotations

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.debt_events import DebtCause, VendorDebtIncurred
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import WORKER, Actor, Role
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.workflows.write_path import WritePath, Written
from tests.api import harness as h
from tests.api.harness import Api
from tests.fakes.gateway import IDENTITY

VERA = Actor("vera", Role.VENDOR, vendor_id="v_owing")


async def owes(api: Api, vendor_id: str, debt_id: str = "re_1") -> str:
    """The vendor was paid for a job whose payer got the money back; where to forgive that."""
    record = {"contacts": {"name": "Laramie Towing"}}
    await api.call("PUT", f"/vendors/{vendor_id}", h.ADMIN, record)
    incurred = VendorDebtIncurred(
        vendor_id,
        debt_id,
        DebtCause.REFUND,
        "pay_1",
        "i_9001",
        Money(20_000, "usd"),
        IDENTITY.account,
        IDENTITY.livemode,
    )

    def decide(_: Vendor | None) -> tuple[VendorDebtIncurred, ...]:
        return (incurred,)

    path = WritePath(api.service.store, api.service.clock, api.service.ids)
    _: Written[Vendor] = await path.write(stream_of("vendor", vendor_id), decide, actor=WORKER)
    return f"/vendors/{vendor_id}/debts/{debt_id}/forgive"


async def test_a_debt_is_forgiven_once_and_becomes_our_loss(api: Api) -> None:
    forgive = await owes(api, "v_let_off")
    body = {"amountCents": 5_000, "reason": "The refund was our mistake."}
    key = {"Idempotency-Key": "one"}
    first = await api.post(forgive, h.ADMIN, body, headers=key)
    again = await api.post(forgive, h.ADMIN, body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    for reply in (first, again, await api.get("/vendors/v_let_off/debts", h.AUDITOR)):
        [debt] = reply.json["items"]
        assert (debt["forgivenCents"], debt["outstandingCents"]) == (5_000, 15_000)
    lost = [
        line.amount_cents
        for line in await api.service.store.balances()
        if line.account in ("debts_forgiven", "vendor_payable:v_let_off")
    ]
    assert lost == [5_000, -5_000]
    rest = await api.post(forgive, h.ADMIN, {"reason": "All of it."})
    assert rest.json["items"][0]["outstandingCents"] == 0
    assert (await api.post(forgive, h.ADMIN, {"reason": "More."})).status == 409


async def test_what_cannot_be_forgiven_is_refused(api: Api) -> None:
    forgive = await owes(api, "v_strict")
    too_much = await api.post(forgive, h.ADMIN, {"amountCents": 20_001, "reason": "x"})
    assert (too_much.status, too_much.code) == (400, "invalid_input")
    assert (await api.post(forgive, h.ADMIN, {})).status == 400
    no_debt = forgive.replace("re_1", "re_none")
    assert (await api.post(no_debt, h.ADMIN, {"reason": "x"})).status == 404
    no_vendor = forgive.replace("v_strict", "v_none")
    assert (await api.post(no_vendor, h.ADMIN, {"reason": "x"})).status == 404


async def test_a_vendor_reads_its_statement_and_what_was_forgiven(api: Api) -> None:
    forgive = await owes(api, "v_owing")
    await api.post(forgive, h.ADMIN, {"amountCents": 5_000, "reason": "Our mistake."})
    told = (await api.get("/vendors/v_owing/statement", VERA)).json
    [account] = told["accounts"]
    assert [one["step"] for one in account["debtLines"]] == ["incurred", "forgiven"]
    assert (account["owedBeforeCents"], account["owedCents"]) == (0, 15_000)
    assert "we let you off $50.00 of what you owed us for a refund of job i_9001" in told["words"]
    assert "Our mistake." not in told["words"]
    past = (await api.get("/vendors/v_owing/statement?month=2025-01", h.AUDITOR)).json
    assert (past["accounts"], past["until"][:10]) == ([], "2025-02-01")
    for month in ("2025-13", "now", "2099-12"):
        reply = await api.get(f"/vendors/v_owing/statement?month={month}", VERA)
        assert (reply.status, reply.code) == (400, "invalid_input")


async def test_a_cap_of_its_own_stays_until_the_record_leaves_it_out(api: Api) -> None:
    record = {"contacts": {"name": "Laramie Towing"}}
    for cap in (2_500, 0, None):
        named = {} if cap is None else {"debtCapBps": cap}
        put = await api.call("PUT", "/vendors/v_capped", h.ADMIN, record | named)
        assert put.json["debtCapBps"] == cap
        assert (await api.get("/vendors/v_capped", h.AUDITOR)).json["debtCapBps"] == cap
    entries = await api.service.store.journal(stream_of("vendor", "v_capped"))
    assert [entry.type for entry in entries][-3:] == ["DebtCapAgreed"] * 3
    for wrong in (10_001, -1, 2.5, "2500"):
        refused = await api.call("PUT", "/vendors/v_odd", h.ADMIN, record | {"debtCapBps": wrong})
        assert (refused.status, refused.json["field"]) == (400, "debtCapBps")
