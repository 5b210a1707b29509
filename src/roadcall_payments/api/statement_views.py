"""A vendor's statement, and its debts, as callers see them."""

from __future__ import annotations

from typing import Final

from pydantic import Field, JsonValue

from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    PAYMENT_ID,
    REFUND_ID,
    Instant,
    View,
    with_example,
)
from roadcall_payments.domain.debt import Debt
from roadcall_payments.domain.debt_events import DebtCause
from roadcall_payments.domain.statement import (
    Account,
    DebtLine,
    DebtStep,
    LineKind,
    StatementLine,
)
from roadcall_payments.workflows.vendor_statement import StatementTold

DEBT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": REFUND_ID,
    "cause": "refund",
    "paymentId": PAYMENT_ID,
    "incidentId": "i_9001",
    "amountCents": 20000,
    "currency": "usd",
    "outstandingCents": 13750,
    "reservedCents": 0,
    "setOffCents": 6250,
    "forgivenCents": 0,
    "reducedCents": 0,
    "incurredAt": EXAMPLE_AT,
}
_LATER_JOB: Final = "01938f7a-52c4-7e10-b3a8-2c9d4f1e6a07"


class DebtView(View):
    """What a refund or a lost dispute took back of the vendor's money, and no reversal could
    bring. Minor units of the currency."""

    model_config = with_example(DEBT_EXAMPLE)

    id: str
    cause: DebtCause
    payment_id: str
    incident_id: str
    amount_cents: int
    currency: str
    outstanding_cents: int
    reserved_cents: int = Field(description="Of that, with transfers that are under way.")
    set_off_cents: int = Field(description="Paid out of later transfers.")
    forgiven_cents: int
    reduced_cents: int = Field(
        description="Not owed after all: its cause came to nothing, or the money came back."
    )
    incurred_at: Instant


class StatementLineView(View):
    """`netCents` moved the balance, signed: earned, less our fee and what was set off."""

    kind: LineKind
    at: Instant
    stripe_account_id: str | None
    net_cents: int
    earned_cents: int
    fee_cents: int
    set_off_cents: int
    payment_id: str | None
    incident_id: str | None
    cause: DebtCause | None = Field(description="Of what was taken back; null: at Stripe, by hand.")
    cause_id: str | None
    payout_id: str | None
    reason: str | None = Field(description="Stripe's, of a payout that came back.")


class DebtLineView(View):
    """What happened to the debt of `paymentId`; `fromPaymentId` is the transfer that paid it."""

    step: DebtStep
    at: Instant
    amount_cents: int
    debt_id: str | None
    cause: DebtCause | None
    payment_id: str | None
    incident_id: str | None
    from_payment_id: str | None
    from_incident_id: str | None


class TotalsView(View):
    """Sums of the lines, none negative; they lead from the opening balance to the closing one."""

    earned_cents: int
    fee_cents: int
    set_off_cents: int
    taken_back_cents: int
    paid_out_cents: int
    came_back_cents: int
    other_cents: int = Field(description="Signed: what no job or payout explains.")


class AccountView(View):
    """One currency, in its minor units."""

    currency: str
    opening_cents: int
    closing_cents: int
    totals: TotalsView
    lines: list[StatementLineView]
    owed_before_cents: int = Field(description="What the vendor owed when the month began.")
    owed_cents: int
    reserved_cents: int = Field(description="Of that, with transfers that are under way.")
    debt_lines: list[DebtLineView]
    debts: list[DebtView] = Field(description="What is still owed, the oldest first.")


class StatementView(View):
    """A month of the vendor's Stripe balance, and of what it owes us."""

    model_config = with_example(
        {
            "vendorId": "v_7",
            "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
            "stripeAccountIds": ["acct_1A2b3C4d5E6f7G8h"],
            "since": "2026-11-01T00:00:00.000000Z",
            "until": "2026-12-01T00:00:00.000000Z",
            "asOf": EXAMPLE_AT,
            "accounts": [
                {
                    "currency": "usd",
                    "openingCents": 0,
                    "closingCents": 6250,
                    "totals": {
                        "earnedCents": 12500,
                        "feeCents": 0,
                        "setOffCents": 6250,
                        "takenBackCents": 0,
                        "paidOutCents": 0,
                        "cameBackCents": 0,
                        "otherCents": 0,
                    },
                    "lines": [
                        {
                            "kind": "transfer",
                            "at": EXAMPLE_AT,
                            "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
                            "netCents": 6250,
                            "earnedCents": 12500,
                            "feeCents": 0,
                            "setOffCents": 6250,
                            "paymentId": _LATER_JOB,
                            "incidentId": "i_9014",
                            "cause": None,
                            "causeId": None,
                            "payoutId": None,
                            "reason": None,
                        }
                    ],
                    "owedBeforeCents": 20000,
                    "owedCents": 13750,
                    "reservedCents": 0,
                    "debtLines": [
                        {
                            "step": "set_off",
                            "at": EXAMPLE_AT,
                            "amountCents": 6250,
                            "debtId": REFUND_ID,
                            "cause": "refund",
                            "paymentId": PAYMENT_ID,
                            "incidentId": "i_9001",
                            "fromPaymentId": _LATER_JOB,
                            "fromIncidentId": "i_9014",
                        }
                    ],
                    "debts": [DEBT_EXAMPLE],
                }
            ],
            "words": "Your statement for November 2026, up to November 22, 2026.",
        }
    )

    vendor_id: str
    stripe_account_id: str | None = Field(description="On file at the end.")
    stripe_account_ids: list[str] = Field(
        description="All that the balances and lines are of: former ones too, while they hold or "
        "move money."
    )
    since: Instant
    until: Instant
    as_of: Instant = Field(description="Earlier than `until` while the month is not over.")
    accounts: list[AccountView] = Field(description="One a currency; none where nothing happened.")
    words: str = Field(description="The same, in the vendor's language.")


def statement_view(told: StatementTold) -> StatementView:
    statement = told.statement
    return StatementView(
        vendor_id=statement.vendor_id,
        stripe_account_id=statement.stripe_account,
        stripe_account_ids=list(statement.stripe_accounts),
        since=statement.since,
        until=statement.until,
        as_of=statement.as_of,
        accounts=[_account(one) for one in statement.accounts],
        words=told.words,
    )


def debt_view(debt: Debt) -> DebtView:
    return DebtView(
        id=debt.id,
        cause=debt.cause,
        payment_id=debt.payment_id,
        incident_id=debt.incident_id,
        amount_cents=debt.amount.amount_cents,
        currency=debt.amount.currency,
        outstanding_cents=debt.outstanding_cents,
        reserved_cents=debt.reserved_cents,
        set_off_cents=debt.set_off_cents,
        forgiven_cents=debt.forgiven_cents,
        reduced_cents=debt.reduced_cents,
        incurred_at=debt.incurred_at,
    )


def _account(account: Account) -> AccountView:
    return AccountView(
        currency=account.currency,
        opening_cents=account.opening.amount_cents,
        closing_cents=account.closing.amount_cents,
        totals=_totals(account),
        lines=[_line(one) for one in account.lines],
        owed_before_cents=account.owed_before.amount_cents,
        owed_cents=account.owed.amount_cents,
        reserved_cents=account.reserved.amount_cents,
        debt_lines=[_debt_line(one) for one in account.debt_lines],
        debts=[debt_view(one) for one in account.debts],
    )


def _totals(account: Account) -> TotalsView:
    lines = account.lines

    def net(kind: LineKind) -> int:
        return sum(one.net.amount_cents for one in lines if one.kind is kind)

    return TotalsView(
        earned_cents=sum(one.earned.amount_cents for one in lines),
        fee_cents=sum(one.fee.amount_cents for one in lines),
        set_off_cents=sum(one.set_off.amount_cents for one in lines),
        taken_back_cents=-net(LineKind.TAKEN_BACK),
        paid_out_cents=-net(LineKind.PAID_OUT),
        came_back_cents=net(LineKind.CAME_BACK),
        other_cents=net(LineKind.OTHER),
    )


def _line(line: StatementLine) -> StatementLineView:
    return StatementLineView(
        kind=line.kind,
        at=line.at,
        stripe_account_id=line.stripe_account,
        net_cents=line.net.amount_cents,
        earned_cents=line.earned.amount_cents,
        fee_cents=line.fee.amount_cents,
        set_off_cents=line.set_off.amount_cents,
        payment_id=line.payment_id,
        incident_id=line.incident_id,
        cause=line.cause,
        cause_id=line.cause_id,
        payout_id=line.payout_id,
        reason=line.message or line.code,
    )


def _debt_line(line: DebtLine) -> DebtLineView:
    return DebtLineView(
        step=line.step,
        at=line.at,
        amount_cents=line.amount.amount_cents,
        debt_id=line.debt_id,
        cause=line.cause,
        payment_id=line.payment_id,
        incident_id=line.incident_id,
        from_payment_id=line.from_payment_id,
        from_incident_id=line.from_incident_id,
    )
