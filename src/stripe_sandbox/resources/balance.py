"""The balance of an account, and the one way to change it: booking a balance transaction."""

from stripe_sandbox.errors import invalid, missing_object
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.lists import list_records
from stripe_sandbox.records import BalanceTransaction
from stripe_sandbox.resources.events import emit
from stripe_sandbox.routes import Call, route
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import Funds, World

REPORTING_CATEGORIES = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund_failure",
    "payment_failure_refund": "refund_failure",
    "payment_reversal": "charge_failure",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
    "transfer": "transfer",
    "transfer_refund": "transfer_reversal",
    "payout": "payout",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
    "topup": "topup",
}


def funds(world: World, account: str, currency: str) -> Funds:
    """The account's money in that currency; nothing where it never had any."""
    return world.funds.get(account, {}).get(currency) or Funds()


def book(
    world: World,
    account: str,
    kind: str,
    amount: int,
    currency: str,
    *,
    source: str | None,
    fee: int = 0,
    application_fee: int = 0,
    available_on: int | None = None,
    description: str | None = None,
    category: str | None = None,
) -> BalanceTransaction:
    """Move `amount` less `fee` (minor units, signed) on the account's books; `application_fee` is
    what of the fee a platform gets.

    It is available at once unless `available_on` (seconds) lies in the future; until then it is
    pending, and time releases it.
    """
    at = world.now if available_on is None else max(available_on, world.now)
    pending = at > world.now
    transaction = BalanceTransaction(
        **world.stamp("txn_", account),
        amount=amount,
        fee=fee,
        application_fee=application_fee,
        currency=currency,
        type=kind,
        reporting_category=category or REPORTING_CATEGORIES.get(kind, kind),
        available_on=at,
        status="pending" if pending else "available",
        source=source,
        description=description,
    )
    world.balance_transactions.add(transaction)
    recall(world, transaction)
    if not pending and transaction.net > 0:
        announce(world, account)
    return transaction


def recall(world: World, transaction: BalanceTransaction) -> None:
    """Count a transaction into the running balance, new or read back from storage."""
    money = world.funds.setdefault(transaction.account, {}).setdefault(
        transaction.currency, Funds()
    )
    if transaction.status == "pending":
        money.pending += transaction.net
        world.schedule.add(transaction.available_on, Duty.RELEASE_FUNDS, transaction.id)
    else:
        money.available += transaction.net


def release(world: World, transaction_id: str) -> None:
    """Time has come for a pending transaction: its money is available."""
    transaction = world.balance_transactions[transaction_id]
    if transaction.status != "pending":
        return
    transaction.status = "available"
    world.balance_transactions.save(transaction)
    money = funds(world, transaction.account, transaction.currency)
    money.pending -= transaction.net
    money.available += transaction.net
    announce(world, transaction.account)


def available_and_not_carried(
    world: World, account: str, currency: str
) -> list[BalanceTransaction]:
    """What adds up to the account's available money: all that no automatic payout carried, and
    that no earlier one is."""
    return [
        transaction
        for transaction in world.balance_transactions.where("account", account)
        if transaction.currency == currency
        and transaction.status == "available"
        and transaction.payout is None
    ]


def carry(world: World, transactions: list[BalanceTransaction], payout_id: str) -> None:
    """Note that an automatic payout took these to the bank, and its own entry with them."""
    own = world.balance_transactions.where("source", payout_id)
    for transaction in [*transactions, *own]:
        transaction.payout = payout_id
        world.balance_transactions.save(transaction)


def announce(world: World, account: str) -> None:
    emit(world, "balance.available", render_balance(world, account), account)


def render_balance(world: World, account: str) -> JsonObject:
    by_currency = world.funds.get(account) or {world.accounts[account].currency: Funds()}
    available, pending = [], []
    for currency, money in sorted(by_currency.items()):
        available.append(_amount(money.available, currency))
        pending.append(_amount(money.pending, currency))
    body: JsonObject = {
        "object": "balance",
        "available": available,
        "livemode": False,
        "pending": pending,
    }
    if account == world.platform:
        body["connect_reserved"] = [
            {"amount": 0, "currency": currency} for currency in sorted(by_currency)
        ]
    return body


def _amount(amount: int, currency: str) -> dict[str, JsonValue]:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}


def render_balance_transaction(world: World, transaction: BalanceTransaction) -> JsonObject:
    parts = (
        ("stripe_fee", transaction.fee - transaction.application_fee, transaction.fee_description),
        ("application_fee", transaction.application_fee, "Application fee"),
    )
    fees: list[JsonValue] = [
        {
            "amount": amount,
            "application": None,
            "currency": transaction.currency,
            "description": description,
            "type": kind,
        }
        for kind, amount, description in parts
        if amount
    ]
    return {
        "id": transaction.id,
        "object": "balance_transaction",
        "amount": transaction.amount,
        "available_on": transaction.available_on,
        "balance_type": "payments",
        "created": transaction.created,
        "currency": transaction.currency,
        "description": transaction.description,
        "exchange_rate": None,
        "fee": transaction.fee,
        "fee_details": fees,
        "net": transaction.net,
        "reporting_category": transaction.reporting_category,
        "source": transaction.source,
        "status": transaction.status,
        "type": transaction.type,
    }


expandable("balance_transaction", "balance_transactions", render_balance_transaction)


@route("GET", "/v1/balance")
def retrieve_balance(call: Call) -> JsonObject:
    return render_balance(call.world, call.account)


@route("GET", "/v1/balance_transactions/{id}")
def retrieve_balance_transaction(call: Call) -> JsonObject:
    transaction = call.world.balance_transactions.get(call.path_ids[0])
    if transaction is None or transaction.account != call.account:
        raise missing_object("balance transaction", call.path_ids[0], "id", in_path=True)
    return render_balance_transaction(call.world, transaction)


@route(
    "GET",
    "/v1/balance_transactions",
    models="created currency ending_before limit payout source starting_after type",
)
def list_balance_transactions(call: Call) -> JsonObject:
    world, params = call.world, call.params
    currency, kind = params.text("currency"), params.text("type")
    source, payout = params.text("source"), params.text("payout")
    if payout is not None:
        _check_payout(call, payout)

    def keep(transaction: BalanceTransaction) -> bool:
        return (
            (currency is None or transaction.currency == currency)
            and (kind is None or transaction.type == kind)
            and (payout is None or payout in (transaction.payout, transaction.source))
        )

    return list_records(
        call,
        world.balance_transactions,
        lambda transaction: render_balance_transaction(world, transaction),
        keep,
        found=world.balance_transactions.newest("source", source) if source else None,
    )


def _check_payout(call: Call, payout_id: str) -> None:
    payout = call.world.payouts.get(payout_id)
    if payout is None or payout.account != call.account:
        raise missing_object("payout", payout_id, "payout")
    if not payout.automatic:
        raise invalid(
            "Balance transaction history can only be filtered on automatic transfers, not manual.",
            param="payout",
        )
