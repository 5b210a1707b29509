"""Who may approve what: roles, amount bands, nobody their own, the destination bound (M10, M12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import DestinationMismatch, NotAllowed, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor, Role


@dataclass(frozen=True, slots=True)
class Band:
    """Amounts up to and including ``up_to_cents`` (None: all above the bands before) need
    ``approvals`` approvals, at least one of them by ``roles``."""

    up_to_cents: int | None
    approvals: int
    roles: frozenset[Role]


_ANY_APPROVER = frozenset({Role.DISPATCHER, Role.ADMIN})
_DEFAULT_BANDS = (
    Band(500_000, 1, _ANY_APPROVER),
    Band(None, 2, frozenset({Role.ADMIN})),
)


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Bands per currency, in its minor units; ``*`` serves the currencies not named."""

    bands: Mapping[str, tuple[Band, ...]] = field(default_factory=lambda: {"*": _DEFAULT_BANDS})

    def band(self, amount: Money) -> Band:
        for band in self.bands.get(amount.currency, self.bands["*"]):
            if band.up_to_cents is None or amount.amount_cents <= band.up_to_cents:
                return band
        raise NotAllowed(
            f"No approval band covers {amount.amount_cents} {amount.currency}: "
            "add one with no upper bound to the approval settings."
        )


def approve(
    payment: Payment, actor: Actor, destination: str | None, policy: ApprovalPolicy
) -> Sequence[e.PaymentFact]:
    """One person's approval; the last one needed approves the payment.

    Raises StatusForbids unless scored, not flagged and pending; NotAllowed for the creator, for
    a second approval by one person and for a role that may not approve.
    """
    _must_be_approvable(payment)
    if actor.role not in _ANY_APPROVER:
        raise NotAllowed("Only dispatchers and admins approve payments.")
    if payment.created_by.partition(":")[2] == actor.id:
        raise NotAllowed("You created this payment: somebody else has to approve it.")
    facts: list[e.PaymentFact] = []
    earlier = payment.approvals
    if earlier and payment.destination != destination:
        # Two people who agreed to pay two different accounts have not agreed.
        facts.append(e.ApprovalExpired(earlier))
        earlier = ()
    if any(approval.by.partition(":")[2] == actor.id for approval in earlier):
        raise NotAllowed("You have approved this payment already: it needs another person too.")
    band = policy.band(payment.amount)
    approvals = (*earlier, e.Approval(str(actor), actor.role))
    enough = len(approvals) >= band.approvals
    if enough and any(approval.role in band.roles for approval in approvals):
        return (*facts, e.PaymentApproved(approvals, destination))
    return (*facts, e.ApprovalRecorded(str(actor), actor.role, destination))


def _must_be_approvable(payment: Payment) -> None:
    if payment.status is not Status.PENDING_APPROVAL:
        raise StatusForbids(f"A payment that is {payment.status} cannot be approved.")
    if payment.risk is None:
        raise StatusForbids(
            "The payment has no risk score yet: try again in a moment.", code="not_scored"
        )
    if payment.flagged:
        raise StatusForbids(
            "The payment is flagged: an admin has to review it first.", code="flagged"
        )


def expire(payment: Payment, now: datetime, after: timedelta) -> Sequence[e.PaymentFact]:
    """Approvals that waited too long for the next one count no more."""
    if payment.status is not Status.PENDING_APPROVAL or payment.approvals_since is None:
        return ()
    if now < payment.approvals_since + after:
        return ()
    return (e.ApprovalExpired(payment.approvals),)


def destination_to_pay(
    payment: Payment,
    actor: Actor,
    named: str | None,
    on_file: str | None,
    policy: ApprovalPolicy,
) -> str | None:
    """The account that was bound at approval; None when nothing binds and nobody named one.

    Where nothing was bound, naming the account approves it (M10): whoever names it must be able to
    approve this payment alone. Raises NotAllowed otherwise, DestinationMismatch for an account
    that is neither the approved one nor the one on file.
    """
    for known in (payment.destination, None if payment.destination else on_file):
        if named and known and named != known:
            raise DestinationMismatch(
                "The payment goes to the account that was approved, or else to the one on the "
                "vendor's record: leave the account out, or change the record and approve anew."
            )
    if payment.destination is not None:
        return payment.destination
    chosen = named or on_file
    if chosen is not None:
        _must_approve_alone(payment, actor, policy)
    return chosen


def _must_approve_alone(payment: Payment, actor: Actor, policy: ApprovalPolicy) -> None:
    if actor.role not in _ANY_APPROVER:
        raise NotAllowed(
            "No account was approved for this payment: a dispatcher or an admin has to name it."
        )
    if payment.created_by.partition(":")[2] == actor.id:
        raise NotAllowed("You created this payment: somebody else has to say who is paid.")
    band = policy.band(payment.amount)
    if band.approvals > 1 or actor.role not in band.roles:
        raise NotAllowed(
            "An amount like this needs its account approved with it: cancel the payment, put the "
            "account on the vendor's record, and have a new payment approved."
        )
