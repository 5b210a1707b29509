"""A person has Stripe asked, now, what became of a payment whose outcome is unknown.

Only proof settles it (M5): what Stripe shows under our own ids, or an object that the person names
and that is fetched and compared first (M13). Nothing is sent, and nobody's word stands for proof:
that an attempt never happened is found by M8's two empty lists alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain import outcomes, shares_seen
from roadcall_payments.domain.errors import InvalidInput, NotFound, StatusForbids
from roadcall_payments.domain.payment import Attempt, Payment, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.settlement import ShareTransfer, TakeBack
from roadcall_payments.domain.stripe_objects import PaymentIntent, Transfer
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.approvals import load_payment
from roadcall_payments.workflows.movement import Movement
from roadcall_payments.workflows.settlement_movement import SettlementMovement
from roadcall_payments.workflows.write_path import WritePath, Written


@dataclass(frozen=True, slots=True)
class OpenCall:
    """The call whose answer is missing. Until ``key_until`` the worker may send it again under
    its key; ``void_after``: the earliest that two empty lists can prove it never happened."""

    operation: str
    key: str
    started_at: datetime
    key_until: datetime
    void_after: datetime | None


@dataclass(frozen=True, slots=True)
class Inquired:
    before: Payment
    after: Payment
    open_call: OpenCall | None

    @property
    def settled(self) -> bool:
        return self.open_call is None


class Inquiry:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: Movement,
        settlements: SettlementMovement,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._settlements = settlements

    async def settle(self, actor: Actor, payment_id: str, object_id: str | None = None) -> Inquired:
        """Look at Stripe and apply what is proved; the journal names who asked, and with what.

        Raises NotFound; StatusForbids where nothing is unknown or the key is of another account;
        InvalidInput("object") for evidence that is not this payment's; StripeUnavailable.
        """
        before = await load_payment(self._store, payment_id)
        if open_call(before) is None:
            raise StatusForbids(f"Nothing is unknown: the payment is {before.status}.")
        identity = await self._gateway.identity()
        if (before.account, before.livemode) != (identity.account, identity.livemode):
            raise StatusForbids(
                f"It belongs to the Stripe account {before.account}, the service's key to "
                f"{identity.account} (M18): restore that key first.",
                code="stripe_account_changed",
            )
        evidence = await self._evidence(before, object_id) if object_id else None
        asked = await self._noted(actor, payment_id, object_id)
        after = await self._looked(asked, evidence)
        return Inquired(before, after, open_call(after))

    async def _evidence(self, payment: Payment, object_id: str) -> PaymentIntent | Transfer:
        found: PaymentIntent | Transfer
        try:
            if object_id.startswith("pi_"):
                found = await self._gateway.payment_intent(object_id)
            elif object_id.startswith("tr_"):
                found = await self._gateway.transfer(object_id)
            else:
                raise InvalidInput("object", "Name a PaymentIntent (pi_) or a transfer (tr_).")
        except NotFound as missing:
            raise InvalidInput("object", f"Stripe has no {object_id}.") from missing
        if not _is_the_open_calls(payment, found):
            raise InvalidInput(
                "object",
                f"{object_id} is not this payment's: purpose, payment, attempt, amount, currency, "
                "destination, account and mode must all agree (M13).",
            )
        return found

    async def _noted(self, actor: Actor, payment_id: str, object_id: str | None) -> Payment:
        def decide(current: Payment | None) -> tuple[e.Fact, ...]:
            if current is None or open_call(current) is None:
                return ()
            return (e.OutcomeInquired(str(actor), object_id),)

        stream = stream_of("payment", payment_id)
        written: Written[Payment] = await self._write_path.write(stream, decide, actor=actor)
        return written.state

    async def _looked(self, payment: Payment, evidence: PaymentIntent | Transfer | None) -> Payment:
        if payment.status is Status.COMPLETED:
            return await self._looked_for_share(payment, evidence)
        if evidence is not None:
            return (await self._movement.adopt(payment, [evidence])).payment
        call = open_call(payment)
        if call is None:
            return payment
        if self._write_path.clock.now() < call.key_until:
            if payment.payment_intent is not None:
                return await self._movement.see_intent(payment)
            return await self._movement.adopt_if_found(payment)
        # Past its key's deadline nothing is sent any more: these only look (M8).
        if payment.cancellation and payment.cancellation.open:
            return (await self._movement.carry_cancellation(payment, first_try=False)).payment
        if payment.confirmation and payment.confirmation.open:
            return (await self._movement.carry_confirmation(payment, first_try=False)).payment
        return (await self._movement.carry_attempt(payment, first_try=False)).payment

    async def _looked_for_share(
        self, payment: Payment, evidence: PaymentIntent | Transfer | None
    ) -> Payment:
        if isinstance(evidence, Transfer):
            return await self._settlements.see_transfer(payment, evidence, e.Source.LOOKUP)
        call = open_call(payment)
        if call is None or self._write_path.clock.now() < call.key_until:
            return await self._settlements.look(payment)
        return await self._settlements.carry(payment, first_try=False)


def _is_the_open_calls(payment: Payment, found: PaymentIntent | Transfer) -> bool:
    if payment.account is None:
        return False
    if payment.status is Status.COMPLETED:
        share = isinstance(found, Transfer) and shares_seen.own_try(payment, found, payment.account)
        return bool(share)
    ours = outcomes.is_ours(payment, found, payment.account)
    return ours and payment.payment_intent in (None, found.id)


def open_call(payment: Payment) -> OpenCall | None:
    """The payment's call without an answer, the latest first."""
    settlement = payment.settlement
    if payment.status is Status.COMPLETED and settlement is not None:
        return _of_share(settlement.open_transfer or settlement.open_take_back)
    if payment.status not in (Status.PROCESSING, Status.FAILED):
        return None
    for call in (payment.cancellation, payment.confirmation, payment.attempt):
        if call is not None and call.open:
            return OpenCall(
                operation=call.request.operation.value,
                key=call.request.idempotency_key,
                started_at=call.started_at,
                key_until=call.started_at + outcomes.KEY_DEADLINE,
                void_after=_void_after(payment.attempt) if call is payment.attempt else None,
            )
    return None


def _of_share(call: ShareTransfer | TakeBack | None) -> OpenCall | None:
    if call is None or call.request is None:
        return None
    return OpenCall(
        operation=call.request.operation.value,
        key=call.request.idempotency_key,
        started_at=call.started_at,
        key_until=call.started_at + outcomes.KEY_DEADLINE,
        void_after=_void_after(call),
    )


def _void_after(call: Attempt | ShareTransfer | TakeBack | None) -> datetime | None:
    if call is None:
        return None
    earliest = call.started_at + outcomes.VOID_AFTER
    if not call.absences:
        return max(earliest, call.started_at + outcomes.KEY_DEADLINE + timedelta(hours=1))
    return max(earliest, call.absences[0] + outcomes.ABSENCES_APART)
