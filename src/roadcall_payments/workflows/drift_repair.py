"""After a restore: look at what Stripe did since the backup, and put it into the books (M18).

Lists, never searches (M7). What belongs to a payment of the books is adopted, whichever of the
lost facts made it; money of a payment that the books do not have goes to suspense (M16); events
are taken as if they were delivered now. Everything is found by its id and booked once, so a repair
that broke off is simply run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from roadcall_payments.commit import InboxStatus, stream_of
from roadcall_payments.domain import commands, drift, settling, shares_seen
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import CredentialsRejected, StatusForbids
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stray import stray_of
from roadcall_payments.domain.stripe_objects import (
    Account,
    IntentStatus,
    Operation,
    PaymentIntent,
    StripeIdentity,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import CreatedWindow, Gateway, PaymentQuery, Store
from roadcall_payments.workflows.account_payouts import LostPayouts
from roadcall_payments.workflows.created_lists import EVENTS_KEPT, listed
from roadcall_payments.workflows.lost_accounts import LostAccounts
from roadcall_payments.workflows.movement import Movement
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.refund_movement import RefundMovement
from roadcall_payments.workflows.settlements import Settlements
from roadcall_payments.workflows.suspense import Suspended, Suspense
from roadcall_payments.workflows.webhook_inbox import WebhookInbox
from roadcall_payments.workflows.write_path import WritePath, Written

# Clocks differ: an object may carry a time a little before that of the backup's last fact.
SKEW = timedelta(minutes=10)
PAGE = 100
AT_ONCE = 8
_UNAPPLIED = (InboxStatus.WAITING, InboxStatus.REVIEW)
_ENDED = (IntentStatus.SUCCEEDED, IntentStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was found: the Stripe object, our payment where there is one, in words."""

    object_id: str
    payment_id: str | None
    words: str


@dataclass(slots=True)
class DriftReport:
    """``problems`` keep the hold: they need a person, then another repair. ``warnings`` do not:
    they say where the repair could not look."""

    since: datetime
    until: datetime
    objects: int = 0
    payments: int = 0
    events: int = 0
    adopted: list[Line] = field(default_factory=list)
    strays: list[Line] = field(default_factory=list)
    problems: list[Line] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems


class DriftRepair:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: Movement,
        refunds: RefundMovement,
        settlements: Settlements,
        inbox: WebhookInbox,
        suspense: Suspense,
        switch: MovementsSwitch,
        *,
        settles: bool,
    ) -> None:
        """``settles``: vendors' shares of drivers' payments are ours to transfer (M20)."""
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._refunds = refunds
        self._settlements = settlements
        self._settles = settles
        self._inbox = inbox
        self._suspense = suspense
        self._switch = switch
        self._accounts = LostAccounts(write_path)
        self._payouts = LostPayouts(write_path, gateway)

    async def repair(self, actor: Actor) -> DriftReport:
        """Adopt and book what Stripe did since the hold's ``since``; note that it passed.

        Raises StatusForbids where nothing is held; StripeUnavailable and CredentialsRejected, with
        what was found so far in the books.
        """
        switch = await self._switch.state()
        if switch is None or switch.hold is None:
            raise StatusForbids("Nothing is held: the books are not in doubt.")
        hold = switch.hold
        identity = await self._gateway.identity()
        report = DriftReport(hold.since, self._write_path.clock.now())
        window = CreatedWindow(report.since - SKEW, report.until + SKEW)
        for intent in await listed(self._gateway.payment_intents, window):
            await self._take(actor, intent, identity, report)
        for transfer in await listed(self._gateway.transfers_created, window):
            await self._take(actor, transfer, identity, report)
        if await self._gateway.connect_enabled():
            for account in await listed(self._gateway.accounts, window):
                await self._take_account(account, identity, report)
            await self._take_payouts(window, report)
        await self._look_at_open_payments(identity, report)
        await self._look_at_waiting_refunds(identity, report)
        await self._replay_events(window, report)
        await self._retry_what_waits(window, report)
        if await self._gateway.identity() != identity:
            raise CredentialsRejected("The Stripe account changed during the repair: repair again.")
        if report.passed:
            counts = len(report.adopted), len(report.strays)
            fact = e.DriftRepaired(str(actor), report.since, report.until, *counts)
            await self._switch.repaired(actor, fact, hold.held_at)
        return report

    async def _take(
        self,
        actor: Actor,
        found: PaymentIntent | Transfer,
        identity: StripeIdentity,
        report: DriftReport,
    ) -> None:
        if isinstance(found, Transfer) and shares_seen.claims_to_be_one(found):
            await self._take_share(actor, found, identity, report)
            return
        claim = drift.claim_of(found)
        if claim is None:
            # Not made by a service like ours: somebody else's business on the same account.
            return
        report.objects += 1
        payment = await self._payment(claim.payment_id)
        if payment is None or not drift.fits(payment, found, identity):
            await self._lost(actor, found, claim, identity, report)
            return
        after = await self._adopt(actor, payment, found, identity)
        if after is None:
            await self._lost(actor, found, claim, identity, report)
        elif after != payment:
            report.adopted.append(Line(found.id, payment.id, _change(payment, after)))

    async def _take_share(
        self, actor: Actor, found: Transfer, identity: StripeIdentity, report: DriftReport
    ) -> None:
        """A vendor's share that went out: its start may be lost, and it must not go out again."""
        report.objects += 1
        claim = drift.Claim(found.metadata.get("paymentId", ""), settling.PURPOSE_SHARE, 1)
        payment = await self._payment(claim.payment_id)
        ours = payment is not None and (payment.account, payment.livemode) == (
            identity.account,
            found.livemode,
        )
        if payment is None or not ours:
            await self._lost(actor, found, claim, identity, report)
            return
        if payment.status is not Status.COMPLETED:
            words = f"its vendor's share went out, and the books say {payment.status}: repair again"
            report.problems.append(Line(found.id, payment.id, words))
            return
        after = await self._settlements.adopt(payment, found)
        if after != payment:
            report.adopted.append(Line(found.id, payment.id, _change(payment, after)))

    async def _take_account(
        self, found: Account, identity: StripeIdentity, report: DriftReport
    ) -> None:
        taken = await self._accounts.take(found, identity)
        report.objects += taken is not None
        if taken is not None and taken.words is not None:
            if taken.adopted:
                report.adopted.append(Line(found.id, None, taken.words))
            else:
                report.warnings.append(taken.words)

    async def _take_payouts(self, window: CreatedWindow, report: DriftReport) -> None:
        taken = await self._payouts.take(window)
        report.objects += len(taken.news)
        report.warnings += taken.warnings
        for one in taken.news:
            words = f"a payout of {one.account}: {one.status}"
            report.adopted.append(Line(one.stripe_payout or one.id, None, words))

    async def _adopt(
        self,
        actor: Actor,
        payment: Payment,
        found: PaymentIntent | Transfer,
        identity: StripeIdentity,
    ) -> Payment | None:
        """The payment after it; None where the books gave it up before they knew of any attempt."""
        number = drift.lost_attempt(payment, found)
        if number is not None:
            request = self._request(payment, found, number, identity)

            def decide(current: Payment | None) -> Sequence[e.Fact]:
                if current is None or drift.lost_attempt(current, found) != number:
                    return ()
                return drift.adopted(current, found, number, request, settles=self._settles)

            stream = stream_of("payment", payment.id)
            written: Written[Payment] = await self._write_path.write(stream, decide, actor=actor)
            payment = written.state
        if payment.account is None:
            return None
        return (await self._movement.adopt(payment, [found])).payment

    def _request(
        self,
        payment: Payment,
        found: PaymentIntent | Transfer,
        number: int,
        identity: StripeIdentity,
    ) -> StripeRequest:
        if isinstance(found, PaymentIntent):
            key = commands.attempt_key(Operation.CREATE_PAYMENT_INTENT, payment, number)
            return self._gateway.payment_intent_request(
                payment, key=key, attempt=number, identity=identity
            )
        key = commands.attempt_key(Operation.CREATE_TRANSFER, payment, number)
        return self._gateway.transfer_request(
            payment,
            key=key,
            attempt=number,
            destination=found.destination,
            identity=identity,
            set_off=drift.set_off_of(found),
        )

    async def _look_at_open_payments(self, identity: StripeIdentity, report: DriftReport) -> None:
        """What was open in the backup may have ended since, by an object older than it."""
        for status in (Status.PROCESSING, Status.FAILED):
            async for some in self._pages(PaymentQuery(status=status, limit=PAGE)):
                for start in range(0, len(some), AT_ONCE):
                    looks = (self._look(p, identity, report) for p in some[start : start + AT_ONCE])
                    await asyncio.gather(*looks)

    async def _look_at_waiting_refunds(self, identity: StripeIdentity, report: DriftReport) -> None:
        """What waits for approval in the backup may have been approved since, and given: if no
        event told of it, approving it would give it again."""
        async for some in self._pages(PaymentQuery(on_review=True, limit=PAGE)):
            for payment in some:
                waiting = [r for r in payment.refunds if r.status is RefundStatus.REQUESTED]
                if not waiting or not _is_own(payment, identity, report):
                    continue
                after = await self._refunds.look(payment)
                for refund in after.refunds:
                    if refund.stripe_refund and refund.id in [one.id for one in waiting]:
                        words = f"refund {refund.id}: {RefundStatus.REQUESTED} -> {refund.status}"
                        report.adopted.append(Line(refund.stripe_refund, payment.id, words))

    async def _pages(self, query: PaymentQuery) -> AsyncIterator[Sequence[Payment]]:
        cursor: str | None = None
        while True:
            page = await self._store.payments(replace(query, cursor=cursor))
            yield page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _look(self, payment: Payment, identity: StripeIdentity, report: DriftReport) -> None:
        if not _is_own(payment, identity, report):
            return
        report.payments += 1
        if payment.payment_intent is not None:
            after = await self._movement.see_intent(payment)
        else:
            after = await self._movement.adopt_if_found(payment)
        if after.status is not payment.status:
            words = _change(payment, after)
            found = after.payment_intent or after.transfer or ""
            report.adopted.append(Line(found, payment.id, words))

    async def _replay_events(self, window: CreatedWindow, report: DriftReport) -> None:
        """Reversals, refunds, failed payouts: what moved by objects that are older."""
        kept_since = max(window.start, report.until - EVENTS_KEPT)
        if window.start < kept_since:
            report.warnings.append(
                f"Stripe lists no events before {kept_since:%Y-%m-%d %H:%M} UTC, and the books end "
                f"on {report.since:%Y-%m-%d %H:%M} UTC: compare what it did between the two with "
                "older payments (refunds, reversals, disputes, payouts) by hand."
            )
        events = await listed(self._gateway.events, CreatedWindow(kept_since, window.end))
        for event in sorted(events, key=lambda one: one.created):
            if event.payload is None and event.untranslatable is None:
                continue
            report.events += 1
            await self._inbox.replay(event)

    async def _retry_what_waits(self, window: CreatedWindow, report: DriftReport) -> None:
        """Nothing may be left in the inbox that the books do not have, whenever it came.

        What waited for a person in the backup already was not lost with the restore: it stays
        theirs, and keeps no hold.
        """
        waiting: list[str] = []
        for status in _UNAPPLIED:
            cursor: str | None = None
            while True:
                page = await self._store.inbox_events(status, cursor, PAGE)
                waiting += [one.event_id for one in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
        # Oldest first: a later one may build on it.
        for event_id in reversed(waiting):
            await self._inbox.retry_now(event_id)
            kept = await self._store.inbox_event(event_id)
            if kept is None or kept.status not in _UNAPPLIED:
                continue
            words = (
                f"{kept.type} could not be applied yet: "
                f"roadcall-payments inbox list --status {kept.status}"
            )
            if kept.status is InboxStatus.REVIEW and kept.received_at < window.start:
                report.warnings.append(f"{event_id} waits since before the backup: {words}")
            else:
                report.problems.append(Line(event_id, None, words))

    # --- movements of payments that the books do not have ---

    async def _lost(
        self,
        actor: Actor,
        found: PaymentIntent | Transfer,
        claim: drift.Claim,
        identity: StripeIdentity,
        report: DriftReport,
    ) -> None:
        if isinstance(found, PaymentIntent) and found.status not in _ENDED:
            words = f"open at Stripe ({found.status}) for a payment that is lost: cancel it there"
            report.problems.append(Line(found.id, claim.payment_id, words))
            return
        fact = drift.lost_movement(found, claim, identity.account)
        if fact is None:
            return
        taken = [await self._suspense.take(actor, fact)]
        stray = stray_of(fact, self._write_path.clock.now())
        if isinstance(found, PaymentIntent):
            taken += await self._suspense.take_refunds(actor, stray, found.id)
        elif found.amount_reversed.amount_cents:
            taken += await self._suspense.take_reversals(actor, stray, found)
        for one in taken:
            _report(one, report)

    async def _payment(self, payment_id: str) -> Payment | None:
        loaded = await self._store.load(stream_of("payment", payment_id))
        return loaded.state if loaded and isinstance(loaded.state, Payment) else None


def _is_own(payment: Payment, identity: StripeIdentity, report: DriftReport) -> bool:
    """Whether the present key can be asked for it; if not, that is a problem (M18)."""
    if (payment.account, payment.livemode) == (identity.account, identity.livemode):
        return True
    words = f"it belongs to {payment.account}, the key now to {identity.account} (M18)"
    report.problems.append(Line(payment.account or "", payment.id, words))
    return False


def _report(taken: Suspended, report: DriftReport) -> None:
    fact = taken.fact
    if not taken.booked:
        words = "Stripe's line for it is not there, or says another amount"
        report.problems.append(Line(fact.object_id, fact.payment_id, words))
    if taken.new:
        money = f"{fact.amount.amount_cents} {fact.amount.currency}"
        words = f"{fact.kind} of {money} to suspense; proposed: {fact.proposed}"
        report.strays.append(Line(fact.object_id, fact.payment_id, words))


def _change(before: Payment, after: Payment) -> str:
    if before.status is not after.status:
        return f"{before.status} -> {after.status}"
    return f"still {after.status}, with more of what Stripe did"
