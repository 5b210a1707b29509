"""Charges: one attempt on a card, or a connected account's side of a transfer."""

from stripe_sandbox.cards import BY_NAME, TestCard
from stripe_sandbox.currencies import MULTIPLES_OF_HUNDRED
from stripe_sandbox.errors import missing_object
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import merge_metadata
from stripe_sandbox.records import Charge, Decline, PaymentIntent, PaymentMethod, Shipping
from stripe_sandbox.resources.application_fees import collect_fee
from stripe_sandbox.resources.balance import book
from stripe_sandbox.resources.customers import render_shipping
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.payment_methods import fingerprint, render_contact
from stripe_sandbox.resources.transfer_booking import make_transfer
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World


def processing_fee(world: World, amount: int, currency: str) -> int:
    """Stripe's fee on a charge, minor units: a rate in basis points, half up, and a fixed part.

    Rounded down where a currency's two decimals must be zero: a balance has no part of them.
    """
    config = world.config
    fee = (amount * config.fee_basis_points + 5_000) // 10_000 + config.fee_fixed
    return fee - fee % 100 if currency in MULTIPLES_OF_HUNDRED else fee


def make_charge(
    world: World, intent: PaymentIntent, method: PaymentMethod, *, authenticated: bool
) -> Charge:
    """A new charge of the whole PaymentIntent, not yet tried."""
    charge = Charge(
        **world.stamp("ch_", intent.account),
        amount=intent.amount,
        currency=intent.currency,
        status="pending",
        payment_intent=intent.id,
        payment_method=method.id,
        card=method.card,
        customer=intent.customer,
        description=intent.description,
        metadata=dict(intent.metadata),
        transfer_group=intent.transfer_group,
        transfer_destination=intent.transfer_destination,
        transfer_amount=intent.transfer_amount,
        application_fee_amount=intent.application_fee_amount,
        on_behalf_of=intent.on_behalf_of,
        captured=False,
        billing=method.billing,
        shipping=intent.shipping,
        receipt_email=intent.receipt_email,
        statement_descriptor=intent.statement_descriptor,
        statement_descriptor_suffix=intent.statement_descriptor_suffix,
        authenticated=authenticated,
    )
    return world.charges.add(charge)


def fail_charge(world: World, charge: Charge, decline: Decline) -> None:
    charge.status = "failed"
    charge.failure_code = decline.code
    charge.failure_message = decline.message
    world.charges.save(charge)
    emit(world, "charge.failed", render_charge(world, charge), charge.account)


def authorize_charge(world: World, charge: Charge) -> None:
    """The card holder's bank reserves the money; nothing moves yet."""
    charge.status = "succeeded"
    world.charges.save(charge)
    emit(world, "charge.succeeded", render_charge(world, charge), charge.account)


def pay_charge(world: World, charge: Charge) -> None:
    """Authorize and capture at once."""
    charge.status = "succeeded"
    _take(world, charge, charge.amount)
    emit(world, "charge.succeeded", render_charge(world, charge), charge.account)


def capture_charge(world: World, charge: Charge, amount: int) -> None:
    """Take `amount` of what was authorized; the rest goes back to the card holder."""
    before = render_charge(world, charge)
    _take(world, charge, amount)
    charge.amount_released = charge.amount - amount
    world.charges.save(charge)
    body = render_charge(world, charge)
    emit(world, "charge.captured", body, charge.account, changed(before, body))


def release_charge(world: World, charge: Charge, *, expired: bool = False) -> None:
    """Give an authorization back without having taken anything."""
    charge.amount_released = charge.amount
    world.charges.save(charge)
    event = "charge.expired" if expired else "charge.refunded"
    emit(world, event, render_charge(world, charge), charge.account)


def _take(world: World, charge: Charge, amount: int) -> None:
    charge.captured = True
    charge.amount_captured = amount
    bypass = charge.card is not None and BY_NAME[charge.card].bypass_pending
    available_on = world.now if bypass else world.now + world.config.settlement_s
    direct_fee = 0 if charge.transfer_destination else charge.application_fee_amount or 0
    transaction = book(
        world,
        charge.account,
        "charge",
        amount,
        charge.currency,
        source=charge.id,
        fee=processing_fee(world, amount, charge.currency) + direct_fee,
        application_fee=direct_fee,
        available_on=available_on,
        description=charge.description,
    )
    charge.balance_transaction = transaction.id
    world.charges.save(charge)
    if charge.transfer_destination is not None:
        _send_on(world, charge, charge.transfer_destination, available_on)
    elif direct_fee:
        collect_fee(world, charge, direct_fee, originating=None, available_on=available_on)


def _send_on(world: World, charge: Charge, destination: str, available_on: int) -> None:
    """A destination charge: its transfer, and the platform's fee out of that."""
    wanted = charge.amount_captured if charge.transfer_amount is None else charge.transfer_amount
    fee = charge.application_fee_amount or 0
    transfer = make_transfer(
        world,
        destination,
        min(wanted, charge.amount_captured),
        charge.currency,
        source=charge,
        available_on=available_on,
        application_fee=fee,
    )
    charge.transfer, charge.transfer_group = transfer.id, transfer.transfer_group
    if fee:
        payment = world.charges[transfer.destination_payment]
        made = collect_fee(world, payment, fee, originating=charge, available_on=available_on)
        charge.application_fee = made.id
    world.charges.save(charge)


def render_charge(world: World, charge: Charge) -> JsonObject:
    refunded = charge.amount_refunded + charge.amount_released
    body: JsonObject = {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": refunded,
        "application": None,
        "application_fee": charge.application_fee,
        "application_fee_amount": charge.application_fee_amount,
        "balance_transaction": charge.balance_transaction,
        "billing_details": render_contact(charge.billing),
        "calculated_statement_descriptor": charge.statement_descriptor or "SANDBOX",
        "captured": charge.captured,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": charge.disputed,
        "failure_balance_transaction": charge.failure_balance_transaction,
        "failure_code": charge.failure_code,
        "failure_message": charge.failure_message,
        "fraud_details": {},
        "livemode": False,
        "metadata": charge.metadata,
        "on_behalf_of": charge.on_behalf_of,
        "outcome": _outcome(charge),
        "paid": charge.status == "succeeded",
        "payment_intent": charge.payment_intent,
        "payment_method": charge.payment_method,
        "payment_method_details": _payment_method_details(charge),
        "receipt_email": charge.receipt_email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": charge.status == "succeeded" and refunded == charge.amount,
        "review": None,
        "shipping": render_shipping(charge.shipping),
        "source_transfer": charge.source_transfer,
        "statement_descriptor": charge.statement_descriptor,
        "statement_descriptor_suffix": charge.statement_descriptor_suffix,
        "status": charge.status,
        "transfer_data": None,
        "transfer_group": charge.transfer_group,
    }
    if charge.transfer_destination is not None:
        body["transfer_data"] = {
            "amount": charge.transfer_amount,
            "destination": charge.transfer_destination,
        }
    if charge.transfer is not None:
        body["transfer"] = charge.transfer
    return body


def _outcome(charge: Charge) -> JsonObject | None:
    if charge.card is None:
        return None
    card = BY_NAME[charge.card]
    outcome: JsonObject = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": "elevated_risk_level" if card.risk_level == "elevated" else None,
        "risk_level": card.risk_level,
        "risk_score": card.risk_score,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if charge.status != "failed":
        return outcome
    if card.blocked:
        outcome.update(
            network_status="not_sent_to_network",
            reason="highest_risk_level",
            seller_message="Stripe blocked this payment as too risky.",
            type="blocked",
        )
        return outcome
    outcome.update(
        advice_code="try_again_later",
        network_decline_code="01",
        network_status="declined_by_network",
        reason=card.decline.decline_code if card.decline else "generic_decline",
        seller_message="The bank did not return any further details with this decline.",
        type="issuer_declined",
    )
    return outcome


def _payment_method_details(charge: Charge) -> JsonObject:
    if charge.card is None:
        return {"stripe_account": {}, "type": "stripe_account"}
    card = BY_NAME[charge.card]
    return {
        "card": {
            "amount_authorized": None if charge.status == "failed" else charge.amount,
            "authorization_code": None if charge.status == "failed" else "123456",
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": card.country,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint(card),
            "funding": card.funding,
            "installments": None,
            "last4": card.last4,
            "mandate": None,
            "network": card.brand,
            "network_token": {"used": False},
            "network_transaction_id": "1" + charge.id[-14:].encode().hex()[:14],
            "regulated_status": "unregulated",
            "three_d_secure": _three_d_secure(card) if charge.authenticated else None,
            "wallet": None,
        },
        "type": "card",
    }


def _three_d_secure(card: TestCard) -> JsonObject:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "02" if card.brand == "mastercard" else "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }


expandable("charge", "charges", render_charge)


def find_charge(call: Call) -> Charge:
    charge = call.world.charges.get(call.path_ids[0])
    if charge is None or charge.account != call.account:
        raise missing_object("charge", call.path_ids[0], "id", in_path=True)
    return charge


@route("GET", "/v1/charges/{charge}")
def retrieve_charge(call: Call) -> JsonObject:
    return render_charge(call.world, find_charge(call))


@route(
    "POST",
    "/v1/charges/{charge}",
    models="description metadata receipt_email shipping",
)
def update_charge(call: Call) -> JsonObject:
    world, params = call.world, call.params
    charge = find_charge(call)
    before = render_charge(world, charge)
    charge.metadata = merge_metadata(charge.metadata, params)
    for name in ("description", "receipt_email"):
        if name in params:
            setattr(charge, name, params.text(name))
    charge.shipping = params.struct("shipping", Shipping, charge.shipping)
    world.charges.save(charge)
    body = render_charge(world, charge)
    emit(world, "charge.updated", body, charge.account, changed(before, body))
    return body


@route(
    "GET",
    "/v1/charges",
    models="created customer ending_before limit payment_intent starting_after transfer_group",
)
def list_charges(call: Call) -> JsonObject:
    world, params = call.world, call.params
    customer, intent = params.text("customer"), params.text("payment_intent")
    group = params.text("transfer_group")

    def keep(charge: Charge) -> bool:
        return (customer is None or charge.customer == customer) and (
            group is None or charge.transfer_group == group
        )

    found = None
    if intent is not None:
        found = world.charges.newest("payment_intent", intent)
    elif group is not None:
        found = world.charges.newest("transfer_group", group)
    return list_records(
        call, world.charges, lambda charge: render_charge(world, charge), keep, found
    )
