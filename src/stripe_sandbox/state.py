"""The whole state for an auditor: every object as Stripe shows it, with what made it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from stripe_sandbox.collection import Collection
from stripe_sandbox.errors import invalid
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.records import BalanceTransaction, Record
from stripe_sandbox.resources.account_view import render_account
from stripe_sandbox.resources.application_fees import render_fee, render_fee_refund
from stripe_sandbox.resources.balance import render_balance_transaction
from stripe_sandbox.resources.charges import render_charge
from stripe_sandbox.resources.disputes import render_dispute
from stripe_sandbox.resources.events import render_event
from stripe_sandbox.resources.payment_intent_view import render_payment_intent
from stripe_sandbox.resources.payouts import render_payout
from stripe_sandbox.resources.refunds import render_refund
from stripe_sandbox.resources.transfer_view import render_reversal, render_transfer
from stripe_sandbox.world import World

R = TypeVar("R", bound=Record)

DEFAULT_KINDS = (
    "accounts,balances,payment_intents,charges,refunds,disputes,transfers,transfer_reversals,"
    "application_fees,fee_refunds,"
    "payouts,balance_transactions"
)


def _all(
    world: World, collection: Collection[R], render: Callable[[World, R], JsonObject]
) -> list[JsonValue]:
    return [
        {
            **render(world, record),
            "_account": record.account,
            "_request": record.request,
            "_idempotency_key": record.idempotency_key,
        }
        for record in collection
    ]


def _balances(world: World) -> list[JsonValue]:
    return [
        {
            "account": account,
            "currency": currency,
            "available": money.available,
            "pending": money.pending,
        }
        for account, by_currency in world.funds.items()
        for currency, money in by_currency.items()
    ]


def _booked(world: World, transaction: BalanceTransaction) -> JsonObject:
    return {**render_balance_transaction(world, transaction), "_payout": transaction.payout}


def render_state(world: World, kinds: str | None) -> JsonObject:
    """`kinds` is a comma-separated choice, all but `events` by default. Each object carries
    `_account`, and `_request` and `_idempotency_key` of the request that made it."""
    renderers: dict[str, Callable[[], list[JsonValue]]] = {
        "accounts": lambda: _all(world, world.accounts, render_account),
        "balances": lambda: _balances(world),
        "payment_intents": lambda: _all(world, world.payment_intents, render_payment_intent),
        "charges": lambda: _all(world, world.charges, render_charge),
        "refunds": lambda: _all(world, world.refunds, render_refund),
        "disputes": lambda: _all(world, world.disputes, render_dispute),
        "transfers": lambda: _all(world, world.transfers, render_transfer),
        "transfer_reversals": lambda: _all(world, world.transfer_reversals, render_reversal),
        "application_fees": lambda: _all(world, world.application_fees, render_fee),
        "fee_refunds": lambda: _all(world, world.fee_refunds, render_fee_refund),
        "payouts": lambda: _all(world, world.payouts, render_payout),
        "balance_transactions": lambda: _all(world, world.balance_transactions, _booked),
        "events": lambda: _all(world, world.events, render_event),
    }
    chosen = (kinds or DEFAULT_KINDS).split(",")
    unknown = [kind for kind in chosen if kind not in renderers]
    if unknown:
        raise invalid(f"Unknown kinds {unknown}; there are {', '.join(renderers)}", param="kinds")
    shown: JsonObject = {"now": world.now, "platform": world.platform}
    for kind in chosen:
        shown[kind] = renderers[kind]()
    return shown


def render_deliveries(world: World, query: Mapping[str, str]) -> list[JsonValue]:
    """Webhook deliveries, oldest first; `event`, `endpoint`, `type` and `state` narrow them."""
    shown: list[JsonValue] = []
    for delivery in world.deliveries:
        event = world.events[delivery.event]
        facts: JsonObject = {
            "id": delivery.id,
            "event": delivery.event,
            "endpoint": delivery.endpoint,
            "type": event.type,
            "state": delivery.state,
        }
        if any(
            query.get(name, facts[name]) != facts[name]
            for name in ("event", "endpoint", "type", "state")
        ):
            continue
        facts["due_ms"] = delivery.due_ms
        facts["old_secret"] = delivery.old_secret
        facts["attempts"] = [msgspec.structs.asdict(attempt) for attempt in delivery.attempts]
        shown.append(facts)
    return shown
