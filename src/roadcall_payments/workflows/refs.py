"""The names under which a stream is found: derived from its facts, never set by hand (M11, M14)."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.commit import (
    RefAdded,
    State,
    former_account_ref,
    funds_turn_ref,
    job_ref,
    listed_payout_ref,
    payout_day_ref,
    payout_ref,
    refund_ref,
    stripe_ref,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain import payout_events as p
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.vendor import Vendor

_FREES_ITS_JOB = (Status.CANCELLED, Status.REJECTED)


def refs_added(stream: str, facts: Sequence[e.Fact], after: State) -> tuple[RefAdded, ...]:
    """A job's name when its payment is created, a Stripe object's when we learn of it."""
    keys: list[str] = []
    for fact in facts:
        match fact:
            case e.PaymentCreated():
                keys.append(job_ref(fact.incident_id, fact.vendor_id))
            case e.PaymentIntentOpened():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.payment_intent))
            case e.ProcessingStarted() if fact.turn and isinstance(after, Payment):
                keys.append(funds_turn_ref(after.amount.currency, fact.turn))
            case e.PaymentCompleted():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.object_id))
                if fact.charge_id:
                    keys.append(stripe_ref(fact.account, fact.livemode, fact.charge_id))
            case e.VendorAccountOpened() | e.AccountStatusChanged() if isinstance(after, Vendor):
                # Its events lead to the vendor, and it is no other vendor's.
                keys.append(stripe_ref(fact.account, fact.livemode, fact.account))
                keys += _former_account(after)
            case e.VendorChanged() if isinstance(after, Vendor):
                keys += _former_account(after)
            case e.LostMovementFound():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.object_id))
            case p.PayoutRequested() | p.PayoutObserved() if isinstance(after, Payout):
                keys += _payout_keys(after)
            case p.PayoutOpened():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.stripe_payout))
                keys.append(payout_ref(fact.stripe_payout))
            case e.RefundRequested() | e.RefundObserved():
                keys.append(refund_ref(fact.refund_id))
            case e.RefundPending() | e.RefundSucceeded() | e.RefundFailed() if fact.stripe_refund:
                # Its own name makes a refund bookable once, whichever stream tries (M17).
                keys.append(stripe_ref(fact.account, fact.livemode, fact.stripe_refund))
            case s.SettlementCompleted():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.transfer_id))
            case e.DisputeOpened():
                keys.append(stripe_ref(fact.account, fact.livemode, fact.dispute_id))
            case e.StrayMoneyObserved() if isinstance(after, Payment):
                keys.append(stripe_ref(fact.account, bool(after.livemode), fact.object_id))
            case e.BalanceTransactionBooked() if isinstance(after, Payment | Stray):
                # Its own name makes a line bookable once, whichever stream tries (M17).
                keys.append(stripe_ref(fact.account, bool(after.livemode), fact.transaction.id))
            case _:
                continue
    return tuple([RefAdded(key, stream) for key in dict.fromkeys(keys)])


def _former_account(vendor: Vendor) -> list[str]:
    """The last account that another one replaced: what leaves it is this vendor's still."""
    return [former_account_ref(one.id, one.until, vendor.id) for one in vendor.former_accounts[-1:]]


def _payout_keys(payout: Payout) -> list[str]:
    keys: list[str] = []
    if payout.created_at is not None:
        keys.append(listed_payout_ref(payout.account, payout.created_at, payout.id))
    if payout.stripe_payout is not None and payout.request is None:
        # Whichever event comes first, one movement has one stream.
        keys.append(stripe_ref(payout.account, bool(payout.livemode), payout.stripe_payout))
    if payout.day is not None and payout.vendor_id is not None:
        keys.append(payout_day_ref(payout.vendor_id, payout.amount.currency, payout.day))
    return keys


def refs_to_add(
    stream: str, before: State | None, facts: Sequence[e.Fact], after: State
) -> tuple[RefAdded, ...]:
    """``refs_added`` without the PaymentIntent's own, which stands since it was opened."""
    added = refs_added(stream, facts, after)
    if not added or not isinstance(before, Payment):
        return added
    if not before.payment_intent or not before.account:
        return added
    held = stripe_ref(before.account, bool(before.livemode), before.payment_intent)
    return tuple([ref for ref in added if ref.key != held])


def refs_removed(before: State | None, after: State, facts: Sequence[e.Fact]) -> tuple[str, ...]:
    """The job is free again once its payment was cancelled or rejected (M11), an account once its
    vendor's record names another."""
    if not facts:
        return ()
    if isinstance(before, Payment) and isinstance(after, Payment):
        freed = after.status in _FREES_ITS_JOB and before.status not in _FREES_ITS_JOB
        return (job_ref(after.incident_id, after.vendor_id),) if freed else ()
    if isinstance(before, Vendor) and isinstance(after, Vendor):
        held = _account_ref(before)
        return (held,) if held is not None and held != _account_ref(after) else ()
    return ()


def _account_ref(vendor: Vendor) -> str | None:
    known = vendor.connected
    return stripe_ref(known.id, known.livemode, known.id) if known else None
