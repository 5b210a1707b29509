"""Take each event of Stripe's once, in any order, and never move a payment backwards (M13-M16).

The event and its effect are one commit. What cannot be applied now waits in the inbox and is
tried again a bounded number of times; then a person decides (M19).
"""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.commit import Commit, InboxStatus, Unique, stream_of, stripe_ref
from roadcall_payments.domain import outcomes, reversals_seen
from roadcall_payments.domain.errors import (
    NotFound,
    RoadcallError,
    StoreUnavailable,
    TransientError,
)
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import (
    Charge,
    Dispute,
    IntentStatus,
    PaymentIntent,
    Payout,
    StripeEvent,
    StripeIdentity,
    Transfer,
)
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.journal import Head
from roadcall_payments.ports import Claim, Gateway, Store
from roadcall_payments.workflows import webhook_accounts
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.dispute_reading import DisputeReading
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.settlements import Settlements
from roadcall_payments.workflows.suspense import Suspense, owner_of
from roadcall_payments.workflows.transfers import Transfers
from roadcall_payments.workflows.webhook_accounts import AccountEvents
from roadcall_payments.workflows.webhook_arrivals import Arrivals, applies_by_itself
from roadcall_payments.workflows.webhook_delivery import Changed, Deliveries, Delivery, NotNow
from roadcall_payments.workflows.webhook_disputes import DisputeEvents
from roadcall_payments.workflows.webhook_payouts import PayoutEvents
from roadcall_payments.workflows.webhook_refunds import RefundEvents
from roadcall_payments.workflows.webhook_settlements import SettlementEvents
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath

REASON_CHARS_MAX = 500
FUNDS_CAME = "balance.available"


@dataclass(frozen=True, slots=True)
class _Tried:
    """Whether there was anything to try; ``kept_by``: a failure that may pass by itself."""

    tried: bool
    kept_by: TransientError | None = None


class WebhookInbox:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        disputes: DisputeReading,
        suspense: Suspense,
        reading: AccountReading,
        transfers: Transfers,
        settlements: Settlements,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._deliveries = Deliveries(write_path, store)
        self._arrivals = Arrivals(write_path, store, gateway)
        self._suspense = suspense
        self._transfers = transfers
        self._refunds = RefundEvents(self._deliveries, store, gateway, suspense)
        self._accounts = AccountEvents(self._deliveries, store, reading, settlements)
        self._payouts = PayoutEvents(
            self._deliveries, gateway, PayoutReading(write_path, store, gateway)
        )
        self._settlements = SettlementEvents(self._deliveries, store, gateway)
        self._disputes = DisputeEvents(self._deliveries, store, gateway, disputes, suspense)

    async def take(self, body: bytes, signature: str) -> str:
        """Verify, keep and apply one delivery; the event's id, also for a repeat.

        Raises InvalidInput (``bad_signature``, ``bad_event``) with nothing written, and
        StoreUnavailable when the inbox itself cannot be written (M19).
        """
        arrived = await self._arrivals.take(body, signature)
        try:
            await self._deliver(arrived.delivery, arrived.draft)
        except AlreadyTaken as taken:
            # Delivered before; what it means is in the books or in the inbox already.
            if taken.unique is not Unique.INBOX:
                raise
        return arrived.delivery.event.id

    async def replay(self, event: StripeEvent) -> bool:
        """Take an event that Stripe lists, as if it were delivered now. False for one that is
        known already, which is left as it is, also where it waits."""
        now = self._deliveries.now()
        delivery = Delivery(event, event.body, now, attempts=0, fresh=True)
        if await self._store.inbox_event(event.id) is not None:
            return False
        try:
            await self._deliver(delivery)
        except AlreadyTaken as taken:
            if taken.unique is not Unique.INBOX:
                raise
            return False
        return True

    async def retry(self, claim: Claim) -> None:
        """One waiting event, again. Nothing is left of the claim unless it has to wait anew."""
        await self._again(claim.key)
        await self._store.finish(claim)

    async def retry_now(self, event_id: str) -> bool:
        """A person's retry; False when the event waits for nothing."""
        return (await self._again(event_id)).tried

    async def try_now(self, event_id: str) -> TransientError | None:
        """The same; what kept it from being applied, where that may pass by itself."""
        return (await self._again(event_id)).kept_by

    async def _again(self, event_id: str) -> _Tried:
        kept = await self._store.inbox_event(event_id)
        if kept is None or kept.status not in (InboxStatus.WAITING, InboxStatus.REVIEW):
            return _Tried(False)
        event = self._gateway.stored_event(kept.body)
        attempts = kept.attempts + 1
        delivery = Delivery(event, kept.body, kept.received_at, attempts, fresh=False)
        try:
            return _Tried(True, await self._deliver(delivery))
        except AlreadyTaken as taken:
            # Another worker settled it meanwhile.
            if taken.unique is not Unique.INBOX:
                raise
            return _Tried(False)

    async def _deliver(
        self, delivery: Delivery, draft: Commit | None = None
    ) -> TransientError | None:
        """Apply or keep; a failure while applying commits the inbox row alone (M19), and is given
        back where it may pass by itself.

        ``draft``: what applying it comes to, unless its payment has moved since.
        """
        looks_first = delivery.fresh and not applies_by_itself(delivery.event)
        if looks_first and await self._store.inbox_event(delivery.event.id) is not None:
            return None
        try:
            if draft is None or not await self._write_path.is_committed(draft):
                await self._apply(delivery)
        except StoreUnavailable:
            raise
        except AlreadyTaken as taken:
            if taken.unique is Unique.INBOX:
                raise
            await self._deliveries.wait(delivery, f"{taken.unique} {taken.key} is another stream's")
        except NotNow as reason:
            await self._deliveries.wait(delivery, str(reason))
        except RoadcallError as failure:
            await self._deliveries.wait(delivery, f"{failure.code}: {failure.message}")
            return failure if isinstance(failure, TransientError) else None
        except Exception as fault:  # noqa: BLE001 # M19: whatever it is, it is ours to keep
            await self._deliveries.wait(
                delivery, f"{type(fault).__name__}: {fault}"[:REASON_CHARS_MAX]
            )
        return None

    async def _apply(self, delivery: Delivery) -> None:
        event = delivery.event
        identity = await self._gateway.identity()
        if event.livemode != identity.livemode:
            await self._deliveries.keep(delivery, "it is of the other mode (test or live)")
            return
        if event.type in webhook_accounts.NEWS and event.connected_account is not None:
            await self._accounts.apply(delivery, identity, event.connected_account)
            return
        if event.type == FUNDS_CAME and event.connected_account is None:
            await self._apply_funds(delivery)
            return
        if event.untranslatable is not None:
            await self._deliveries.wait(delivery, event.untranslatable)
            return
        match event.payload:
            case Payout() as told:
                await self._payouts.apply(delivery, identity, told)
            case PaymentIntent() as intent if event.connected_account is None:
                await self._apply_intent(delivery, identity, intent)
            case Transfer() as transfer if event.connected_account is None:
                await self._apply_transfer(delivery, identity, transfer)
            case StripeRefund() | Charge() as told if event.connected_account is None:
                await self._refunds.apply(delivery, identity, told)
            case Dispute() as told if event.connected_account is None:
                await self._disputes.apply(delivery, identity, told)
            case None:
                await self._deliveries.keep(delivery, "nothing of ours changes with this type")
            case _:
                await self._deliveries.keep(delivery, "its account does not fit its type (M14)")

    async def _apply_funds(self, delivery: Delivery) -> None:
        """What waits for funds goes out, in a worker's time: Stripe waits for our answer."""
        if await self._transfers.queue():
            if delivery.fresh:
                raise NotNow("Transfers wait for the funds it tells of.")
            await self._transfers.release()
        await self._deliveries.keep(delivery, "what waits for funds was looked at")

    async def _apply_intent(
        self, delivery: Delivery, identity: StripeIdentity, intent: PaymentIntent
    ) -> None:
        owner = await self._owner(identity, intent)
        if owner is None:
            await self._deliveries.keep(delivery, "its PaymentIntent is none of ours (M13)")
            return
        payment, head = owner
        if intent.status is IntentStatus.SUCCEEDED:

            def decide(current: Payment) -> outcomes.Facts:
                now = self._deliveries.now()
                return outcomes.payment_intent_seen(current, intent, Source.WEBHOOK, now)

            await self._deliveries.write(delivery, payment, decide, head)
        else:
            await self._fetch_and_apply(delivery, payment.id, intent.id)

    async def _fetch_and_apply(self, delivery: Delivery, payment_id: str, intent: str) -> None:
        """Anything but success applies from the object fetched after the stream was read (M15)."""

        async def once(read: Payment) -> None:
            seen = await self._gateway.payment_intent(intent)

            def decide(current: Payment) -> outcomes.Facts:
                if current != read:
                    raise Changed
                now = self._deliveries.now()
                return outcomes.payment_intent_seen(current, seen, Source.WEBHOOK, now)

            await self._deliveries.write(delivery, read, decide)

        await self._deliveries.while_changing(delivery, payment_id, once)

    async def _apply_transfer(
        self, delivery: Delivery, identity: StripeIdentity, transfer: Transfer
    ) -> None:
        if await self._settlements.apply(delivery, identity, transfer):
            return
        owner = await self._owner(identity, transfer)
        if owner is None:
            await self._apply_to_stray(delivery, identity, transfer)
            return
        payment, head = owner
        if delivery.event.type == "transfer.reversed":
            await self._apply_reversals(delivery, payment.id, transfer)
            return

        def decide(current: Payment) -> outcomes.Facts:
            return outcomes.transfer_seen(current, transfer, Source.WEBHOOK)

        await self._deliveries.write(delivery, payment, decide, head)

    async def _apply_to_stray(
        self, delivery: Delivery, identity: StripeIdentity, transfer: Transfer
    ) -> None:
        stray = await owner_of(self._store, identity, transfer.id)
        if isinstance(stray, Stray):
            taken = await self._suspense.take_reversals(STRIPE, stray, transfer)
            await self._deliveries.write_stray(delivery, stray, taken)
        else:
            await self._deliveries.keep(delivery, "its transfer is none of ours (M13)")

    async def _apply_reversals(
        self, delivery: Delivery, payment_id: str, transfer: Transfer
    ) -> None:
        """Also before the transfer's own answer came: what was reversed was made."""
        listed = await self._gateway.reversals(transfer.id)

        def decide(current: Payment) -> outcomes.Facts:
            made = outcomes.transfer_seen(current, transfer, Source.WEBHOOK)
            after = current
            for fact in made:
                after = apply(after, fact, self._deliveries.now())
            if not reversals_seen.is_ready_for(after, transfer.id):
                raise NotNow("The money that came back is not in our books yet.")
            return (*made, *reversals_seen.reversals_seen(after, transfer.id, listed))

        payment = await self._payment(payment_id)
        while reversals_seen.exceeds_a_commit(payment, listed):
            before = payment
            payment = await self._deliveries.write(None, payment, decide)
            if payment == before:
                break
        await self._deliveries.write(delivery, payment, decide)

    async def _payment(self, payment_id: str) -> Payment:
        loaded = await self._store.load(stream_of("payment", payment_id))
        if loaded is None or not isinstance(loaded.state, Payment):
            raise NotFound(f"There is no payment {payment_id}.")
        return loaded.state

    async def _owner(
        self, identity: StripeIdentity, found: PaymentIntent | Transfer
    ) -> tuple[Payment, Head] | None:
        """The payment whose object this is: by its own record, by our refs, or as the open
        attempt's own (M13)."""
        claim = found.metadata.get("paymentId")
        owner = await self._payment_at(stream_of("payment", claim)) if claim else None
        if owner and outcomes.is_on_record(owner[0], found, identity):
            return owner
        ref = stripe_ref(identity.account, identity.livemode, found.id)
        stream = await self._store.resolve(ref)
        claimed = stream is None
        if stream is None:
            if not claim:
                return None
            stream = stream_of("payment", claim)
        owner = await self._payment_at(stream)
        if owner is None:
            return None
        payment, _ = owner
        if claimed and payment.account not in (None, identity.account):
            raise NotNow("The payment is another Stripe account's than the present key's (M18).")
        if not claimed or outcomes.is_open_attempts(payment, found, identity.account):
            return owner
        # Between the two reads the attempt may have learned its object: then it is in the refs.
        if await self._store.resolve(ref) == stream:
            return owner
        has_object = payment.payment_intent or payment.transfer
        if not has_object and outcomes.is_ours(payment, found, identity.account):
            # Its attempt was taken for failed. The next one looks and adopts it (M6); if none
            # comes, a person decides.
            raise NotNow("The payment's attempt was closed without it.")
        return None

    async def _payment_at(self, stream: str) -> tuple[Payment, Head] | None:
        loaded = await self._store.load(stream)
        if loaded is None or not isinstance(loaded.state, Payment):
            return None
        return loaded.state, loaded.head
