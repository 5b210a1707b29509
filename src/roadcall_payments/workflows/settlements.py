"""Settle drivers' payments: the vendor's share goes out, what is not its share comes back.

The worker asks for every completed payment that is due. Each look makes every step that can be
made now: one call is under way at a time, and each intent is committed before it (M4, M20-M22).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import (
    debt,
    debt_relief,
    settlement_debts,
    settling,
    shares_seen,
    take_backs_seen,
)
from roadcall_payments.domain.debt import SetOffTerms
from roadcall_payments.domain.errors import AccountTaken, VendorCannotReceive
from roadcall_payments.domain.events import PayerType, Source
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Patience, Payment, Status
from roadcall_payments.domain.people import WORKER
from roadcall_payments.domain.platform_fee import FeePolicy
from roadcall_payments.domain.settlement_events import FeeTerms
from roadcall_payments.domain.stripe_objects import StripeIdentity, StripeRequest, Transfer
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.domain.vendor_share import (
    ShareDue,
    TakeBackDue,
    share_due,
    take_back_due,
)
from roadcall_payments.ports import Gateway, PaymentQuery, Store
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.movement import intent_of
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.settlement_movement import SettlementMovement
from roadcall_payments.workflows.write_path import WritePath, Written, WrittenPair

# A share, what it gives back and what is left over: more steps wait for the next look.
STEPS_MAX = 6
# How many of a vendor's payments are looked through for shares that wait (M28): these are the
# newest as a rule, and any other is tried every hour.
NEWEST = 100

Facts = settling.Facts

# Ours, where the vendor's account is not to blame.
NO_ACCOUNT = "no_account"
NO_CHARGE = "no_charge"
CONNECT_DISABLED = "connect_disabled"


@dataclass(frozen=True, slots=True)
class SettlementPolicy:
    """``fee``: for vendors without one of their own. ``returns_fee``: refunds give it back in
    proportion. ``set_off_cap_bps``: how much of one share may pay debts (M22), where the
    vendor has no cap of its own."""

    fee: FeePolicy
    returns_fee: bool
    set_off_cap_bps: int


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a share goes, the charge that it comes out of, and by whose key. None: it is not of a
    driver's payment, and comes out of the platform's balance."""

    account: str
    charge: str | None
    identity: StripeIdentity


class Settlements:
    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        movement: SettlementMovement,
        reading: AccountReading,
        switch: MovementsSwitch,
        policy: SettlementPolicy,
        patience: Patience,
    ) -> None:
        self._write_path = write_path
        self._store: Store = write_path.store
        self._gateway = gateway
        self.movement = movement
        self._reading = reading
        self._switch = switch
        self._policy = policy
        self._patience = patience

    async def attended(self, payment: Payment) -> Payment:
        """The payment after all that is due of its settlement.

        Raises StripeUnavailable and CredentialsRejected; what was committed stands.
        """
        for _ in range(STEPS_MAX):
            due_at = settling.due_at(payment, self._patience)
            if due_at is None or due_at > self._write_path.clock.now():
                break
            after = await self._step(payment)
            if after == payment:
                break
            payment = after
        if payment.settlement is None:
            return payment
        return (await self._write(payment, take_backs_seen.unexplained)).state

    async def waiting_for(self, vendor_id: str) -> Sequence[Payment]:
        """Of the vendor's newest hundred driver payments those whose share waits, the oldest
        first. Raises CredentialsRejected."""
        identity = await self._gateway.identity()
        query = PaymentQuery(
            vendor_id=vendor_id,
            status=Status.COMPLETED,
            payer_type=PayerType.DRIVER_IC,
            limit=NEWEST,
        )
        newest = (await self._store.payments(query)).items
        return [one for one in reversed(newest) if _waits(one, identity)]

    async def resume(self, vendor_id: str) -> None:
        """Try the shares that wait for the vendor's account, without their rest.

        Raises StripeUnavailable and CredentialsRejected; what was committed stands.
        """
        for payment in await self.waiting_for(vendor_id):
            await self.attended(await self._step(payment))

    async def adopt(self, payment: Payment, found: Transfer) -> Payment:
        """A share's transfer that Stripe has: an open try's own, or one whose start a restore lost
        (M18). Raises StripeUnavailable, CredentialsRejected."""
        payment = await self.movement.see_transfer(payment, found, Source.LOOKUP)
        if payment.settlement is not None and payment.settlement.transfer(found.id) is not None:
            return payment
        identity, charge = await self._gateway.identity(), await self._charge(payment)
        terms = self._terms(payment, await self._vendor(payment))

        def request(parts: settling.ShareParts) -> StripeRequest:
            key = settling.transfer_key(payment, parts.restores)
            return self._gateway.settlement_request(
                payment, parts, key=key, charge=charge, identity=identity
            )

        written = await self._write(
            payment, lambda p: shares_seen.adopted(p, found, terms, request)
        )
        return await self.movement.see_transfer(written.state, found, Source.LOOKUP)

    async def _step(self, payment: Payment) -> Payment:
        settlement = payment.settlement
        if settlement is not None and not settlement.at_rest:
            return await self.movement.carry(payment, first_try=False)
        if await self._switch.held():
            return payment
        self._gateway.ensure_available()
        if take_back_due(payment) is not None:
            vendor = await self._vendor(payment)
            if vendor is None:
                # Nobody to owe what could not be taken back: a restore may have lost the record.
                return (await self._write(payment, take_backs_seen.nobody_to_owe)).state
            return await self._take_back(payment, vendor)
        if settling.debt_to_undo(payment) is not None:
            return await self._undo_debt(payment)
        return await self._pay_out(payment)

    async def _take_back(self, payment: Payment, vendor: Vendor) -> Payment:
        due = take_back_due(payment)
        if due is not None and due.transfer is not None and due.transfer.transfer is not None:
            # Who gave the money back by hand has often reversed the transfer by hand, too.
            seen = await self.movement.see_reversals(payment, due.transfer.transfer)
            if seen != payment:
                return seen
        identity = await self._gateway.identity()

        def request(due: TakeBackDue) -> StripeRequest:
            key = settling.take_back_key(due)
            return self._gateway.reversal_request(payment, due, key=key, identity=identity)

        credit = vendor.debts.credited(payment.amount.currency, identity)
        started = await self._write(payment, lambda p: settling.start_take_back(p, request, credit))
        return await self._carried(started)

    async def _pay_out(self, payment: Payment) -> Payment:
        if not await self._gateway.connect_enabled():
            return await self._deferred(payment, CONNECT_DISABLED, "Transfers are switched off.")
        charge, vendor = await self._charge(payment), await self._vendor(payment)
        account = vendor.stripe_account if vendor else None
        if vendor is None or account is None:
            return await self._deferred(payment, NO_ACCOUNT, "The vendor has no account on file.")
        if charge is None and payment.payer_type is PayerType.DRIVER_IC:
            return await self._deferred(payment, NO_CHARGE, "Stripe shows no charge of it.")
        try:
            await self._reading.must_receive(payment.vendor_id, account)
        except VendorCannotReceive as refused:
            return await self._deferred(payment, refused.obstacle, refused.message)
        except AccountTaken as taken:
            return await self._deferred(payment, taken.code, taken.message)
        identity = await self._gateway.identity()
        terms = self._terms(payment, vendor)
        source = _Source(account, charge, identity)

        def decide(current: Payment | None, known: Vendor | None) -> tuple[Facts, debt.Facts]:
            due = share_due(current, terms) if current else None
            if current is None or due is None or known is None or known.stripe_account != account:
                return (), ()
            return self._decided(current, known, due, terms, source)

        started = await self._write_both(payment, decide)
        return await self._carried(started)

    async def _carried(self, written: Written[Payment]) -> Payment:
        """Send what this very look committed; what another worker did is that one's to carry."""
        if not written.facts:
            return written.state
        return await self.movement.carry(written.state, first_try=True)

    def _decided(
        self,
        payment: Payment,
        vendor: Vendor,
        due: ShareDue,
        terms: FeeTerms,
        source: _Source,
    ) -> tuple[Facts, debt.Facts]:
        """The share's start, and in the same commit what it reserves of debts (M22)."""
        key = settling.transfer_key(payment, due.restores)
        whole = Money(due.cents, payment.amount.currency)
        cap_bps = vendor.debt_cap(self._policy.set_off_cap_bps)
        cap = SetOffTerms(cap_bps, terms.multiple_of)
        taken = debt.set_off(vendor.debts, whole, source.identity, cap)

        def request(parts: settling.ShareParts) -> StripeRequest:
            charge = source.charge if settling.is_in_charge(payment, parts.amount) else None
            return self._gateway.settlement_request(
                payment, parts, key=key, charge=charge, identity=source.identity
            )

        facts = settling.start_share(payment, due, taken.amount, terms, source.account, request)
        return facts, debt.reserve(vendor.debts, taken, key, payment.id)

    async def _undo_debt(self, payment: Payment) -> Payment:
        """A refund failed after all: what the vendor owed for it, it owes no more."""

        def decide(current: Payment | None, vendor: Vendor | None) -> tuple[Facts, debt.Facts]:
            owed = settling.debt_to_undo(current) if current else None
            if current is None or owed is None or vendor is None:
                return (), ()
            name = settlement_debts.debt_id(owed.cause_id, owed.number)
            if vendor.debts.debt(name) is None:
                # Paid in full, so long ago that the vendor's state forgot it.
                return settling.undo_debt(current, owed, _cents(current, owed.debt_cents)), ()
            undoing = debt_relief.undo(vendor.debts, vendor.id, name)
            if undoing is None:
                return (), ()
            return settling.undo_debt(current, owed, undoing.paid), undoing.facts

        return (await self._write_both(payment, decide)).state

    def _terms(self, payment: Payment, vendor: Vendor | None) -> FeeTerms:
        """Those of the first share stand for all that follow."""
        if payment.settlement is not None and payment.settlement.terms is not None:
            return payment.settlement.terms
        multiple = self._gateway.multiple_of(payment.amount.currency)
        if payment.payer_type is PayerType.BACK_OFFICE:
            return FeeTerms(_cents(payment, 0), False, multiple)
        agreed = vendor.fee if vendor else None
        fee = (agreed or self._policy.fee).fee_of(payment.amount, multiple)
        return FeeTerms(fee, self._policy.returns_fee, multiple)

    async def _charge(self, payment: Payment) -> str | None:
        """The success may have come without its charge's id: the PaymentIntent knows it. None also
        for a back-office payment, which has none."""
        if payment.charge is not None or payment.payer_type is PayerType.BACK_OFFICE:
            return payment.charge
        return (await self._gateway.payment_intent(intent_of(payment))).latest_charge

    async def _deferred(self, payment: Payment, reason: str, detail: str) -> Payment:
        return (await self._write(payment, lambda p: settling.defer(p, reason, detail))).state

    async def _vendor(self, payment: Payment) -> Vendor | None:
        loaded = await self._store.load(stream_of("vendor", payment.vendor_id))
        return loaded.state if loaded and isinstance(loaded.state, Vendor) else None

    async def _write(
        self, payment: Payment, decide: Callable[[Payment], Facts]
    ) -> Written[Payment]:
        def on_current(current: Payment | None) -> Facts:
            return decide(current or payment)

        return await self._write_path.write(
            stream_of("payment", payment.id), on_current, actor=WORKER
        )

    async def _write_both(
        self,
        payment: Payment,
        decide: Callable[[Payment | None, Vendor | None], tuple[Facts, debt.Facts]],
    ) -> Written[Payment]:
        written: WrittenPair[Payment, Vendor] = await self._write_path.write_pair(
            stream_of("payment", payment.id),
            stream_of("vendor", payment.vendor_id),
            decide,
            actor=WORKER,
        )
        return written.own


def _waits(payment: Payment, identity: StripeIdentity) -> bool:
    ours = (payment.account, payment.livemode) == (identity.account, identity.livemode)
    settlement = payment.settlement
    return ours and settlement is not None and settlement.at_rest and bool(settlement.deferral)


def _cents(payment: Payment, cents: int) -> Money:
    return Money(cents, payment.amount.currency)
