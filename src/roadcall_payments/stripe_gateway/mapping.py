"""Stripe's JSON to our objects. Pure and exhaustive: what we do not know is said, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.stripe_objects import (
    Account,
    AccountStatus,
    BalanceFunds,
    BalanceTransaction,
    BankAccount,
    CarriedLine,
    Charge,
    Dispute,
    HostedPage,
    Operation,
    PaymentIntent,
    Payout,
    Refund,
    Requirements,
    Reversal,
    StripeEvent,
    StripeFailure,
    StripeObject,
    Transfer,
)
from roadcall_payments.stripe_gateway import wire
from roadcall_payments.stripe_gateway.amounts import from_stripe

W = TypeVar("W")
Ours = TypeVar("Ours")

Json = bytes | str | msgspec.Raw


class Untranslatable(ValueError):
    """Stripe said something that this version cannot read; the text names the field.

    ``garbled``: it is not even JSON, so another try may bring a whole answer.
    """

    def __init__(self, message: str, *, garbled: bool) -> None:
        super().__init__(message)
        self.garbled = garbled


class BadEvent(ValueError):
    """The bytes are no Stripe event at all."""


def payment_intent(w: wire.WirePaymentIntent) -> PaymentIntent:
    charge = w.latest_charge if isinstance(w.latest_charge, wire.WireCharge) else None
    return PaymentIntent(
        id=w.id,
        status=w.status,
        amount=from_stripe(w.amount, w.currency),
        livemode=w.livemode,
        created=_time(w.created),
        metadata=w.metadata,
        latest_charge=charge.id if charge else _id_only(w.latest_charge),
        failure=failure(w.last_payment_error) if w.last_payment_error else None,
        next_action=w.next_action.type if w.next_action else None,
        balance_transaction=_expanded(charge.balance_transaction) if charge else None,
        client_secret=w.client_secret,
    )


def failure(w: wire.WireError) -> StripeFailure:
    """Some refusals carry no code (an over-refund, say): their type stands in."""
    return StripeFailure(
        code=w.code or w.type,
        message=w.message or "",
        decline_code=w.decline_code,
        charge_id=w.charge,
        payment_method_id=w.payment_method.id if w.payment_method else None,
    )


def transfer(w: wire.WireTransfer) -> Transfer:
    return Transfer(
        id=w.id,
        amount=from_stripe(w.amount, w.currency),
        destination=w.destination,
        livemode=w.livemode,
        created=_time(w.created),
        metadata=w.metadata,
        transfer_group=w.transfer_group,
        amount_reversed=from_stripe(w.amount_reversed, w.currency),
        balance_transaction=_expanded(w.balance_transaction),
    )


def reversal(w: wire.WireReversal) -> Reversal:
    return Reversal(
        id=w.id,
        transfer=w.transfer,
        amount=from_stripe(w.amount, w.currency),
        created=_time(w.created),
        balance_transaction=w.balance_transaction,
        metadata=w.metadata or {},
    )


def payout(w: wire.WirePayout) -> Payout:
    return Payout(
        id=w.id,
        status=w.status,
        amount=from_stripe(w.amount, w.currency),
        arrival_date=_time(w.arrival_date) if w.arrival_date is not None else None,
        failure_code=w.failure_code,
        failure_message=w.failure_message,
        created=_time(w.created),
        automatic=w.automatic,
        metadata=w.metadata or {},
    )


def refund(w: wire.WireRefund) -> Refund:
    return Refund(
        id=w.id,
        status=w.status,
        amount=from_stripe(w.amount, w.currency),
        created=_time(w.created),
        metadata=w.metadata or {},
        payment_intent=w.payment_intent,
        charge=w.charge,
        reason=w.reason,
        failure_reason=w.failure_reason,
        drawn=w.balance_transaction is not None,
        balance_transaction=_expanded(w.balance_transaction),
    )


def dispute(w: wire.WireDispute) -> Dispute:
    due = w.evidence_details.due_by if w.evidence_details else None
    return Dispute(
        id=w.id,
        charge=w.charge,
        payment_intent=w.payment_intent,
        amount=from_stripe(w.amount, w.currency),
        reason=w.reason,
        status=w.status,
        evidence_due=_time(due) if due is not None else None,
        lines=tuple(balance_transaction(line) for line in w.balance_transactions),
    )


def charge(w: wire.WireCharge) -> Charge:
    return Charge(id=w.id, payment_intent=w.payment_intent)


def balance_transaction(w: wire.WireBalanceTransaction) -> BalanceTransaction:
    return BalanceTransaction(
        id=w.id,
        type=w.type,
        source=w.source,
        amount=from_stripe(w.amount, w.currency),
        fee=from_stripe(w.fee, w.currency),
        net=from_stripe(w.net, w.currency),
        created=_time(w.created),
        available_on=_time(w.available_on),
    )


def carried_line(w: wire.WireCarriedLine) -> CarriedLine:
    line = BalanceTransaction(
        id=w.id,
        type=w.type,
        source=w.source if isinstance(w.source, str) else None,
        amount=from_stripe(w.amount, w.currency),
        fee=from_stripe(w.fee, w.currency),
        net=from_stripe(w.net, w.currency),
        created=_time(w.created),
        available_on=_time(w.available_on),
    )
    source = w.source if isinstance(w.source, wire.WireCarriedSource) else None
    of_charge = source and source.charge
    given_back = of_charge if isinstance(of_charge, wire.WireCarriedCharge) else None
    transfer = source.source_transfer if source else None
    if transfer is None and given_back is not None:
        transfer = given_back.source_transfer
    return CarriedLine(line, transfer)


def account(w: wire.WireAccount) -> Account:
    capabilities = w.capabilities or wire.WireCapabilities()
    needs = w.requirements or wire.WireRequirements()
    banks = w.external_accounts.data if w.external_accounts else []
    status = AccountStatus(
        transfers=capabilities.transfers or capabilities.legacy_payments,
        payouts_enabled=w.payouts_enabled,
        charges_enabled=w.charges_enabled,
        details_submitted=w.details_submitted,
        requirements=Requirements(
            currently_due=tuple(needs.currently_due or ()),
            past_due=tuple(needs.past_due or ()),
            eventually_due=tuple(needs.eventually_due or ()),
            deadline=_time(needs.current_deadline) if needs.current_deadline is not None else None,
            disabled_reason=needs.disabled_reason,
        ),
        banks=tuple(sorted((_bank(one) for one in banks if one.default_for_currency), key=_place)),
    )
    created = _time(w.created) if w.created is not None else None
    return Account(w.id, status, created, w.metadata or {})


def _bank(w: wire.WireExternalAccount) -> BankAccount:
    return BankAccount(w.currency, w.last4, w.bank_name or w.brand, w.fingerprint)


def _place(bank: BankAccount) -> tuple[str, str]:
    return (bank.currency, bank.last4)


def hosted_page(w: wire.WireHostedPage) -> HostedPage:
    return HostedPage(w.url, _time(w.expires_at) if w.expires_at is not None else None)


def balance(w: wire.WireBalance) -> BalanceFunds:
    return BalanceFunds(
        available=tuple(from_stripe(f.amount, f.currency) for f in w.available),
        pending=tuple(from_stripe(f.amount, f.currency) for f in w.pending),
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[Ours]):
    """One page of a list, newest first."""

    items: tuple[Ours, ...]
    has_more: bool


def reader(wire_type: type[W], translate: Callable[[W], Ours]) -> Callable[[Json], Ours]:
    """A function from JSON to our object; it raises Untranslatable, with the field's name."""
    decoder = msgspec.json.Decoder(wire_type)

    def read(body: Json) -> Ours:
        try:
            return translate(decoder.decode(body))
        except (msgspec.ValidationError, InvalidInput) as exc:
            raise Untranslatable(f"{_name(wire_type)}: {exc}", garbled=False) from exc
        except (msgspec.DecodeError, RecursionError) as exc:
            raise Untranslatable(f"{_name(wire_type)}: {exc}", garbled=True) from exc

    return read


def page_reader(
    list_type: type[wire.WireList[W]], translate: Callable[[W], Ours]
) -> Callable[[Json], Page[Ours]]:
    """The same for a page of a list. One object that we cannot read fails the page: a list
    without it would say that it is absent."""
    return reader(list_type, lambda w: Page(tuple(translate(item) for item in w.data), w.has_more))


def _name(wire_type: type[W]) -> str:
    return getattr(wire_type, "__name__", str(wire_type)).removeprefix("Wire")


read_payment_intent = reader(wire.WirePaymentIntent, payment_intent)
read_transfer = reader(wire.WireTransfer, transfer)
read_reversal = reader(wire.WireReversal, reversal)
read_payout = reader(wire.WirePayout, payout)
read_refund = reader(wire.WireRefund, refund)
read_dispute = reader(wire.WireDispute, dispute)
read_charge = reader(wire.WireCharge, charge)
read_balance = reader(wire.WireBalance, balance)
read_account = reader(wire.WireAccount, account)
read_hosted_page = reader(wire.WireHostedPage, hosted_page)

read_payment_intents = page_reader(wire.WireList[wire.WirePaymentIntent], payment_intent)
read_transfers = page_reader(wire.WireList[wire.WireTransfer], transfer)
read_reversals = page_reader(wire.WireList[wire.WireReversal], reversal)
read_refunds = page_reader(wire.WireList[wire.WireRefund], refund)
read_payouts = page_reader(wire.WireList[wire.WirePayout], payout)
read_accounts = page_reader(wire.WireList[wire.WireAccount], account)
read_carried_lines = page_reader(wire.WireList[wire.WireCarriedLine], carried_line)
read_balance_transactions = page_reader(
    wire.WireList[wire.WireBalanceTransaction], balance_transaction
)

READER_OF_OPERATION: Mapping[Operation, Callable[[Json], StripeObject]] = {
    Operation.CREATE_PAYMENT_INTENT: read_payment_intent,
    Operation.CONFIRM_PAYMENT_INTENT: read_payment_intent,
    Operation.CANCEL_PAYMENT_INTENT: read_payment_intent,
    Operation.CREATE_TRANSFER: read_transfer,
    Operation.CREATE_PAYOUT: read_payout,
    Operation.CANCEL_PAYOUT: read_payout,
    Operation.CREATE_REFUND: read_refund,
    Operation.CREATE_REVERSAL: read_reversal,
    Operation.CREATE_ACCOUNT: read_account,
}

READER_OF_EVENT: Mapping[str, Callable[[Json], StripeObject]] = {
    "payment_intent.succeeded": read_payment_intent,
    "payment_intent.payment_failed": read_payment_intent,
    "payment_intent.canceled": read_payment_intent,
    "payment_intent.requires_action": read_payment_intent,
    "transfer.created": read_transfer,
    "transfer.reversed": read_transfer,
    "refund.created": read_refund,
    "refund.updated": read_refund,
    "refund.failed": read_refund,
    # The names that endpoints of older API versions send.
    "charge.refund.updated": read_refund,
    "charge.refunded": read_charge,
    "charge.dispute.created": read_dispute,
    "charge.dispute.updated": read_dispute,
    "charge.dispute.funds_withdrawn": read_dispute,
    "charge.dispute.funds_reinstated": read_dispute,
    "charge.dispute.closed": read_dispute,
    "payout.created": read_payout,
    "payout.updated": read_payout,
    "account.updated": read_account,
    "payout.paid": read_payout,
    "payout.failed": read_payout,
    "payout.canceled": read_payout,
}
"""The event types we apply; all others are kept with their id alone."""

_event_decoder = msgspec.json.Decoder(wire.WireEvent)
_object_id_decoder = msgspec.json.Decoder(wire.WireObjectId)


def read_event(body: Json) -> StripeEvent:
    """A webhook's body, or one element of ``GET /v1/events``. Raises BadEvent."""
    try:
        w = _event_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadEvent(str(exc)) from exc
    payload, untranslatable = None, None
    read = READER_OF_EVENT.get(w.type)
    if read is not None:
        try:
            payload = read(w.data.object)
        except Untranslatable as exc:
            untranslatable = str(exc)
    return StripeEvent(
        id=w.id,
        type=w.type,
        livemode=w.livemode,
        created=_time(w.created),
        connected_account=w.account,
        object_id=payload.id if payload else _object_id(w.data.object),
        payload=payload,
        untranslatable=untranslatable,
    )


def _object_id(raw: msgspec.Raw) -> str | None:
    try:
        return _object_id_decoder.decode(raw).id
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadEvent(str(exc)) from exc


def _listed_event(raw: msgspec.Raw) -> StripeEvent:
    try:
        return replace(read_event(raw), body=bytes(raw))
    except BadEvent as exc:
        raise Untranslatable(f"Event: {exc}", garbled=False) from exc


read_events = page_reader(wire.WireList[msgspec.Raw], _listed_event)


def _time(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def _id_only(value: wire.WireCharge | str | None) -> str | None:
    return value if isinstance(value, str) else None


def _expanded(value: wire.WireBalanceTransaction | str | None) -> BalanceTransaction | None:
    return balance_transaction(value) if isinstance(value, wire.WireBalanceTransaction) else None
