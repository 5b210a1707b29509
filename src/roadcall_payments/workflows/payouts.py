"""Pay a vendor's balance out to its bank: on demand and by schedule, once, followed to its end."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import paying_out
from roadcall_payments.domain.errors import InvalidInput, NotAllowed, NotFound, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.paying_out import PayoutMinimum
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.payout_events import PayoutRequested
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Gateway, Ids, Store
from roadcall_payments.workflows.idempotency import IdempotencyKey, Repeats
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.payout_movement import (
    CarriedPayout,
    PayoutMovement,
    status_of_cancel,
    status_of_payout,
)
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.write_path import WritePath, Written


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """What a payout's POST answers: the payout and the HTTP status.

    200 cancelled, 201 requested and at Stripe; 202 not known yet; 400 refused by Stripe; 409 the
    cancel came too late; 503 Stripe rejects our credentials.
    """

    payout: Payout
    status: int
    repeated: bool = False


class Payouts:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: PayoutMovement,
        switch: MovementsSwitch,
        vendors: Vendors,
        ids: Ids,
        minimum: PayoutMinimum,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._switch = switch
        self._vendors = vendors
        self._ids = ids
        self._minimum = minimum
        self._repeats = Repeats(store)

    async def request(
        self, actor: Actor, vendor_id: str, amount: Money, idem: IdempotencyKey | None = None
    ) -> PayoutAnswer:
        """Commit the intent, then ask Stripe: 201, 202, 400 or 503.

        Raises, before anything is written: NotFound, InvalidInput, NotAllowed, StatusForbids,
        AccountTaken, MovementsPaused, StripeUnavailable, CredentialsRejected.
        """

        async def act() -> PayoutAnswer:
            vendor = await self._vendors.get(vendor_id)
            self._must_be_carried(amount)
            account = await self._must_pay_out(vendor)
            funds = await self._gateway.balance(account)
            paying_out.must_be_available(amount, funds.available)
            carried = await self.start(actor, vendor, amount, idem=idem)
            return _answer(carried, status_of_payout(carried.payout))

        def again(payout: Payout, status: int | None) -> PayoutAnswer:
            return PayoutAnswer(payout, status or status_of_payout(payout), repeated=True)

        return await self._repeats.once_of(Payout, idem, act, again)

    async def start(
        self,
        actor: Actor,
        vendor: Vendor,
        amount: Money,
        *,
        day: str | None = None,
        idem: IdempotencyKey | None = None,
    ) -> CarriedPayout:
        """The intent, then the call. ``day``: it is that day's payout, of which there is one for
        each vendor and currency. Raises AlreadyTaken where that is another one."""
        identity = await self._ready()
        account = _account_of(vendor)
        payout_id = self._ids.uuid7()
        request = self._gateway.payout_request(
            payout_id,
            amount,
            key=paying_out.payout_key(payout_id),
            account=account,
            identity=identity,
            day=day,
        )
        asked = PayoutRequested(
            payout_id, vendor.id, account, identity.livemode, amount, request, str(actor), day
        )

        def decide(payout: Payout | None) -> paying_out.Facts:
            return paying_out.request_payout(payout, asked)

        written: Written[Payout] = await self._write_path.write(
            stream_of("payout", payout_id),
            decide,
            actor=actor,
            opens=idem.opens() if idem else None,
        )
        return await self._movement.carry(written.state, first_try=True, idem=idem)

    async def cancel(
        self, actor: Actor, payout_id: str, idem: IdempotencyKey | None = None
    ) -> PayoutAnswer:
        """Ask Stripe to keep the money in the balance: 200, 202, 409 or 503.

        Raises, before anything is written: NotFound, StatusForbids, StripeUnavailable,
        CredentialsRejected.
        """
        await self.get(payout_id)

        async def act() -> PayoutAnswer:
            paying_out.must_be_cancellable(await self.get(payout_id))
            self._gateway.ensure_available()
            identity = await self._gateway.identity()

            def decide(payout: Payout | None) -> paying_out.Facts:
                if payout is None:
                    raise NotFound(f"There is no payout {payout_id}.")
                request = self._gateway.cancel_payout_request(
                    payout.stripe_payout or "",
                    key=paying_out.cancellation_key(payout),
                    account=payout.account,
                    identity=identity,
                )
                return paying_out.request_cancel(payout, request, actor)

            written: Written[Payout] = await self._write_path.write(
                stream_of("payout", payout_id),
                decide,
                actor=actor,
                opens=idem.opens() if idem else None,
            )
            carried = await self._movement.carry_cancellation(
                written.state, first_try=True, idem=idem
            )
            return _answer(carried, status_of_cancel(carried.payout))

        def again(payout: Payout, status: int | None) -> PayoutAnswer:
            return PayoutAnswer(payout, status or status_of_cancel(payout), repeated=True)

        return await self._repeats.once_of(Payout, idem, act, again)

    async def get(self, payout_id: str) -> Payout:
        """Raises NotFound."""
        loaded = await self._store.load(stream_of("payout", payout_id))
        if loaded is None or not isinstance(loaded.state, Payout):
            raise NotFound(f"There is no payout {payout_id}.")
        return loaded.state

    async def _ready(self) -> StripeIdentity:
        await self._switch.must_flow()
        if not await self._gateway.connect_enabled():
            raise NotAllowed(
                "Payouts are switched off: connectEnabled is false in the Stripe credentials.",
                code="connect_disabled",
            )
        self._gateway.ensure_available()
        return await self._gateway.identity()

    def _must_be_carried(self, amount: Money) -> None:
        problem = self._gateway.payout_refusal_of(amount)
        if problem is not None:
            raise InvalidInput("amountCents", problem, code="amount_not_carried")
        paying_out.must_reach_minimum(amount, self._minimum)

    async def _must_pay_out(self, vendor: Vendor) -> str:
        """The vendor's account, as Stripe shows it now. Raises StatusForbids where its owner has
        to act first."""
        await self._ready()
        account = _account_of(await self._vendors.with_own_account(vendor.id))
        shown = await self._gateway.account(account)
        if not shown.status.payouts_enabled:
            raise StatusForbids(
                "Stripe makes no payouts from the vendor's account at present: its owner has to "
                "give what is due, or name another bank account.",
                code="payouts_disabled",
            )
        return account


def _account_of(vendor: Vendor) -> str:
    if vendor.stripe_account is None:
        raise StatusForbids(
            f"Vendor {vendor.id} has no connected account: nothing can be paid out.",
            code="no_connected_account",
        )
    return vendor.stripe_account


def _answer(carried: CarriedPayout, status: int) -> PayoutAnswer:
    return PayoutAnswer(carried.payout, 503 if carried.refused_credentials else status)
