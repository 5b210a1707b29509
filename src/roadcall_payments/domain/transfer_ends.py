"""What the end of a transfer means for its vendor's debt (M22). Pure.

Whoever writes a transfer's outcome writes this with it, in one commit: the write path sees to it,
so that no workflow has to remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain import commands, debt
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.debt import Debts
from roadcall_payments.domain.debt_events import SetOffCredited, SetOffExceededDebt
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import Facts, anomaly
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import Operation, StripeIdentity

# The anomaly of a set-off whose debt these books do not know, after a restore.
SET_OFF_UNEXPLAINED = "set_off_unexplained"


@dataclass(frozen=True, slots=True)
class TransferEnd:
    """The transfer ``key`` has ended. ``set_off``: what it went out less by, from ``identity``'s
    account; None: it did not go out. ``number`` as in SetOffReduced. ``adopted``: a restore lost
    its start (M18)."""

    key: str
    payment_id: str
    set_off: Money | None = None
    identity: StripeIdentity | None = None
    number: int = 0
    adopted: bool = False


def ends_of(payment: Payment, facts: Sequence[e.Fact]) -> tuple[TransferEnd, ...]:
    """The ends, in ``facts``, of transfers that were to set off debts; ``payment`` is as it was
    before them."""
    ends: list[TransferEnd] = []
    for fact in facts:
        match fact:
            case e.PaymentCompleted():
                ends += _completed(payment, fact)
            case e.PaymentFailed() | e.AttemptVoided() | e.TransferQueued():
                ends += _gone(payment, except_for=None)
            case s.SettlementCompleted() if fact.set_off.amount_cents:
                identity = StripeIdentity(fact.account, fact.livemode)
                key = _share_key(payment, facts, fact.number)
                lost = _adopted_share(facts, fact.number) is not None
                ends.append(TransferEnd(key, payment.id, fact.set_off, identity, fact.number, lost))
            case s.SettlementFailed() if fact.set_off.amount_cents:
                ends.append(TransferEnd(_share_key(payment, facts, fact.number), payment.id))
    return tuple(ends)


def debt_facts(debts: Debts, ends: Sequence[TransferEnd], at: datetime) -> debt.Facts:
    """What those ends do to the vendor's debts."""
    facts: list[e.DebtFact] = []
    for end in ends:
        if end.set_off is not None and end.identity is not None:
            news = debt.settle(
                debts, end.key, end.payment_id, end.set_off, end.identity, adopted=end.adopted
            )
        else:
            news = debt.release(debts, end.key)
        for fact in news:
            debts = debt.apply(debts, fact, at)
        facts += news
    return tuple(facts)


def reduced(
    ends: Sequence[TransferEnd], debts: Sequence[e.DebtFact]
) -> tuple[s.SetOffReduced, ...]:
    """What of these set-offs goes out to the vendor after all, for the payment's own stream:
    ``debts`` are the facts that the ends made of its debts."""
    exceeded = {one.transfer_key: one for one in debts if isinstance(one, SetOffExceededDebt)}
    return tuple(
        s.SetOffReduced(end.number, end.set_off, exceeded[end.key].amount)
        for end in ends
        if end.set_off is not None and end.key in exceeded
    )


def credited(after: Payment, debts: Sequence[e.DebtFact]) -> Facts:
    """For the payment's own stream: a person is told of what its transfer set off of a debt that
    these books do not know. ``after``: the payment with the ends' facts."""
    kept = [one.amount for one in debts if isinstance(one, SetOffCredited)]
    if not kept:
        return ()
    cents = sum(one.amount_cents for one in kept)
    detail = (
        f"{cents} minor units were set off of a debt that was lost with the restore: they pay the "
        "vendor's next debt; if none comes, the vendor is owed them"
    )
    return anomaly(after, SET_OFF_UNEXPLAINED, detail, None)


def _completed(payment: Payment, done: e.PaymentCompleted) -> list[TransferEnd]:
    """Only one attempt can have made the transfer: what others reserved is free again."""
    ends = _gone(payment, except_for=done.attempt)
    if done.set_off is not None:
        identity = StripeIdentity(done.account, done.livemode)
        key = _key(payment, done.attempt)
        lost = any(one.adopted for one in payment.set_offs if one.attempt == done.attempt)
        ends.append(TransferEnd(key, payment.id, done.set_off, identity, adopted=lost))
    return ends


def _gone(payment: Payment, *, except_for: int | None) -> list[TransferEnd]:
    attempts = [one.attempt for one in payment.set_offs if one.attempt != except_for]
    return [TransferEnd(_key(payment, attempt), payment.id) for attempt in attempts]


def _share_key(payment: Payment, facts: Sequence[e.Fact], number: int) -> str:
    """Of a share's transfer: as it was sent, or as one that a restore lost is adopted."""
    adopted = _adopted_share(facts, number)
    if adopted is not None:
        return adopted.request.idempotency_key
    tries = payment.settlement.transfers if payment.settlement else ()
    sent = (one.request for one in tries if one.number == number)
    return next((one.idempotency_key for one in sent if one is not None), "")


def _adopted_share(facts: Sequence[e.Fact], number: int) -> s.SettlementAdopted | None:
    """It ends in the commit that adopts it."""
    adopted = (one for one in facts if isinstance(one, s.SettlementAdopted))
    return next((one for one in adopted if one.number == number), None)


def _key(payment: Payment, attempt: int) -> str:
    return commands.attempt_key(Operation.CREATE_TRANSFER, payment, attempt)
