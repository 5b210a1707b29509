"""Payouts: money from an account's balance to its bank, which may send it back even later."""

from stripe_sandbox.currencies import check_amount, check_currency
from stripe_sandbox.errors import invalid, missing_object, not_modelled
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import created_filter, list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Account, BankAccount, Payout
from stripe_sandbox.resources.account_view import can_pay_out
from stripe_sandbox.resources.accounts import schedule_automatic_payout
from stripe_sandbox.resources.balance import available_and_not_carried, book, carry, funds
from stripe_sandbox.resources.bank_accounts import default_bank_account
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.requirements import bank_refused
from stripe_sandbox.routes import Call, route
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

FAILURE_MESSAGES = {
    "account_closed": "The bank account has been closed.",
    "debit_not_authorized": "Debit transactions are not approved on your bank account.",
    "insufficient_funds": "Your Stripe account has insufficient funds to cover the payout.",
    "invalid_currency": "The bank was unable to process this payout because of its currency.",
    "no_account": "The bank account details on file are probably incorrect. No bank account could "
    "be located with those details.",
    "could_not_process": "The bank could not process this payout.",
}


def render_payout(world: World, payout: Payout) -> JsonObject:
    traced = payout.status in ("paid", "failed")
    return {
        "id": payout.id,
        "object": "payout",
        "amount": payout.amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": payout.arrival_date,
        "automatic": payout.automatic,
        "balance_transaction": payout.balance_transaction,
        "created": payout.created,
        "currency": payout.currency,
        "description": payout.description,
        "destination": payout.destination,
        "failure_balance_transaction": payout.failure_balance_transaction,
        "failure_code": payout.failure_code,
        "failure_message": payout.failure_message,
        "livemode": False,
        "metadata": payout.metadata,
        "method": "standard",
        "original_payout": payout.original_payout,
        "payout_method": None,
        "reconciliation_status": "completed" if payout.automatic else "not_applicable",
        "reversed_by": payout.reversed_by,
        "source_type": "card",
        "statement_descriptor": payout.statement_descriptor,
        "status": payout.status,
        "trace_id": {
            "status": "supported" if traced else "pending",
            "value": f"T{payout.sequence:015d}" if traced else None,
        },
        "type": "bank_account",
    }


expandable("payout", "payouts", render_payout)


def _find(call: Call) -> Payout:
    payout = call.world.payouts.get(call.path_ids[0])
    if payout is None or payout.account != call.account:
        raise missing_object("payout", call.path_ids[0], "payout", in_path=True)
    return payout


@route(
    "POST",
    "/v1/payouts",
    models="amount currency description destination metadata method source_type "
    "statement_descriptor",
)
def create_payout(call: Call) -> JsonObject:
    world, params = call.world, call.params
    if params.text("method") == "instant":
        raise not_modelled("instant payouts")
    if params.text("source_type") not in (None, "card"):
        raise not_modelled(f"payouts from the source type {params.text('source_type')}")
    currency = check_currency(params.required_text("currency"))
    amount = check_amount(params.required_integer("amount"), currency)
    bank = _destination(call, params, currency)
    if not can_pay_out(world.accounts[call.account]):
        raise invalid(
            "Cannot create payouts: this account has requirements that need to be collected.",
            code="payouts_not_allowed",
        )
    metadata = merge_metadata({}, params)
    if amount > funds(world, call.account, currency).available:
        raise invalid(
            "You have insufficient funds in your Stripe account for this transfer. Your card "
            "balance is too low. You can use the the /v1/balance endpoint to view your Stripe "
            "balance (for more details, see stripe.com/docs/api#balance).",
            code="balance_insufficient",
            param="amount",
        )
    payout = _send(world, call.account, amount, currency, bank, automatic=False)
    payout.description = params.text("description")
    payout.metadata = metadata
    payout.statement_descriptor = params.text("statement_descriptor")
    body = render_payout(world, payout)
    emit(world, "payout.created", body, call.account)
    return body


def _destination(call: Call, params: Params, currency: str) -> BankAccount:
    world, named = call.world, params.text("destination")
    if named is not None:
        bank = world.bank_accounts.get(named)
        if bank is None or bank.account != call.account:
            raise missing_object("external account", named, "destination")
    else:
        bank = default_bank_account(world, call.account, currency)
    if bank is None or bank.currency != currency:
        raise invalid(
            f"Sorry, you don't have any external accounts in that currency ({currency})",
            param="currency",
        )
    if bank.status == "errored":
        raise invalid(
            f"The bank account {bank.id} is errored and cannot be paid out to.",
            code="bank_account_unusable",
            param="destination",
        )
    return bank


def _send(
    world: World, account: str, amount: int, currency: str, bank: BankAccount, *, automatic: bool
) -> Payout:
    stamp = world.stamp("po_", account)
    payout = Payout(
        **stamp,
        amount=amount,
        currency=currency,
        destination=bank.id,
        arrival_date=world.now + world.config.payout_arrival_s,
        automatic=automatic,
        description="STRIPE PAYOUT" if automatic else None,
        outcome=bank.outcome,
        balance_transaction=book(
            world,
            account,
            "payout",
            -amount,
            currency,
            source=stamp["id"],
            description="STRIPE PAYOUT",
        ).id,
    )
    world.payouts.add(payout)
    schedule_payout(world, payout)
    return payout


def schedule_payout(world: World, payout: Payout) -> None:
    """Put the payout's next step into the schedule, new or read back from storage."""
    if payout.status == "pending":
        at = payout.created + world.config.payout_transit_s
        world.schedule.add(at, Duty.MOVE_PAYOUT, payout.id)
    elif payout.status == "in_transit":
        world.schedule.add(payout.arrival_date, Duty.MOVE_PAYOUT, payout.id)


def move_payout(world: World, payout_id: str) -> None:
    """Time has come for a payout's next step: in transit, then paid or failed."""
    payout = world.payouts[payout_id]
    if payout.status == "pending":
        if world.now < payout.created + world.config.payout_transit_s:
            return
        _change(world, payout, "in_transit", "payout.updated")
        schedule_payout(world, payout)
    elif payout.status == "in_transit" and world.now >= payout.arrival_date:
        if payout.outcome == "paid":
            pay_payout(world, payout)
        else:
            fail_payout(world, payout, payout.outcome)


def pay_payout(world: World, payout: Payout) -> None:
    """The bank has the money. Raises StripeError where the payout is over."""
    if payout.status not in ("pending", "in_transit"):
        raise invalid(f"This payout's status is {payout.status}: it cannot be paid.")
    _change(world, payout, "paid", "payout.paid")


def fail_payout(world: World, payout: Payout, code: str) -> None:
    """The bank sends the money back, also after the payout was paid; the bank account is errored.

    Raises StripeError where the payout failed or was canceled before.
    """
    if payout.status not in ("pending", "in_transit", "paid"):
        raise invalid(f"This payout's status is {payout.status}: it cannot fail.")
    payout.failure_code = code
    payout.failure_message = FAILURE_MESSAGES.get(code, FAILURE_MESSAGES["could_not_process"])
    payout.failure_balance_transaction = _give_back(world, payout, "payout_failure")
    _change(world, payout, "failed", "payout.failed")
    bank = world.bank_accounts.get(payout.destination)
    if bank is not None:
        bank_refused(world, bank)


def _give_back(world: World, payout: Payout, kind: str) -> str:
    return book(
        world,
        payout.account,
        kind,
        payout.amount,
        payout.currency,
        source=payout.id,
        description=f"{kind.replace('_', ' ').upper()}",
    ).id


def _change(world: World, payout: Payout, status: str, event: str) -> None:
    before = render_payout(world, payout)
    payout.status = status
    world.payouts.save(payout)
    body = render_payout(world, payout)
    previous = changed(before, body) if event == "payout.updated" else None
    emit(world, event, body, payout.account, previous)


@route("POST", "/v1/payouts/{payout}/cancel")
def cancel_payout(call: Call) -> JsonObject:
    world = call.world
    payout = _find(call)
    if payout.status != "pending":
        raise invalid(
            "Payouts can only be canceled while they are pending: this payout's status is "
            f"{payout.status}.",
        )
    payout.failure_balance_transaction = _give_back(world, payout, "payout_cancel")
    _change(world, payout, "canceled", "payout.canceled")
    return render_payout(world, payout)


@route("GET", "/v1/payouts/{payout}")
def retrieve_payout(call: Call) -> JsonObject:
    return render_payout(call.world, _find(call))


@route("POST", "/v1/payouts/{payout}", models="metadata")
def update_payout(call: Call) -> JsonObject:
    world = call.world
    payout = _find(call)
    before = render_payout(world, payout)
    payout.metadata = merge_metadata(payout.metadata, call.params)
    world.payouts.save(payout)
    body = render_payout(world, payout)
    emit(world, "payout.updated", body, payout.account, changed(before, body))
    return body


@route(
    "GET",
    "/v1/payouts",
    models="arrival_date created destination ending_before limit starting_after status",
)
def list_payouts(call: Call) -> JsonObject:
    world, params = call.world, call.params
    status, destination = params.text("status"), params.text("destination")
    arrives = created_filter(params, "arrival_date")

    def keep(payout: Payout) -> bool:
        return (
            (status is None or payout.status == status)
            and (destination is None or payout.destination == destination)
            and arrives(payout.arrival_date)
        )

    return list_records(call, world.payouts, lambda payout: render_payout(world, payout), keep)


def pay_out_automatically(world: World, account_id: str) -> None:
    """Midnight on a daily schedule: all that is available goes to the bank."""
    account: Account | None = world.accounts.get(account_id)
    if account is None or account.payout_interval != "daily":
        return
    if account.next_automatic_payout is None or account.next_automatic_payout > world.now:
        return
    for currency, money in list(world.funds.get(account.id, {}).items()):
        bank = default_bank_account(world, account.id, currency)
        usable = bank is not None and bank.status != "errored" and can_pay_out(account)
        if money.available > 0 and bank is not None and usable:
            carried = available_and_not_carried(world, account.id, currency)
            payout = _send(world, account.id, money.available, currency, bank, automatic=True)
            carry(world, carried, payout.id)
            body = render_payout(world, payout)
            emit(world, "payout.created", body, account.id)
            emit(world, "payout.reconciliation_completed", body, account.id)
    schedule_automatic_payout(world, account)
    world.accounts.save(account)
