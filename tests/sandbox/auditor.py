"""An independent auditor of the sandbox's books: from its objects alone, what must be so."""

from collections import defaultdict
from typing import Any

State = dict[str, Any]
"""The answer of `GET /_sandbox/state`."""

Purse = tuple[str, str]
"""An account and a currency."""


def balances(state: State) -> dict[Purse, tuple[int, int]]:
    return {
        (each["account"], each["currency"]): (each["available"], each["pending"])
        for each in state["balances"]
    }


def audit(state: State, opening: int) -> None:
    """Raises AssertionError with the books that do not agree."""
    _balances_are_sums(state)
    _nothing_beyond_what_is_there(state)
    _money_is_conserved(state, opening)
    _keys_made_one_thing(state)
    _payouts_are_what_they_carried(state)


def _balances_are_sums(state: State) -> None:
    sums: dict[Purse, list[int]] = defaultdict(lambda: [0, 0])
    for booked in state["balance_transactions"]:
        assert booked["net"] == booked["amount"] - booked["fee"]
        place = 0 if booked["status"] == "available" else 1
        sums[booked["_account"], booked["currency"]][place] += booked["net"]
    shown = balances(state)
    for purse in sums.keys() | shown.keys():
        assert tuple(sums[purse]) == shown.get(purse, (0, 0)), purse


def _nothing_beyond_what_is_there(state: State) -> None:
    refunded: dict[str, int] = defaultdict(int)
    for refund in state["refunds"]:
        if refund["status"] not in ("failed", "canceled"):
            refunded[refund["charge"]] += refund["amount"]
    for charge in state["charges"]:
        assert 0 <= refunded[charge["id"]] <= charge["amount_captured"], charge["id"]
    reversed_by: dict[str, int] = defaultdict(int)
    for reversal in state["transfer_reversals"]:
        reversed_by[reversal["transfer"]] += reversal["amount"]
    for transfer in state["transfers"]:
        assert transfer["amount_reversed"] == reversed_by[transfer["id"]] <= transfer["amount"]
    returned: dict[str, int] = defaultdict(int)
    for refund in state["fee_refunds"]:
        returned[refund["fee"]] += refund["amount"]
    for fee in state["application_fees"]:
        assert fee["amount_refunded"] == returned[fee["id"]] <= fee["amount"], fee["id"]
    for (account, _), (available, pending) in balances(state).items():
        if account != state["platform"]:
            assert available >= 0, account
            assert pending >= 0, account


def _money_is_conserved(state: State, opening: int) -> None:
    """What all accounts hold is what came in less what went out, told by the objects."""
    fees = {
        booked["id"]: sum(
            part["amount"] for part in booked["fee_details"] if part["type"] == "stripe_fee"
        )
        for booked in state["balance_transactions"]
    }
    expected = opening
    for charge in state["charges"]:
        if charge["source_transfer"] is None and charge["balance_transaction"] is not None:
            expected += charge["amount_captured"] - fees[charge["balance_transaction"]]
    for refund in state["refunds"]:
        gone = refund["status"] not in ("failed", "canceled")
        left = refund["balance_transaction"] is not None and gone
        if left and refund["source_transfer_reversal"] is None:
            expected -= refund["amount"]
    for dispute in state["disputes"]:
        for booked in dispute["balance_transactions"]:
            expected += booked["amount"] - booked["fee"]
        withdrawn = dispute["payment_method_details"]["card"]["case_type"] == "chargeback"
        assert len(dispute["balance_transactions"]) == withdrawn * (
            1 + (dispute["status"] == "won")
        )
    for payout in state["payouts"]:
        if payout["status"] in ("pending", "in_transit", "paid"):
            expected -= payout["amount"]
    held = sum(available + pending for available, pending in balances(state).values())
    assert held == expected


def _keys_made_one_thing(state: State) -> None:
    for kind in ("payment_intents", "refunds", "transfers", "transfer_reversals", "payouts"):
        keys = [
            (each["_account"], each["_idempotency_key"])
            for each in state[kind]
            if each["_idempotency_key"] is not None and each.get("source_transfer_reversal") is None
        ]
        assert len(keys) == len(set(keys)), kind


def _payouts_are_what_they_carried(state: State) -> None:
    """An automatic payout and the transactions it took to the bank cancel out."""
    carried: dict[str, int] = defaultdict(int)
    for booked in state["balance_transactions"]:
        if booked["_payout"] is not None:
            carried[booked["_payout"]] += booked["net"]
    automatic = {payout["id"] for payout in state["payouts"] if payout["automatic"]}
    assert carried == dict.fromkeys(automatic, 0)
