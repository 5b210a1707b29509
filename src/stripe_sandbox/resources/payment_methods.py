"""Payment methods: test cards, made from their numbers or from `pm_card_*` tokens."""

from hashlib import blake2b

import msgspec

from stripe_sandbox.cards import BY_NAME, TestCard, card_for_number, card_for_token
from stripe_sandbox.errors import (
    StripeError,
    card_error,
    invalid,
    missing_object,
    missing_parameter,
    not_modelled,
    refused,
)
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Address, Contact, PaymentMethod
from stripe_sandbox.resources.customers import find_customer
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

TOKEN_VALID_YEARS = 1


def render_address(address: Address) -> JsonObject:
    return msgspec.structs.asdict(address)


def render_contact(contact: Contact) -> JsonObject:
    return {
        "address": render_address(contact.address),
        "email": contact.email,
        "name": contact.name,
        "phone": contact.phone,
        "tax_id": None,
    }


def fingerprint(card: TestCard) -> str:
    """The same for the same card number, as Stripe's is."""
    return blake2b(card.number.encode(), digest_size=8).hexdigest()


def render_payment_method(world: World, method: PaymentMethod) -> JsonObject:
    card = BY_NAME[method.card]
    return {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": render_contact(method.billing),
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass" if method.customer else "unchecked",
            },
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
            "fingerprint": fingerprint(card),
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": method.created,
        "customer": method.customer,
        "livemode": False,
        "metadata": method.metadata,
        "type": "card",
    }


expandable("payment_method", "payment_methods", render_payment_method)


def use_payment_method(world: World, account: str, named: str) -> PaymentMethod:
    """The payment method of that id; a `pm_card_*` token makes a new one.

    Raises StripeError (400 `resource_missing`) where there is none.
    """
    card = card_for_token(named)
    if card is not None:
        return _add(world, account, card, Contact(), exp_month=12)
    method = world.payment_methods.get(named)
    if method is None or method.account != account:
        raise missing_object("PaymentMethod", named, "payment_method")
    return method


def method_from_data(world: World, account: str, data: Params) -> PaymentMethod:
    """The payment method described by `payment_method_data` or by a creation's own parameters."""
    if data.required_text("type") != "card":
        raise not_modelled(f"the payment method type {data.text('type')}")
    if "card" not in data:
        raise missing_parameter("card")
    details = data.object("card")
    billing = data.struct("billing_details", Contact) or Contact()
    token = details.text("token")
    if token is not None:
        card = card_for_token(token.replace("tok_", "pm_card_", 1))
        if card is None:
            raise missing_object("token", token, "card[token]")
        return _add(world, account, card, billing, exp_month=12)
    number = details.required_text("number")
    card = card_for_number(number)
    if card is None:
        raise _bad_number(number)
    exp_month, exp_year = (
        details.required_integer("exp_month"),
        details.required_integer("exp_year"),
    )
    _check_expiry(world, exp_month, exp_year)
    return _add(world, account, card, billing, exp_month=exp_month, exp_year=exp_year)


def _add(
    world: World,
    account: str,
    card: TestCard,
    billing: Contact,
    *,
    exp_month: int,
    exp_year: int | None = None,
) -> PaymentMethod:
    method = PaymentMethod(
        **world.stamp("pm_", account),
        card=card.name,
        exp_month=exp_month,
        exp_year=exp_year or _year(world.now) + TOKEN_VALID_YEARS,
        billing=billing,
    )
    return world.payment_methods.add(method)


def _year(at: int) -> int:
    """The calendar year, UTC, to the day in an average year: good for card expiry alone."""
    return 1970 + at // 31_556_952


def _check_expiry(world: World, month: int, year: int) -> None:
    if not 1 <= month <= 12:
        raise card_error(
            "Your card's expiration month is invalid.",
            code="invalid_expiry_month",
            decline_code=None,
            fields={"param": "exp_month"},
        )
    if not _year(world.now) <= year <= _year(world.now) + 50:
        raise card_error(
            "Your card's expiration year is invalid.",
            code="invalid_expiry_year",
            decline_code=None,
            fields={"param": "exp_year"},
        )


def _bad_number(number: str) -> StripeError:
    digits = number.replace(" ", "").replace("-", "")
    if digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 and _luhn(digits):
        return card_error(
            "Your card was declined. Your request was in test mode, but used a non test card. "
            "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
            code="card_declined",
            decline_code="test_mode_live_card",
            fields={},
        )
    return card_error(
        "Your card number is incorrect.",
        code="incorrect_number",
        decline_code=None,
        fields={"param": "number"},
    )


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def find_payment_method(call: Call) -> PaymentMethod:
    method = call.world.payment_methods.get(call.path_ids[0])
    if method is None or method.account != call.account:
        raise missing_object("PaymentMethod", call.path_ids[0], "payment_method", in_path=True)
    return method


@route(
    "POST",
    "/v1/payment_methods",
    models="type billing_details.address billing_details.email billing_details.name "
    "billing_details.phone card.exp_month card.exp_year card.number card.cvc card.token metadata",
)
def create_payment_method(call: Call) -> JsonObject:
    method = method_from_data(call.world, call.account, call.params)
    method.metadata = merge_metadata({}, call.params)
    return render_payment_method(call.world, method)


@route("GET", "/v1/payment_methods/{payment_method}")
def retrieve_payment_method(call: Call) -> JsonObject:
    card = card_for_token(call.path_ids[0])
    if card is not None:
        method = use_payment_method(call.world, call.account, call.path_ids[0])
        return render_payment_method(call.world, method)
    return render_payment_method(call.world, find_payment_method(call))


@route(
    "POST",
    "/v1/payment_methods/{payment_method}",
    models="billing_details.address billing_details.email billing_details.name "
    "billing_details.phone card.exp_month card.exp_year metadata",
)
def update_payment_method(call: Call) -> JsonObject:
    world, params = call.world, call.params
    method = find_payment_method(call)
    if method.customer is None:
        raise invalid(
            "You must save this PaymentMethod to a customer before you can update it.",
            param="payment_method",
        )
    before = render_payment_method(world, method)
    metadata = merge_metadata(method.metadata, params)
    card = params.object("card")
    exp_month = card.integer("exp_month") or method.exp_month
    exp_year = card.integer("exp_year") or method.exp_year
    _check_expiry(world, exp_month, exp_year)
    method.billing = params.struct("billing_details", Contact, method.billing) or Contact()
    method.metadata, method.exp_month, method.exp_year = metadata, exp_month, exp_year
    world.payment_methods.save(method)
    body = render_payment_method(world, method)
    emit(world, "payment_method.updated", body, call.account, changed(before, body))
    return body


@route("POST", "/v1/payment_methods/{payment_method}/attach", models="customer")
def attach(call: Call) -> JsonObject:
    world = call.world
    customer = find_customer(world, call.account, call.params.required_text("customer"))
    token = card_for_token(call.path_ids[0])
    if token is not None:
        method = use_payment_method(world, call.account, call.path_ids[0])
    else:
        method = find_payment_method(call)
    if method.customer is not None and method.customer != customer.id:
        raise invalid("The payment method you provided has already been attached to a customer.")
    _refuse_bad_card(BY_NAME[method.card])
    method.customer = customer.id
    world.payment_methods.save(method)
    body = render_payment_method(world, method)
    emit(world, "payment_method.attached", body, call.account)
    return body


def _refuse_bad_card(card: TestCard) -> None:
    """Attaching checks the card; of the declined ones only `chargeCustomerFail` passes."""
    if card.decline is None or card.name == "chargeCustomerFail":
        return
    if card.authentication.value != "never":
        return
    raise card_error(
        card.decline.message,
        code=card.decline.code,
        decline_code=card.decline.decline_code,
        fields={},
    )


@route("POST", "/v1/payment_methods/{payment_method}/detach")
def detach(call: Call) -> JsonObject:
    world = call.world
    method = find_payment_method(call)
    if method.customer is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible.",
        )
    customer, method.customer = method.customer, None
    world.payment_methods.save(method)
    body = render_payment_method(world, method)
    emit(world, "payment_method.detached", body, call.account, {"customer": customer})
    return body


@route(
    "GET",
    "/v1/payment_methods",
    models="customer ending_before limit starting_after type",
)
def list_payment_methods(call: Call) -> JsonObject:
    return _list(call, call.params.text("customer"))


@route(
    "GET",
    "/v1/customers/{customer}/payment_methods",
    models="ending_before limit starting_after type",
)
def list_customer_payment_methods(call: Call) -> JsonObject:
    customer = find_customer(call.world, call.account, call.path_ids[0], in_path=True)
    return _list(call, customer.id)


def _list(call: Call, customer: str | None) -> JsonObject:
    kind = call.params.text("type")
    if kind is not None and kind != "card":
        raise not_modelled(f"the payment method type {kind}")
    if customer is None:
        raise refused("Missing required param: customer.", param="customer")
    return list_records(
        call,
        call.world.payment_methods,
        lambda method: render_payment_method(call.world, method),
        lambda method: method.customer == customer,
    )
