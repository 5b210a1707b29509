"""A ``Gateway`` in memory: it answers well unless it was told otherwise.

``script(operation, outcome, ...)`` queues what the next sends of an operation give; ``down`` makes
everything raise, ``reads_down`` the reading of PaymentIntents alone, ``disputes_down`` that of
disputes, ``lists_down`` the listing of transfers and refunds, ``payout_lists_down`` of payouts;
``speaks_for`` is its key's account. What it made can be looked up by the payment's id. Requests are
derived by the real adapter's pure half, so that what is stored looks like what will be.

``during(call, action)`` is how an interleaving is written down: the action runs once, after Stripe
acted on the next such call and before its answer arrives.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain.errors import InvalidInput, NotFound, RoadcallError
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    Account,
    BalanceFunds,
    BalanceTransaction,
    Dispute,
    HostedPage,
    IntentStatus,
    Operation,
    PaymentIntent,
    Payout,
    Refund,
    Reversal,
    StripeEvent,
    StripeFailure,
    StripeIdentity,
    StripeObject,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import (
    Answered,
    CreatedWindow,
    Outcome,
    Refused,
    ReturnAddresses,
    Unknown,
    UnknownReason,
)
from roadcall_payments.stripe_gateway import amounts
from roadcall_payments.stripe_gateway.derived_requests import DerivedRequests
from tests.fakes.bank_payouts import BankPayouts
from tests.fakes.connected_accounts import ConnectedAccounts
from tests.fakes.money_back import CREATED, MoneyBack
from tests.fakes.transfers import Transfers

IDENTITY = StripeIdentity("acct_platform", livemode=False)
GOOD_SIGNATURE = "t=1,v1=good"

DECLINED = StripeFailure(
    "card_declined", "Your card was declined.", "generic_decline", charge_id="ch_declined"
)

Scripted = Outcome | Callable[[StripeRequest], Outcome]
Meanwhile = Callable[[], Awaitable[None]]


class Read(StrEnum):
    """A call that moves nothing, during which something else may happen."""

    PAYMENT_INTENT = "payment_intent"
    TRANSFERS = "transfers"
    REVERSALS = "reversals"
    REFUNDS = "refunds"
    PAYOUT = "payout"
    ACCOUNT = "account"


class FakeGateway(DerivedRequests, MoneyBack, Transfers, BankPayouts, ConnectedAccounts):
    def __init__(self) -> None:
        DerivedRequests.__init__(self)
        MoneyBack.__init__(self)
        Transfers.__init__(self)
        BankPayouts.__init__(self)
        ConnectedAccounts.__init__(self)
        self.sent: list[StripeRequest] = []
        self.budgets_s: list[float] = []
        self.balance_lines: list[BalanceTransaction] = []
        self.listed: list[bytes] = []
        self.events_by_body: dict[bytes, StripeEvent] = {}
        self.down: RoadcallError | None = None
        self.reads_down: RoadcallError | None = None
        self.lists_down: RoadcallError | None = None
        self.payout_lists_down: RoadcallError | None = None
        self.disputes_down: RoadcallError | None = None
        self.speaks_for = IDENTITY
        self.connect = True
        self._scripted: dict[Operation, deque[Scripted]] = defaultdict(deque)
        self._meanwhile: dict[Operation | Read, Meanwhile] = {}

    def script(self, operation: Operation, *outcomes: Scripted) -> None:
        self._scripted[operation].extend(outcomes)

    def allow(self, operation: Operation) -> None:
        """Forget what was scripted for its next calls."""
        self._scripted[operation].clear()

    def during(self, call: Operation | Read, action: Meanwhile) -> None:
        """Between Stripe's acting on the next such call and its answer's arrival.

        What the action raises, the caller gets in place of the answer.
        """
        self._meanwhile[call] = action

    def lose_answer(self, operation: Operation) -> None:
        """Stripe acts on the next such call, and its answer is lost."""

        def acted(request: StripeRequest) -> Outcome:
            self._made(request)
            return Unknown(UnknownReason.TIMEOUT, "no answer in time")

        self.script(operation, acted)

    def event(
        self, event_id: str, kind: str, about: StripeObject, account: str | None = None
    ) -> bytes:
        """The body of a webhook event about an object; ``account`` for a Connect event."""
        body = event_id.encode()
        event = StripeEvent(event_id, kind, False, CREATED, account, about.id, about)
        self.events_by_body[body] = event
        return body

    def decline(self, decline_code: str = "generic_decline") -> None:
        """The next confirmation is declined, as of Stripe's test cards."""
        failure = replace(DECLINED, decline_code=decline_code)

        def declined(request: StripeRequest) -> Outcome:
            intent = self._confirmed(request, IntentStatus.REQUIRES_PAYMENT_METHOD)
            intent = replace(intent, failure=failure)
            self.intents[intent.id] = intent
            return Refused(failure, 402, "req_declined", replayed=False, object=intent)

        self.script(Operation.CONFIRM_PAYMENT_INTENT, declined)

    def ask_payer(self) -> None:
        """The next confirmation needs 3-D Secure."""

        def asks(request: StripeRequest) -> Outcome:
            intent = self._confirmed(request, IntentStatus.REQUIRES_ACTION)
            return Answered(intent, "req_action", replayed=False)

        self.script(Operation.CONFIRM_PAYMENT_INTENT, asks)

    # --- the port ---

    async def identity(self) -> StripeIdentity:
        self._must_be_up()
        return self.speaks_for

    async def connect_enabled(self) -> bool:
        return self.connect

    def ensure_available(self) -> None:
        self._must_be_up()

    def refusal_of(self, amount: Money) -> str | None:
        return amounts.refusal_of(amount)

    def refund_refusal_of(self, amount: Money) -> str | None:
        return amounts.refund_refusal_of(amount)

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        self.sent.append(request)
        self.budgets_s.append(budget_s)
        outcome = self._outcome(request)
        await self._let_happen(request.operation)
        return outcome

    async def payment_intent(self, intent_id: str) -> PaymentIntent:
        self._must_be_up()
        if self.reads_down is not None:
            raise self.reads_down
        if intent_id not in self.intents:
            raise NotFound(f"Stripe has no {intent_id}.")
        seen = self.intents[intent_id]
        await self._let_happen(Read.PAYMENT_INTENT)
        return seen

    async def payment_intents(self, created: CreatedWindow) -> Sequence[PaymentIntent]:
        self._must_be_up()
        return [replace(one, balance_transaction=None) for one in self.intents.values()]

    async def transfer(self, transfer_id: str) -> Transfer:
        self._must_be_up()
        if transfer_id not in self.made_transfers:
            raise NotFound(f"Stripe has no {transfer_id}.")
        return self.made_transfers[transfer_id]

    async def transfers(self, transfer_group: str) -> Sequence[Transfer]:
        self._must_be_up()
        if self.lists_down is not None:
            raise self.lists_down
        made = self.made_transfers.values()
        listed = [one for one in made if one.transfer_group == transfer_group]
        await self._let_happen(Read.TRANSFERS)
        return listed

    async def transfers_created(self, created: CreatedWindow) -> Sequence[Transfer]:
        self._must_be_up()
        return list(self.made_transfers.values())

    async def reversals(self, transfer_id: str) -> Sequence[Reversal]:
        self._must_be_up()
        listed = [one for one in self.made_reversals if one.transfer == transfer_id]
        await self._let_happen(Read.REVERSALS)
        return listed

    async def refunds(self, payment_intent: str) -> Sequence[Refund]:
        self._must_be_up()
        if self.lists_down is not None:
            raise self.lists_down
        made = self.made_refunds.values()
        listed = [one for one in made if one.payment_intent == payment_intent]
        await self._let_happen(Read.REFUNDS)
        return listed

    async def dispute(self, dispute_id: str) -> Dispute:
        self._must_be_up()
        if self.disputes_down is not None:
            raise self.disputes_down
        return self.disputes[dispute_id]

    async def payout(self, account: str, payout_id: str) -> Payout:
        self._must_be_up()
        seen = self.shown_payout(account, payout_id)
        await self._let_happen(Read.PAYOUT)
        return seen

    async def payouts(self, account: str, created: CreatedWindow) -> Sequence[Payout]:
        self._must_be_up()
        if self.payout_lists_down is not None:
            raise self.payout_lists_down
        return self.payouts_of(account)

    async def account(self, account_id: str | None = None) -> Account:
        self._must_be_up()
        seen = self.shown(account_id or IDENTITY.account)
        await self._let_happen(Read.ACCOUNT)
        return seen

    async def accounts(self, created: CreatedWindow) -> Sequence[Account]:
        self._must_be_up()
        return self.accounts_listed(created)

    async def onboarding_page(self, account_id: str, returns_to: ReturnAddresses) -> HostedPage:
        self._must_be_up()
        return self.page(account_id, returns_to)

    async def dashboard_page(self, account_id: str) -> HostedPage:
        self._must_be_up()
        return self.page(account_id, None)

    async def balance(self, account: str | None = None) -> BalanceFunds:
        self._must_be_up()
        if account in (None, IDENTITY.account):
            await self._meet()
            return BalanceFunds(tuple(Money(n, c) for c, n in self.platform_funds.items()), ())
        return self.funds(account)

    async def balance_transactions(
        self,
        *,
        source: str | None = None,
        created: CreatedWindow | None = None,
        account: str | None = None,
    ) -> Sequence[BalanceTransaction]:
        return [line for line in self.balance_lines if source in (None, line.source)]

    async def events(self, created: CreatedWindow) -> Sequence[StripeEvent]:
        """Of ``listed`` bodies, oldest first."""
        return [replace(self.stored_event(body), body=body) for body in self.listed]

    async def verified_event(self, body: bytes, signature: str, *, now: datetime) -> StripeEvent:
        self._must_be_up()
        if signature != GOOD_SIGNATURE:
            raise InvalidInput("Stripe-Signature", "No live secret made it.", code="bad_signature")
        return self.stored_event(body)

    def stored_event(self, body: bytes) -> StripeEvent:
        if body in self.events_by_body:
            return self.events_by_body[body]
        try:
            sent = json.loads(body)
            event_id, kind = str(sent["id"]), str(sent["type"])
        except (ValueError, TypeError, KeyError) as broken:
            raise InvalidInput("body", "It is no event.", code="bad_event") from broken
        return StripeEvent(event_id, kind, False, CREATED, None, None, None)

    async def reload_credentials(self) -> None:
        return None

    async def close(self) -> None:
        return None

    # --- what Stripe would do ---

    def _outcome(self, request: StripeRequest) -> Outcome:
        scripted = self._scripted[request.operation]
        if scripted:
            outcome = scripted.popleft()
            return outcome(request) if callable(outcome) else outcome
        made = self._made(request)
        if isinstance(made, Refused):
            return made
        return Answered(made, f"req_{len(self.sent)}", replayed=False)

    async def _let_happen(self, call: Operation | Read) -> None:
        action = self._meanwhile.pop(call, None)
        if action is not None:
            await action()

    def _made(
        self, request: StripeRequest
    ) -> PaymentIntent | Transfer | Reversal | Refund | Account | Payout | Refused:
        match request.operation:
            case Operation.CREATE_PAYMENT_INTENT:
                return self._opened(request)
            case Operation.CONFIRM_PAYMENT_INTENT:
                return self._confirmed(request, IntentStatus.SUCCEEDED)
            case Operation.CANCEL_PAYMENT_INTENT:
                return self._confirmed(request, IntentStatus.CANCELED)
            case Operation.CREATE_TRANSFER:
                return self._transferred(request)
            case Operation.CREATE_REVERSAL:
                return self._reversed(request)
            case Operation.CREATE_REFUND:
                return self._refunded(request)
            case Operation.CREATE_PAYOUT:
                return self._requested_payout(request)
            case Operation.CANCEL_PAYOUT:
                return self._cancelled_payout(request)
            case Operation.CREATE_ACCOUNT:
                return self.opened_account(request)
            case _:
                raise NotImplementedError(request.operation)

    def _opened(self, request: StripeRequest) -> PaymentIntent:
        params = json.loads(request.params)
        intent_id = f"pi_{next(self._numbers)}"
        self.intents[intent_id] = PaymentIntent(
            intent_id,
            IntentStatus.REQUIRES_PAYMENT_METHOD,
            amounts.from_stripe(params["amount"], params["currency"]),
            False,
            CREATED,
            params["metadata"],
            client_secret=f"{intent_id}_secret_fake",
        )
        return self.intents[intent_id]

    def _confirmed(self, request: StripeRequest, status: IntentStatus) -> PaymentIntent:
        intent_id = request.path.split("/")[3]
        failed = status is IntentStatus.REQUIRES_PAYMENT_METHOD
        self.intents[intent_id] = replace(
            self.intents[intent_id],
            status=status,
            latest_charge=f"ch_{next(self._numbers)}",
            failure=DECLINED if failed else None,
            next_action="use_stripe_sdk" if status is IntentStatus.REQUIRES_ACTION else None,
        )
        return self.intents[intent_id]

    def _must_be_up(self) -> None:
        if self.down is not None:
            raise self.down
