"""The parts that make payouts, joined: what they need comes from the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.paying_out import PayoutMinimum
from roadcall_payments.ports import Gateway, Ids, NoticeTemplates
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.payout_movement import PayoutMovement
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.payout_recovery import PayoutRecovery
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.payouts import Payouts
from roadcall_payments.workflows.remittance import Remittances
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.write_path import WritePath


@dataclass(frozen=True, slots=True)
class PayoutParts:
    payouts: Payouts
    recovery: PayoutRecovery
    statement: PayoutStatement


def join_payouts(
    write_path: WritePath,
    gateway: Gateway,
    ids: Ids,
    switch: MovementsSwitch,
    vendors: Vendors,
    templates: NoticeTemplates,
    minimum: PayoutMinimum,
    budget_s: float,
) -> PayoutParts:
    """``budget_s``: the longest that a request waits for Stripe, in seconds (M32)."""
    store, clock = write_path.store, write_path.clock
    reading = PayoutReading(write_path, store, gateway)
    movement = PayoutMovement(write_path, gateway, reading, switch, clock, budget_s)
    payouts = Payouts(write_path, store, gateway, movement, switch, vendors, ids, minimum)
    statement = PayoutStatement(gateway, Remittances(store, gateway), vendors, templates)
    return PayoutParts(payouts, PayoutRecovery(movement, reading), statement)
