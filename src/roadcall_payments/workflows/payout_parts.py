"""The parts that make payouts, joined: what they need comes from the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.paying_out import PayoutMinimum
from roadcall_payments.ports import Gateway, Ids, NoticeTemplates
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.payout_movement import PayoutMovement
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.payout_recovery import PayoutRecovery
from roadcall_payments.workflows.payout_schedule import PayoutSchedule
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.payouts import Payouts
from roadcall_payments.workflows.remittance import Remittances
from roadcall_payments.workflows.vendor_statement import VendorStatements
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.write_path import WritePath


@dataclass(frozen=True, slots=True)
class PayoutRules:
    """``hour_utc``: of the day's payouts. ``budget_s``: the longest that a request waits for
    Stripe, in seconds (M32). ``set_off_cap_bps``: how much of a transfer pays debts (M22)."""

    minimum: PayoutMinimum
    hour_utc: int
    budget_s: float
    set_off_cap_bps: int


@dataclass(frozen=True, slots=True)
class PayoutParts:
    payouts: Payouts
    recovery: PayoutRecovery
    statement: PayoutStatement
    schedule: PayoutSchedule
    vendor_statements: VendorStatements


def join_payouts(
    write_path: WritePath,
    gateway: Gateway,
    ids: Ids,
    switch: MovementsSwitch,
    vendors: Vendors,
    templates: NoticeTemplates,
    rules: PayoutRules,
) -> PayoutParts:
    store, clock = write_path.store, write_path.clock
    reading = PayoutReading(write_path, store, gateway)
    movement = PayoutMovement(write_path, gateway, reading, switch, clock, rules.budget_s)
    payouts = Payouts(write_path, store, gateway, movement, switch, vendors, ids, rules.minimum)
    remittances = Remittances(store, gateway, clock)
    statement = PayoutStatement(gateway, reading, remittances, vendors, templates)
    schedule = PayoutSchedule(
        write_path, gateway, payouts, switch, vendors, rules.minimum, rules.hour_utc
    )
    monthly = VendorStatements(store, clock, templates, rules.set_off_cap_bps)
    recovery = PayoutRecovery(movement, reading)
    return PayoutParts(payouts, recovery, statement, schedule, monthly)
