"""The ``Gateway``: sends stored requests, reads Stripe's objects, verifies its webhooks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import msgspec

from roadcall_payments.domain.errors import (
    CredentialsRejected,
    InvalidInput,
    NotFound,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    Account,
    BalanceFunds,
    BalanceTransaction,
    CarriedLine,
    Dispute,
    HostedPage,
    PaymentIntent,
    Payout,
    Reversal,
    StripeEvent,
    StripeIdentity,
    StripeRequest,
    Transfer,
)
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.ports import (
    Answered,
    Clock,
    CreatedWindow,
    Ids,
    Outcome,
    ReturnAddresses,
    SecretSource,
    StripeCredentials,
    Unknown,
    UnknownReason,
)
from roadcall_payments.stripe_gateway import amounts, mapping, requests, signature
from roadcall_payments.stripe_gateway.breaker import BreakerSettings, CircuitBreaker
from roadcall_payments.stripe_gateway.calls import Calls
from roadcall_payments.stripe_gateway.credentials import DOUBTED_AGE_MAX_S, Credentials
from roadcall_payments.stripe_gateway.derived_requests import DerivedRequests
from roadcall_payments.stripe_gateway.errors import Done
from roadcall_payments.stripe_gateway.hosted_pages import HostedPages
from roadcall_payments.stripe_gateway.identity import Identities
from roadcall_payments.stripe_gateway.reads import Reads, created_within, path_of
from roadcall_payments.stripe_gateway.retry import Budget, RetrySettings
from roadcall_payments.stripe_gateway.transport import Call, HttpClient, Transport
from roadcall_payments.telemetry import WEBHOOK_LAG_SECONDS, WEBHOOKS

_params = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """``timeout_s`` is one exchange's; ``read_budget_s`` a read's, retries included.

    ``return_url``: where payers come back to from another site; None offers only payment methods
    that need none.
    """

    base_address: str = "https://api.stripe.com"
    timeout_s: float = 10.0
    read_budget_s: float = 10.0
    return_url: str | None = None
    retry: RetrySettings = field(default_factory=RetrySettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


class StripeGateway(DerivedRequests):
    """One per process and event loop; close it before the loop ends.

    ``http``: what carries requests, aiohttp unless given; a simulation brings its own network.
    """

    def __init__(
        self,
        secrets: SecretSource,
        clock: Clock,
        ids: Ids,
        settings: GatewaySettings,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(requests.Redirects(settings.return_url))
        self._clock = clock
        self._credentials = Credentials(secrets, clock)
        self._breaker = CircuitBreaker(settings.breaker, clock.monotonic)
        self._transport = Transport(
            base_address=settings.base_address,
            timeout_s=settings.timeout_s,
            api_version=requests.API_VERSION,
            http=http,
        )
        self._calls = Calls(
            self._transport, self._credentials, self._breaker, settings.retry, clock, ids
        )
        self._reads = Reads(self._calls, self._live, clock, budget_s=settings.read_budget_s)
        self._pages = HostedPages(
            self._calls, self._live, clock, ids, budget_s=settings.read_budget_s
        )
        self._identities = Identities(self._credentials, self._reads)

    # --- who we are, and whether Stripe is there ---

    async def identity(self) -> StripeIdentity:
        _, identity = await self._identities.current()
        return identity

    async def connect_enabled(self) -> bool:
        return (await self._credentials.current()).connect_enabled

    def ensure_available(self) -> None:
        wait_s = self._breaker.wait_s
        if wait_s > 0.0:
            raise StripeUnavailable(
                "Stripe does not answer at the moment; nothing was started. Try again later.",
                retry_after_s=math.ceil(wait_s),
            )

    def refusal_of(self, amount: Money) -> str | None:
        return amounts.refusal_of(amount)

    def refund_refusal_of(self, amount: Money) -> str | None:
        return amounts.refund_refusal_of(amount)

    def payout_refusal_of(self, amount: Money) -> str | None:
        return amounts.payout_refusal_of(amount)

    def payable_of(self, available: Money) -> Money:
        return amounts.payable_of(available)

    # --- sending ---

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        params = _params.decode(request.params)
        call = Call(
            operation=request.operation,
            method="post",
            path=request.path,
            params=params,
            api_version=request.api_version,
            idempotency_key=request.idempotency_key,
            connected_account=request.connected_account,
            payment_id=_payment_id(params),
        )

        result = await self._calls.make(
            call,
            mapping.READER_OF_OPERATION[request.operation],
            key_for=partial(self._credentials_of, request),
            budget=Budget(self._clock, budget_s),
            fate_open=not first_try,
        )
        if isinstance(result, Done):
            return Answered(result.value, result.request_id, result.replayed)
        return result

    async def _credentials_of(
        self, request: StripeRequest, budget: Budget
    ) -> StripeCredentials | Unknown:
        """The live credentials, if they are of the request's own account and mode (M18)."""
        try:
            credentials, identity = await self._identities.current(budget)
        except CredentialsRejected as exc:
            return Unknown(UnknownReason.AUTHENTICATION, exc.message)
        except StripeUnavailable as exc:
            reason = UnknownReason.CONNECTION
            if not self._breaker.closed:
                reason = UnknownReason.BREAKER_OPEN
            return Unknown(reason, f"nothing was sent: {exc.message}")
        if (identity.account, identity.livemode) != (request.account, request.livemode):
            return Unknown(
                UnknownReason.AUTHENTICATION,
                "nothing was sent: the credentials are of another account or mode than the request",
            )
        return credentials

    async def _live(self, _: Budget) -> StripeCredentials:
        return await self._credentials.current()

    # --- reading ---

    async def payment_intent(self, intent_id: str) -> PaymentIntent:
        return await self._reads.one(
            "payment_intent.retrieve",
            path_of("/v1/payment_intents", intent_id),
            mapping.read_payment_intent,
            params={"expand": ["latest_charge.balance_transaction"]},
        )

    async def payment_intents(self, created: CreatedWindow) -> Sequence[PaymentIntent]:
        return await self._reads.all(
            "payment_intent.list",
            "/v1/payment_intents",
            mapping.read_payment_intents,
            params=created_within(created),
        )

    async def transfer(self, transfer_id: str) -> Transfer:
        return await self._reads.one(
            "transfer.retrieve",
            path_of("/v1/transfers", transfer_id),
            mapping.read_transfer,
            params={"expand": ["balance_transaction"]},
        )

    async def transfers(self, transfer_group: str) -> Sequence[Transfer]:
        return await self._reads.all(
            "transfer.list",
            "/v1/transfers",
            mapping.read_transfers,
            params={"transfer_group": transfer_group, "expand": ["data.balance_transaction"]},
        )

    async def transfers_created(self, created: CreatedWindow) -> Sequence[Transfer]:
        return await self._reads.all(
            "transfer.list",
            "/v1/transfers",
            mapping.read_transfers,
            params={**created_within(created), "expand": ["data.balance_transaction"]},
        )

    async def reversals(self, transfer_id: str) -> Sequence[Reversal]:
        return await self._reads.all(
            "transfer_reversal.list",
            path_of("/v1/transfers", transfer_id, "reversals"),
            mapping.read_reversals,
        )

    async def refunds(self, payment_intent: str) -> Sequence[StripeRefund]:
        return await self._reads.all(
            "refund.list",
            "/v1/refunds",
            mapping.read_refunds,
            params={"payment_intent": payment_intent, "expand": ["data.balance_transaction"]},
        )

    async def dispute(self, dispute_id: str) -> Dispute:
        return await self._reads.one(
            "dispute.retrieve", path_of("/v1/disputes", dispute_id), mapping.read_dispute
        )

    async def payouts(self, account: str, created: CreatedWindow) -> Sequence[Payout]:
        return await self._reads.all(
            "payout.list",
            "/v1/payouts",
            mapping.read_payouts,
            params=created_within(created),
            account=account,
        )

    async def payout(self, account: str, payout_id: str) -> Payout:
        return await self._reads.one(
            "payout.retrieve",
            path_of("/v1/payouts", payout_id),
            mapping.read_payout,
            account=account,
        )

    async def carried_lines(self, account: str, payout_id: str) -> Sequence[CarriedLine]:
        return await self._reads.all(
            "balance_transaction.list",
            "/v1/balance_transactions",
            mapping.read_carried_lines,
            params={"payout": payout_id, "expand": ["data.source.charge"]},
            account=account,
        )

    async def account(self, account_id: str | None = None) -> Account:
        path = "/v1/account" if account_id is None else path_of("/v1/accounts", account_id)
        try:
            return await self._reads.one("account.retrieve", path, mapping.read_account)
        except CredentialsRejected as exc:
            # Stripe answers 403 for an account that is not there, or no longer ours.
            if account_id is None or exc.code != "stripe_permission":
                raise
            raise NotFound(f"Stripe shows us no account {account_id}.") from exc

    async def accounts(self, created: CreatedWindow) -> Sequence[Account]:
        return await self._reads.all(
            "account.list", "/v1/accounts", mapping.read_accounts, params=created_within(created)
        )

    async def onboarding_page(self, account_id: str, returns_to: ReturnAddresses) -> HostedPage:
        params: dict[str, object] = {
            "account": account_id,
            "type": "account_onboarding",
            "return_url": returns_to.done,
            "refresh_url": returns_to.expired,
        }
        return await self._pages.make("account_link.create", "/v1/account_links", params)

    async def dashboard_page(self, account_id: str) -> HostedPage:
        path = path_of("/v1/accounts", account_id, "login_links")
        return await self._pages.make("login_link.create", path, {})

    async def balance(self, account: str | None = None) -> BalanceFunds:
        return await self._reads.one(
            "balance.retrieve", "/v1/balance", mapping.read_balance, account=account
        )

    async def balance_transactions(
        self,
        *,
        source: str | None = None,
        created: CreatedWindow | None = None,
        account: str | None = None,
    ) -> Sequence[BalanceTransaction]:
        params: dict[str, object] = created_within(created) if created else {}
        if source is not None:
            params["source"] = source
        return await self._reads.all(
            "balance_transaction.list",
            "/v1/balance_transactions",
            mapping.read_balance_transactions,
            params=params,
            account=account,
        )

    async def events(self, created: CreatedWindow) -> Sequence[StripeEvent]:
        return await self._reads.all(
            "event.list", "/v1/events", mapping.read_events, params=created_within(created)
        )

    # --- webhooks ---

    async def verified_event(self, body: bytes, signature: str, *, now: datetime) -> StripeEvent:
        credentials = await self._credentials.current()
        try:
            return _verified(body, signature, credentials, now)
        except (InvalidInput, CredentialsRejected) as exc:
            if exc.code == "bad_event":
                raise
            newer = await self._credentials.current(age_max_s=DOUBTED_AGE_MAX_S)
            if newer.webhook_secrets == credentials.webhook_secrets:
                raise
        return _verified(body, signature, newer, now)

    def stored_event(self, body: bytes) -> StripeEvent:
        return signature.stored_event(body)

    # --- life ---

    async def reload_credentials(self) -> None:
        await self._credentials.reload()

    async def close(self) -> None:
        await self._transport.close()


def _verified(
    body: bytes, header: str, credentials: StripeCredentials, now: datetime
) -> StripeEvent:
    if not credentials.webhook_secrets:
        raise CredentialsRejected("No webhook secret is configured: set webhookSecret.")
    event = signature.verified_event(body, header, credentials.webhook_secrets, now=now)
    WEBHOOKS.labels(event.type).inc()
    WEBHOOK_LAG_SECONDS.observe(max((now - event.created).total_seconds(), 0))
    return event


def _payment_id(params: dict[str, object]) -> str | None:
    metadata = params.get("metadata")
    found = metadata.get("paymentId") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None
