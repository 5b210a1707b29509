"""Payouts as Stripe, its schedule and the banks make them: a fake's memory."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    BalanceFunds,
    CarriedLine,
    Payout,
    PayoutStatus,
    StripeFailure,
    StripeRequest,
)
from roadcall_payments.ports import Refused
from roadcall_payments.stripe_gateway import amounts
from tests.fakes.money_back import CREATED

ARRIVAL = CREATED + timedelta(days=2)
NOT_PENDING = StripeFailure("payout_not_pending", "Payouts can only be canceled while pending.")


class BankPayouts:
    def __init__(self) -> None:
        self.made_payouts: dict[str, Payout] = {}
        self.payout_accounts: dict[str, str] = {}
        self.carried: dict[str, tuple[CarriedLine, ...]] = {}
        self._available: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._pending: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._payout_numbers = itertools.count(1)

    def fund(self, account: str, available: Money, pending_cents: int = 0) -> None:
        """What the account's balance holds of that currency from now on."""
        self._available[account][available.currency] = available.amount_cents
        self._pending[account][available.currency] = pending_cents

    def funds(self, account: str) -> BalanceFunds:
        return BalanceFunds(
            tuple(Money(cents, c) for c, cents in sorted(self._available[account].items())),
            tuple(Money(cents, c) for c, cents in sorted(self._pending[account].items())),
        )

    def pay_out(
        self,
        account: str,
        amount: Money,
        *,
        automatic: bool = True,
        metadata: Mapping[str, str] | None = None,
        created: datetime = CREATED,
    ) -> Payout:
        """A payout as Stripe's schedule makes it, or somebody in the dashboard."""
        payout_id = f"po_{next(self._payout_numbers)}"
        self.made_payouts[payout_id] = Payout(
            payout_id,
            PayoutStatus.PENDING,
            amount,
            ARRIVAL,
            None,
            None,
            created,
            automatic,
            metadata or {},
        )
        self.payout_accounts[payout_id] = account
        held = self._available[account].get(amount.currency, 0)
        self._available[account][amount.currency] = held - amount.amount_cents
        return self.made_payouts[payout_id]

    def payout_becomes(
        self, payout_id: str, status: PayoutStatus, code: str | None = None
    ) -> Payout:
        """The bank's next step; a failure or cancel gives the money back to the balance."""
        before = self.made_payouts[payout_id]
        words = f"Stripe's words for {code}." if code else None
        after = replace(before, status=status, failure_code=code, failure_message=words)
        self.made_payouts[payout_id] = after
        if status in (PayoutStatus.FAILED, PayoutStatus.CANCELED):
            held = self._available[self.payout_accounts[payout_id]]
            held[before.amount.currency] += before.amount.amount_cents
        return after

    def shown_payout(self, account: str, payout_id: str) -> Payout:
        if self.payout_accounts.get(payout_id) != account:
            raise NotFound(f"Stripe has no {payout_id} in {account}.")
        return self.made_payouts[payout_id]

    def payouts_of(self, account: str) -> Sequence[Payout]:
        own = [one for one, holder in self.payout_accounts.items() if holder == account]
        return [self.made_payouts[one] for one in reversed(own)]

    def payout_refusal_of(self, amount: Money) -> str | None:
        return amounts.payout_refusal_of(amount)

    def payable_of(self, available: Money) -> Money:
        return amounts.payable_of(available)

    async def carried_lines(self, account: str, payout_id: str) -> Sequence[CarriedLine]:
        self.shown_payout(account, payout_id)
        return self.carried.get(payout_id, ())

    def _requested_payout(self, request: StripeRequest) -> Payout:
        params = json.loads(request.params)
        amount = amounts.from_stripe(params["amount"], params["currency"])
        assert request.connected_account is not None
        return self.pay_out(
            request.connected_account, amount, automatic=False, metadata=params["metadata"]
        )

    def _cancelled_payout(self, request: StripeRequest) -> Payout | Refused:
        payout_id = request.path.split("/")[3]
        if self.made_payouts[payout_id].status is not PayoutStatus.PENDING:
            return Refused(NOT_PENDING, 400, "req_cancel", replayed=False)
        return self.payout_becomes(payout_id, PayoutStatus.CANCELED)
