"""The connected accounts of a fake Stripe: all able to receive unless a test says otherwise."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.stripe_objects import (
    Account,
    AccountStatus,
    BankAccount,
    HostedPage,
    Requirements,
    StripeRequest,
)
from roadcall_payments.ports import CreatedWindow, ReturnAddresses

ABLE = AccountStatus("active", payouts_enabled=True, charges_enabled=True, details_submitted=True)
TO_ONBOARD = AccountStatus(
    "inactive",
    payouts_enabled=False,
    requirements=Requirements(("business_type", "external_account"), (), ("business_type",)),
)
BANK = BankAccount("usd", "6789", "STRIPE TEST BANK", "fp_1")
OTHER_BANK = BankAccount("usd", "1116", "STRIPE TEST BANK", "fp_2")
OPENED = datetime(2026, 1, 5, 12, tzinfo=UTC)


class ConnectedAccounts:
    """``accounts_shown``: those a test described; any other id is an account that can receive,
    but for ``strangers``."""

    def __init__(self) -> None:
        self.accounts_shown: dict[str, Account] = {}
        self.strangers: set[str] = set()
        self.accounts_asked: list[str] = []
        self.pages_made: list[tuple[str, ReturnAddresses | None]] = []
        self._account_numbers = itertools.count(1)

    def show(self, account_id: str, status: AccountStatus) -> Account:
        """What Stripe says of the account from now on."""
        known = self.accounts_shown.get(account_id)
        account = replace(known, status=status) if known else Account(account_id, status, OPENED)
        self.accounts_shown[account_id] = account
        return account

    def shown(self, account_id: str) -> Account:
        self.accounts_asked.append(account_id)
        if account_id in self.strangers:
            raise NotFound(f"Stripe shows us no account {account_id}.")
        return self.accounts_shown.get(account_id) or Account(account_id, ABLE, OPENED)

    def opened_account(self, request: StripeRequest) -> Account:
        params = json.loads(request.params)
        account_id = f"acct_1Opened{next(self._account_numbers)}"
        account = Account(account_id, TO_ONBOARD, OPENED, params["metadata"])
        self.accounts_shown[account_id] = account
        return account

    def accounts_listed(self, created: CreatedWindow) -> Sequence[Account]:
        del created  # its accounts all have one time of making
        return list(self.accounts_shown.values())

    def page(self, account_id: str, returns_to: ReturnAddresses | None) -> HostedPage:
        self.shown(account_id)
        self.pages_made.append((account_id, returns_to))
        number = len(self.pages_made)
        return HostedPage(f"https://stripe.test/{number}", OPENED + timedelta(minutes=5))
