"""PaymentIntents: the whole life of one payment, from its creation to money or to nothing."""

from stripe_sandbox.cards import BY_NAME
from stripe_sandbox.currencies import check_amount, check_currency
from stripe_sandbox.errors import StripeError, invalid, missing_object, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Charge, PaymentIntent, PaymentMethod, Shipping
from stripe_sandbox.resources import connect_charges
from stripe_sandbox.resources.charges import capture_charge
from stripe_sandbox.resources.connect_charges import check_shares, wishes
from stripe_sandbox.resources.customers import find_customer
from stripe_sandbox.resources.disputes import open_dispute
from stripe_sandbox.resources.events import emit
from stripe_sandbox.resources.payment_intent_life import cancel_intent, confirm
from stripe_sandbox.resources.payment_intent_view import render_payment_intent
from stripe_sandbox.resources.payment_methods import method_from_data, use_payment_method
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
)
CONFIRMABLE = ("requires_payment_method", "requires_confirmation")

_DETAILS = (
    "description metadata payment_method payment_method_types payment_method_data.type "
    "payment_method_data.billing_details payment_method_data.metadata receipt_email "
    "setup_future_usage shipping statement_descriptor statement_descriptor_suffix customer"
)
_CONFIRMATION = "error_on_requires_action off_session return_url"


def _find(call: Call) -> PaymentIntent:
    intent = call.world.payment_intents.get(call.path_ids[0])
    secret = call.params.text("client_secret")
    if intent is not None and intent.account == call.account:
        if secret is not None and secret != intent.client_secret:
            raise invalid(
                "The client_secret provided does not match any associated PaymentIntent.",
                code="resource_missing",
                param="client_secret",
            )
        if secret is not None or not call.publishable:
            return intent
    raise missing_object("payment_intent", call.path_ids[0], "intent", in_path=True)


def _unexpected(world: World, intent: PaymentIntent, action: str, allowed: str) -> StripeError:
    error = invalid(
        f"This PaymentIntent's status is {intent.status}: {action}, which is only possible with "
        f"one of the following statuses: {allowed}.",
        code="payment_intent_unexpected_state",
    )
    error.fields = {"payment_intent": render_payment_intent(world, intent)}
    return error


@route(
    "POST",
    "/v1/payment_intents",
    models=f"amount currency automatic_payment_methods.enabled "
    f"automatic_payment_methods.allow_redirects capture_method confirm confirmation_method "
    f"transfer_group {connect_charges.ALL} {_DETAILS} {_CONFIRMATION}",
)
def create_payment_intent(call: Call) -> JsonObject:
    world, params = call.world, call.params
    currency = check_currency(params.required_text("currency"))
    amount = check_amount(params.required_integer("amount"), currency, charge=True)
    automatic = params.object("automatic_payment_methods")
    if automatic.flag("enabled") and "payment_method_types" in params:
        raise refused(
            "You may only specify one of these parameters: automatic_payment_methods, "
            "payment_method_types."
        )
    types = _method_types(params)
    confirming = bool(params.flag("confirm"))
    if not confirming:
        for name in ("off_session", "return_url", "error_on_requires_action"):
            if name in params:
                raise refused(f"You cannot provide {name} unless you set confirm=true.", param=name)
    intent = PaymentIntent(
        **world.stamp("pi_", call.account),
        amount=amount,
        currency=currency,
        client_secret="",
        capture_method=params.text("capture_method") or "automatic_async",
        confirmation_method=params.text("confirmation_method") or "automatic",
        automatic="payment_method_types" not in params and automatic.flag("enabled") is not False,
        redirects_asked_for=bool(automatic.flag("enabled")),
        allow_redirects=automatic.text("allow_redirects") or "always",
        payment_method_types=types or ["card"],
        transfer_group=params.text("transfer_group"),
    )
    intent.client_secret = f"{intent.id}_secret_{world.ids.new('', 25)}"
    if confirming:
        _check_return_url(intent, params)
    wishes(world, intent, params, amount).apply(intent)
    _apply_details(world, intent, params)
    method = _method_sent(world, intent, params)
    if confirming and method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. To "
            "confirm the PaymentIntent, specify a payment method attached to this "
            "PaymentIntent or in the confirm request.",
            code="payment_intent_unexpected_state",
        )
    if method is not None:
        intent.payment_method, intent.status = method.id, "requires_confirmation"
    world.payment_intents.add(intent)
    body = render_payment_intent(world, intent)
    emit(world, "payment_intent.created", body, call.account)
    if not confirming or method is None:
        return body
    return _confirm(call, intent, method)


def _method_types(params: Params) -> list[str]:
    types = params.texts("payment_method_types")
    for kind in types:
        if kind != "card":
            raise refused(
                f'The payment method type "{kind}" is invalid. Please ensure the provided type '
                "is activated in your dashboard and your account is enabled for any preview "
                "features that you are trying to use.",
                param="payment_method_types",
            )
    return types


def _apply_details(world: World, intent: PaymentIntent, params: Params) -> None:
    metadata = merge_metadata(intent.metadata, params)
    if params.text("customer") is not None:
        customer = params.required_text("customer")
        intent.customer = find_customer(world, intent.account, customer).id
    intent.metadata = metadata
    for name in (
        "description",
        "receipt_email",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
    ):
        if name in params:
            setattr(intent, name, params.text(name))
    intent.shipping = params.struct("shipping", Shipping, intent.shipping)


def _method_sent(world: World, intent: PaymentIntent, params: Params) -> PaymentMethod | None:
    """The payment method that the request names or describes."""
    named = params.text("payment_method")
    if named is None:
        if "payment_method_data" in params:
            return method_from_data(world, intent.account, params.object("payment_method_data"))
        return None
    method = use_payment_method(world, intent.account, named)
    customer = params.text("customer") or intent.customer
    if method.customer is not None and method.customer != customer:
        raise invalid(
            "The provided PaymentMethod cannot be attached. To reuse a PaymentMethod, you must "
            "attach it to a Customer first, and name the Customer on the PaymentIntent.",
            param="payment_method",
        )
    return method


def _check_return_url(intent: PaymentIntent, params: Params) -> None:
    """Only where the merchant asked for redirects: by itself the sandbox takes cards alone."""
    if (
        intent.redirects_asked_for
        and intent.allow_redirects == "always"
        and params.text("return_url") is None
        and intent.return_url is None
    ):
        raise refused(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "
            "Because some of these payment methods might redirect your customer off of your page, "
            "you must provide a `return_url`. If you don't want to accept redirect-based payment "
            "methods, set `automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents "
            "and Payment Intents.",
            param="return_url",
        )


def _confirm(call: Call, intent: PaymentIntent, method: PaymentMethod) -> JsonObject:
    params = call.params
    intent.off_session = params.text("off_session") not in (None, "false")
    intent.return_url = params.text("return_url") or intent.return_url
    confirm(
        call.world, intent, method, error_on_action=bool(params.flag("error_on_requires_action"))
    )
    return render_payment_intent(call.world, intent)


@route(
    "POST",
    "/v1/payment_intents/{intent}/confirm",
    models=f"capture_method client_secret payment_method payment_method_data.type "
    f"payment_method_data.billing_details payment_method_types receipt_email setup_future_usage "
    f"shipping {_CONFIRMATION}",
    publishable=True,
)
def confirm_payment_intent(call: Call) -> JsonObject:
    world, params = call.world, call.params
    intent = _find(call)
    if intent.status not in CONFIRMABLE:
        raise _unexpected(
            world, intent, "you cannot confirm it", "requires_payment_method, requires_confirmation"
        )
    method = _method_sent(world, intent, params)
    if method is None and intent.payment_method is not None:
        method = world.payment_methods[intent.payment_method]
    if method is None:
        raise _unexpected(
            world,
            intent,
            "it is missing a payment method, and you cannot confirm it",
            "requires_confirmation",
        )
    _check_return_url(intent, params)
    _method_types(params)
    _apply_details(world, intent, params)
    intent.capture_method = params.text("capture_method") or intent.capture_method
    return _confirm(call, intent, method)


@route("GET", "/v1/payment_intents/{intent}", models="client_secret", publishable=True)
def retrieve_payment_intent(call: Call) -> JsonObject:
    return render_payment_intent(call.world, _find(call))


@route(
    "POST",
    "/v1/payment_intents/{intent}",
    models=f"amount currency capture_method transfer_group {connect_charges.AMOUNTS} {_DETAILS}",
)
def update_payment_intent(call: Call) -> JsonObject:
    world, params = call.world, call.params
    intent = _find(call)
    fixed = {
        "amount",
        "application_fee_amount",
        "capture_method",
        "currency",
        "payment_method",
        "transfer_data",
    }
    if intent.status in ("succeeded", "canceled", "requires_capture") and fixed & set(
        params.values
    ):
        raise _unexpected(
            world,
            intent,
            "you cannot change its amount, currency, capture method or payment method",
            "requires_payment_method, requires_confirmation, requires_action",
        )
    currency = check_currency(params.text("currency") or intent.currency)
    amount = check_amount(params.integer("amount") or intent.amount, currency, charge=True)
    connect = wishes(world, intent, params, amount)
    method = _method_sent(world, intent, params)
    _apply_details(world, intent, params)
    connect.apply(intent)
    intent.amount, intent.currency = amount, currency
    intent.capture_method = params.text("capture_method") or intent.capture_method
    if "transfer_group" in params:
        intent.transfer_group = params.text("transfer_group")
    if method is not None:
        intent.payment_method, intent.status = method.id, "requires_confirmation"
    world.payment_intents.save(intent)
    return render_payment_intent(world, intent)


@route(
    "POST",
    "/v1/payment_intents/{intent}/capture",
    models=f"amount_to_capture metadata {connect_charges.AMOUNTS}",
)
def capture_payment_intent(call: Call) -> JsonObject:
    world, params = call.world, call.params
    intent = _find(call)
    if intent.status != "requires_capture" or intent.latest_charge is None:
        raise _unexpected(world, intent, "you cannot capture it", "requires_capture")
    amount = params.integer("amount_to_capture") if "amount_to_capture" in params else None
    amount = intent.amount_capturable if amount is None else amount
    if not 1 <= amount <= intent.amount_capturable:
        raise invalid(
            f"The amount to capture must be between 1 and {intent.amount_capturable}, the amount "
            "that can be captured.",
            code="amount_too_large" if amount > 0 else "parameter_invalid_integer",
            param="amount_to_capture",
        )
    charge = world.charges[intent.latest_charge]
    _share_captured(world, intent, charge, amount, params)
    intent.metadata = merge_metadata(intent.metadata, params)
    intent.status = "succeeded"
    intent.amount_received, intent.amount_capturable = amount, 0
    world.payment_intents.save(intent)
    capture_charge(world, charge, amount)
    body = render_payment_intent(world, intent)
    emit(world, "payment_intent.succeeded", body, intent.account)
    card = BY_NAME[charge.card or "visa"]
    if card.dispute is not None:
        open_dispute(world, charge, card.dispute, inquiry=card.inquiry)
    return body


def _share_captured(
    world: World, intent: PaymentIntent, charge: Charge, amount: int, params: Params
) -> None:
    """The fee or the share that a capture names instead; both must fit what is captured."""
    fee, share = intent.application_fee_amount, intent.transfer_amount
    if "application_fee_amount" in params:
        fee = params.integer("application_fee_amount")
    named = params.object("transfer_data").integer("amount")
    if named is not None:
        share = named
    elif share is not None:
        share = min(share, amount)
    check_shares(world, intent, amount, intent.transfer_destination, fee, share)
    intent.application_fee_amount = charge.application_fee_amount = fee
    intent.transfer_amount = charge.transfer_amount = share


@route("POST", "/v1/payment_intents/{intent}/cancel", models="cancellation_reason")
def cancel_payment_intent(call: Call) -> JsonObject:
    world = call.world
    intent = _find(call)
    if intent.status not in CANCELABLE:
        raise _unexpected(world, intent, "you cannot cancel it", ", ".join(CANCELABLE))
    cancel_intent(world, intent, call.params.text("cancellation_reason"))
    return render_payment_intent(world, intent)


@route(
    "GET",
    "/v1/payment_intents",
    models="created customer ending_before limit starting_after",
)
def list_payment_intents(call: Call) -> JsonObject:
    world, customer = call.world, call.params.text("customer")
    return list_records(
        call,
        world.payment_intents,
        lambda intent: render_payment_intent(world, intent),
        None if customer is None else lambda intent: intent.customer == customer,
    )
