"""Process, confirm, cancel, retry: the commands that make money move, or keep it from moving.

Each one commits its intent, then calls Stripe, then commits the outcome (``movement.py``). What
goes wrong after the intent is recovery's to finish.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import approval, commands
from roadcall_payments.domain.errors import (
    InvalidInput,
    NotAllowed,
    NotFound,
    StatusForbids,
)
from roadcall_payments.domain.events import PayerType, Priority
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    PaymentIntent,
    StripeIdentity,
    StripeRequest,
)
from roadcall_payments.ports import Gateway, Loaded, Store
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.approvals import account_on_file, load_payment
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey, Repeats, status_of
from roadcall_payments.workflows.lookup import Lookup
from roadcall_payments.workflows.movement import Carried, Movement, intent_of
from roadcall_payments.workflows.movements_switch import MovementsSwitch, must_be_whole, must_flow
from roadcall_payments.workflows.transfers import Transfers
from roadcall_payments.workflows.write_path import Opens, WritePath, Written


class AsRead(msgspec.Struct, frozen=True):
    """A payment as its stream was read, and the switch as it stood at that moment."""

    payment: Payment
    loaded: Loaded
    switch: Movements | None


class Payments:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: Movement,
        transfers: Transfers,
        switch: MovementsSwitch,
        reading: AccountReading,
        policy: approval.ApprovalPolicy,
        *,
        settles: bool,
    ) -> None:
        """``settles``: vendors' shares of drivers' payments are ours to transfer (M20)."""
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._transfers = transfers
        self._switch = switch
        self._reading = reading
        self._policy = policy
        self._settles = settles
        self._repeats = Repeats(store)
        self._lookup = Lookup(gateway, write_path.clock)

    async def read(self, payment_id: str) -> AsRead:
        """For a command that decides on what its caller has looked at. Raises NotFound."""
        switch, loaded = await self._switch.state_beside(stream_of("payment", payment_id))
        if loaded is None or not isinstance(loaded.state, Payment):
            raise NotFound(f"There is no payment {payment_id}.")
        return AsRead(loaded.state, loaded, switch)

    async def process(
        self,
        actor: Actor,
        payment_id: str,
        vendor_account: str | None,
        idem: IdempotencyKey | None = None,
        priority: Priority | None = None,
        as_read: AsRead | None = None,
    ) -> Answer:
        """Open the driver's PaymentIntent, or transfer to the vendor once the funds are there.

        ``as_read``: the payment, where the caller has just read it.

        Raises, before anything is written: NotFound, StatusForbids, InvalidInput,
        DestinationMismatch, VendorCannotReceive, NotAllowed, MovementsPaused, StripeUnavailable,
        CredentialsRejected.
        """
        read = as_read or await self.read(payment_id)
        payment = read.payment

        async def act() -> Answer:
            commands.must_be_processable(payment)
            destination = await self._destination(payment, actor, vendor_account)
            identity = await self._ready(read)
            if destination is not None:
                await self._reading.must_receive(payment.vendor_id, destination)
                carried = await self._transfers.process(
                    actor, payment, destination, identity, priority, idem
                )
                return self._answer(carried)

            def decide(current: Payment) -> commands.Facts:
                commands.must_be_processable(current)
                request = self._intent_request(current, identity)
                return commands.start_processing(
                    current, request, None, actor, settles=self._settles
                )

            started = await self._commit_intent(actor, read, decide, idem)
            return self._answer(
                await self._movement.carry_attempt(
                    started.state, first_try=True, idem=idem, loaded=started.loaded
                )
            )

        return await self._repeats.once(idem, act, is_first=_was_never_processed(payment))

    async def confirm(
        self,
        actor: Actor,
        payment_id: str,
        payment_method: str,
        idem: IdempotencyKey | None = None,
        as_read: AsRead | None = None,
    ) -> Answer:
        """Confirm the one PaymentIntent with a payment method (M1, M3)."""
        read = as_read or await self.read(payment_id)

        async def act() -> Answer:
            commands.must_be_confirmable(read.payment)
            identity = await self._ready(read)

            def decide(current: Payment) -> commands.Facts:
                commands.must_be_confirmable(current)
                request = self._gateway.confirm_request(
                    current,
                    key=commands.confirmation_key(current),
                    payment_method=payment_method,
                    identity=identity,
                )
                self._must_be_same_account(current, identity)
                return commands.start_confirmation(current, request, actor)

            started = await self._commit_intent(actor, read, decide, idem)
            return self._answer(
                await self._movement.carry_confirmation(
                    started.state, first_try=True, idem=idem, loaded=started.loaded
                )
            )

        return await self._repeats.once(idem, act)

    async def cancel(
        self, actor: Actor, payment_id: str, reason: str, idem: IdempotencyKey | None = None
    ) -> Answer:
        """Cancel at once where no intent is open; else ask Stripe, which decides (M2)."""
        read = await self.read(payment_id)
        payment = read.payment

        async def act() -> Answer:
            if not payment.intent_open:
                must_be_whole(read.switch)
                await self._must_not_have_moved(payment)
                return await self._cancel_ours(actor, read, idem)
            commands.must_be_cancellable_at_stripe(payment)
            self._gateway.ensure_available()
            identity = await self._gateway.identity()

            def decide(current: Payment) -> commands.Facts:
                commands.must_be_cancellable_at_stripe(current)
                self._must_be_same_account(current, identity)
                key = commands.cancellation_key(current)
                request = self._gateway.cancel_request(current, key=key, identity=identity)
                return commands.request_cancel(current, request, str(actor), reason)

            started = await self._commit_intent(actor, read, decide, idem)
            carried = await self._movement.carry_cancellation(
                started.state, first_try=True, idem=idem, loaded=started.loaded
            )
            return self._cancelled(carried)

        answer = await self._repeats.once(idem, act)
        if answer.repeated:
            # What a movement's status means for others, it does not mean for who cancelled it.
            return replace(self._cancelled(Carried(answer.payment)), repeated=True)
        return answer

    async def retry(
        self, actor: Actor, payment_id: str, idem: IdempotencyKey | None = None
    ) -> Answer:
        """Put a failed payment back to approved; ``process`` then looks before it sends (M6)."""
        read = await self.read(payment_id)

        async def act() -> Answer:
            def decide(current: Payment) -> commands.Facts:
                return commands.retry(current, actor)

            retried = await self._commit_intent(actor, read, decide, idem, 200)
            return Answer(retried.state, 200)

        return await self._repeats.once(idem, act)

    async def client_secret(self, payment_id: str) -> str:
        """Fetched from Stripe each time, since it is stored nowhere (M33).

        Raises NotFound, StatusForbids where there is nothing to confirm, StripeUnavailable.
        """
        payment = await load_payment(self._store, payment_id)
        if payment.status not in (Status.PROCESSING, Status.FAILED):
            raise StatusForbids(f"A payment that is {payment.status} has nothing to confirm.")
        if payment.payment_intent is None:
            raise StatusForbids("The payment has no PaymentIntent to confirm: process it first.")
        intent = await self._gateway.payment_intent(intent_of(payment))
        if intent.client_secret is None:
            raise NotFound("Stripe gave no client secret for this PaymentIntent.")
        return intent.client_secret

    async def _ready(self, read: AsRead) -> StripeIdentity:
        """Everything that can refuse a movement before its intent is committed (M32)."""
        must_flow(read.switch)
        self._gateway.ensure_available()
        return await self._gateway.identity()

    async def _destination(self, payment: Payment, actor: Actor, named: str | None) -> str | None:
        if payment.payer_type is PayerType.DRIVER_IC:
            if named is not None:
                raise InvalidInput(
                    "vendorStripeAccountId", "A driver's payment is not transferred to a vendor."
                )
            return None
        if not await self._gateway.connect_enabled():
            raise NotAllowed(
                "Transfers are switched off: connectEnabled is false in the Stripe credentials.",
                code="connect_disabled",
            )
        on_file = await account_on_file(self._store, payment.vendor_id)
        chosen = approval.destination_to_pay(payment, actor, named, on_file, self._policy)
        if chosen is None:
            raise InvalidInput(
                "vendorStripeAccountId",
                "The vendor has no account on file: name one, or onboard the vendor with POST "
                f"/vendors/{payment.vendor_id}/onboarding-link.",
            )
        return chosen

    def _intent_request(self, payment: Payment, identity: StripeIdentity) -> StripeRequest:
        number = payment.attempts + 1
        key = commands.attempt_key(Operation.CREATE_PAYMENT_INTENT, payment, number)
        return self._gateway.payment_intent_request(
            payment, key=key, attempt=number, identity=identity
        )

    @staticmethod
    def _must_be_same_account(payment: Payment, identity: StripeIdentity) -> None:
        if (payment.account, payment.livemode) != (identity.account, identity.livemode):
            raise StatusForbids(
                "Its PaymentIntent belongs to another Stripe account or mode than the service's "
                "present key (M18): restore that key to go on.",
                code="stripe_account_changed",
            )

    async def _must_not_have_moved(self, payment: Payment) -> None:
        """Before a payment with earlier attempts is given up, look at Stripe once more (M6)."""
        ends_here = payment.status in (Status.APPROVED, Status.FAILED)
        if not ends_here or payment.attempts == 0:
            return
        if payment.status is Status.APPROVED:
            # Only an attempt adopts, and approved it has none.
            for one in await self._lookup.look(payment):
                if not (isinstance(one, PaymentIntent) and one.status is IntentStatus.CANCELED):
                    raise StatusForbids(
                        f"Stripe has {one.id} of an earlier attempt: process the payment, which "
                        "takes that up and moves nothing new.",
                        code="not_cancelled",
                    )
            return
        found = await self._movement.adopt_if_found(payment)
        if found.status is Status.COMPLETED or found.payment_intent is not None:
            raise StatusForbids(
                f"Stripe has moved its money after all: the payment is {found.status}.",
                code="not_cancelled",
            )

    async def _cancel_ours(self, actor: Actor, read: AsRead, idem: IdempotencyKey | None) -> Answer:
        def decide(current: Payment) -> commands.Facts:
            return commands.cancel(current, actor)

        cancelled = await self._commit_intent(actor, read, decide, idem, 200)
        return Answer(cancelled.state, 200)

    async def _commit_intent(
        self,
        actor: Actor,
        read: AsRead,
        decide: Callable[[Payment], commands.Facts],
        idem: IdempotencyKey | None,
        status: int | None = None,
    ) -> Written[Payment]:
        """Decided on what was read; the commit proves that it stands so still, or it is read and
        decided again (M25)."""
        payment_id = read.payment.id

        def on_current(current: Payment | None) -> commands.Facts:
            if current is None:
                raise NotFound(f"There is no payment {payment_id}.")
            return decide(current)

        opens: Opens | None = idem.opens(status) if idem else None
        stream, loaded = stream_of("payment", payment_id), read.loaded
        return await self._write_path.write(
            stream, on_current, actor=actor, opens=opens, loaded=loaded
        )

    @staticmethod
    def _answer(carried: Carried) -> Answer:
        status = 503 if carried.refused_credentials else status_of(carried.payment)
        return Answer(carried.payment, status, carried.client_secret)

    @staticmethod
    def _cancelled(carried: Carried) -> Answer:
        """200 cancelled; 202 while Stripe has not said; 409 where the money had come."""
        payment = carried.payment
        if payment.status is Status.CANCELLED:
            return Answer(payment, 200)
        if payment.cancellation and payment.cancellation.open:
            return Answer(payment, 503 if carried.refused_credentials else 202)
        raise StatusForbids(
            f"Stripe did not cancel it: the payment is {payment.status}.", code="not_cancelled"
        )


def _was_never_processed(payment: Payment) -> bool:
    """A driver's payment without an attempt: each answer to ``process`` began with one, in the
    same commit (M31). A transfer may have been queued instead."""
    return payment.payer_type is PayerType.DRIVER_IC and payment.attempts == 0
