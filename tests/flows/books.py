"""The books, looked at with the operator's own commands and against the sandbox's."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.flows.stack import Stack, wait_for


def command(stack: Stack, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run one `roadcall-payments` command against the stack's data."""
    return subprocess.run(
        [sys.executable, "-m", "roadcall_payments.cli.main", *words],
        env={**os.environ, **stack.environment, **changed},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def verify(stack: Stack) -> None:
    """`verify` is clean: every fold, hash, projection and balance agrees."""
    checked = command(stack, "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def ledger(stack: Stack) -> dict[tuple[str, str, str], int]:
    """Sums of postings per (book, account, currency), zeros left out, by plain SQL."""
    rows = stack.database.query(
        "SELECT book, account, currency, SUM(amount_cents) FROM postings GROUP BY 1, 2, 3"
    )
    return {
        (book, account, currency): int(cents) for book, account, currency, cents in rows if cents
    }


def wait_booked(stack: Stack) -> None:
    """Until every movement's balance transaction is in our books."""

    def cleared() -> bool | None:
        open_ = [key for key in ledger(stack) if key[1] == "stripe_clearing"]
        return True if not open_ else None

    wait_for("the last balance transaction", cleared)


def assert_books_agree(stack: Stack) -> None:
    """Our stripe_balance is the sum of Stripe's own lines but the opening balance; each vendor's
    earnings are what Stripe credited to its account; everything sums to zero."""
    wait_booked(stack)
    sums = ledger(stack)
    # The opening balance is an adjustment that no object made; a dispute's has its dispute.
    lines = [
        line
        for line in stack.objects("balance_transactions")
        if line["type"] != "adjustment" or line["source"]
    ]
    platform = _platform(stack)
    ours = {
        currency: cents
        for (book, account, currency), cents in sums.items()
        if book == platform and account == "stripe_balance"
    }
    stripes: dict[str, int] = {}
    for line in lines:
        if line["_account"] == platform:
            net, currency = line["net"], line["currency"]
            assert isinstance(net, int)
            assert isinstance(currency, str)
            stripes[currency] = stripes.get(currency, 0) + net
    assert ours == {currency: net for currency, net in stripes.items() if net}
    _assert_vendors_agree(stack, platform, sums)
    for book, currency in {(book, currency) for book, _, currency in sums}:
        assert sum(c for (b, _, k), c in sums.items() if (b, k) == (book, currency)) == 0


def _assert_vendors_agree(
    stack: Stack, platform: str, sums: dict[tuple[str, str, str], int]
) -> None:
    earned = {book: -c for (book, account, _), c in sums.items() if account == "earnings"}
    credited: dict[str, int] = {}
    for line in stack.objects("balance_transactions"):
        account, net = line["_account"], line["net"]
        if account != platform and line["type"] not in ("payout", "payout_failure"):
            assert isinstance(account, str)
            assert isinstance(net, int)
            credited[account] = credited.get(account, 0) + net
    assert earned == {account: net for account, net in credited.items() if net}


def _platform(stack: Stack) -> str:
    return stack.form("GET", "/v1/account").text("id")
