"""What follows a driver's payment under chaos: a part is refunded, or the charge is disputed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping

from tests.flows.load import Errand, Load
from tests.flows.stack import Stack, wait_for

REFUND, DISPUTE = "refunds", "disputes"
# In turn, so that each happens early in the shortest run, and the rest of a payment's books can
# be seen without either.
_TURNS = (REFUND, DISPUTE, None)
_PARTS_CENTS = (100, 2_500, 12_500)
_OUTCOMES = ("won", "lost")


class MoneyBack:
    """``begun``: refunds that another person approved and disputes that Stripe decided."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._turns = itertools.cycle(_TURNS)
        self.begun: Counter[str] = Counter()

    def follow(self, load: Load, errand: Errand) -> None:
        """Called by each client when it has carried a payment of a driver's to its movement."""
        turn = next(self._turns)
        if turn is None:
            return
        path = f"/payments/{errand.payment_id}"
        payment = wait_for(f"{path} paid", lambda: self._paid(load, errand, path), load.insist_s)
        if turn == REFUND:
            self._refund(load, errand, path)
        else:
            self._dispute(str(payment["stripeChargeId"]))
        self.begun[turn] += 1

    def _paid(self, load: Load, errand: Errand, path: str) -> Mapping[str, object] | None:
        shown = load.insist(self._stack, errand, "show", path, None, as_="dispatcher").body
        return shown if shown["status"] == "completed" else None

    def _refund(self, load: Load, errand: Errand, path: str) -> None:
        part = {"amountCents": random.choice(_PARTS_CENTS)}
        asked = load.insist(
            self._stack, errand, "refund", f"{path}/refunds", part, as_="dispatcher"
        )
        assert asked.status == 201, asked
        own_id = asked.text("id")
        wait_for(
            f"approval of refund {own_id}",
            lambda: self._approved(load, errand, own_id),
            load.insist_s,
        )

    def _approved(self, load: Load, errand: Errand, own_id: str) -> bool:
        """Not while the vendor's share is on its way (M20); and a lost answer may have done it."""
        name, path = f"refund_approve {own_id}", f"/refunds/{own_id}"
        reply = load.insist(self._stack, errand, name, f"{path}/approve", {}, as_="admin")
        assert reply.status in (200, 202, 409), reply
        shown = load.insist(self._stack, errand, "show", path, None, as_="admin")
        return shown.body["status"] != "requested"

    def _dispute(self, charge: str) -> None:
        """By the payer's bank, which asks nobody here."""
        reason = {"reason": "fraudulent"}
        opened = self._stack.stripe("POST", f"/_sandbox/charges/{charge}/dispute", reason)
        assert opened.status == 200, opened
        decided = self._stack.stripe(
            "POST",
            f"/_sandbox/disputes/{opened.text('id')}/decide",
            {"outcome": random.choice(_OUTCOMES)},
        )
        assert decided.status == 200, decided
