"""Transfers and their reversals as Stripe makes them: a fake's memory."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    Reversal,
    StripeFailure,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import Refused
from roadcall_payments.stripe_gateway.amounts import from_stripe
from tests.fakes.money_back import CREATED

SPENT = StripeFailure(
    "balance_insufficient", "The connected account does not have enough available balance."
)


class Transfers:
    """``spent``: the connected accounts whose balance is gone, so that nothing comes back.

    ``platform_funds``: what the platform can transfer, in minor units; a transfer takes of it.
    ``looks_meet``: the first looks at that wait for one another, as if at one instant.
    """

    _numbers: itertools.count[int]

    def __init__(self) -> None:
        self.made_transfers: dict[str, Transfer] = {}
        self.made_reversals: list[Reversal] = []
        self.spent: set[str] = set()
        self.platform_funds = dict.fromkeys(("cad", "eur", "jpy", "kwd", "usd"), 10**11)
        self.looks_meet: asyncio.Barrier | None = None

    async def _meet(self) -> None:
        meeting = self.looks_meet
        if meeting is not None:
            await meeting.wait()
            self.looks_meet = None

    def reverse(self, transfer_id: str, *amounts_cents: int) -> Transfer:
        """Reverse parts of a transfer, as somebody does in Stripe's dashboard."""
        for cents in amounts_cents:
            self._reverse(transfer_id, cents, {})
        return self.made_transfers[transfer_id]

    def _reverse(self, transfer_id: str, cents: int, metadata: dict[str, str]) -> Reversal:
        transfer, number = self.made_transfers[transfer_id], next(self._numbers)
        part = Money(cents, transfer.amount.currency)
        made = Reversal(f"trr_{number}", transfer_id, part, CREATED, f"txn_{number}", metadata)
        self.made_reversals.append(made)
        total = transfer.amount_reversed + part
        self.made_transfers[transfer_id] = replace(transfer, amount_reversed=total)
        return made

    def _reversed(self, request: StripeRequest) -> Reversal | Refused:
        params = json.loads(request.params)
        transfer = self.made_transfers[request.path.split("/")[3]]
        left = (transfer.amount - transfer.amount_reversed).amount_cents
        cents = from_stripe(params["amount"], transfer.amount.currency).amount_cents
        if transfer.destination in self.spent or cents > left:
            return Refused(SPENT, 400, "req_refused", replayed=False)
        return self._reverse(transfer.id, cents, params["metadata"])

    def _transferred(self, request: StripeRequest) -> Transfer:
        params = json.loads(request.params)
        transfer_id = f"tr_{next(self._numbers)}"
        amount = from_stripe(params["amount"], params["currency"])
        if "source_transaction" not in params:
            self.platform_funds[amount.currency] -= amount.amount_cents
        self.made_transfers[transfer_id] = Transfer(
            transfer_id,
            amount,
            params["destination"],
            False,
            CREATED,
            params["metadata"],
            params.get("transfer_group"),
            Money(0, amount.currency),
        )
        return self.made_transfers[transfer_id]
