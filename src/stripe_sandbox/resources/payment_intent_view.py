"""A PaymentIntent as JSON."""

from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import Decline, PaymentIntent
from stripe_sandbox.resources.customers import render_shipping
from stripe_sandbox.resources.payment_methods import render_payment_method
from stripe_sandbox.world import World


def render_payment_intent(world: World, intent: PaymentIntent) -> JsonObject:
    automatic: JsonObject | None = None
    if intent.automatic:
        automatic = {"allow_redirects": intent.allow_redirects, "enabled": True}
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "application": None,
        "application_fee_amount": intent.application_fee_amount,
        "automatic_payment_methods": automatic,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.client_secret,
        "confirmation_method": intent.confirmation_method,
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": _last_error(world, intent.last_error)
        if intent.last_error is not None
        else None,
        "latest_charge": intent.latest_charge,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": _next_action(world, intent) if intent.status == "requires_action" else None,
        "on_behalf_of": intent.on_behalf_of,
        "payment_method": intent.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": intent.payment_method_types,
        "processing": None,
        "receipt_email": intent.receipt_email,
        "review": None,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": render_shipping(intent.shipping),
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        "transfer_data": _transfer_data(intent),
        "transfer_group": intent.transfer_group,
    }


def _transfer_data(intent: PaymentIntent) -> JsonObject | None:
    if intent.transfer_destination is None:
        return None
    data: JsonObject = {"destination": intent.transfer_destination}
    if intent.transfer_amount is not None:
        data["amount"] = intent.transfer_amount
    return data


def _last_error(world: World, error: Decline) -> JsonObject:
    body: JsonObject = {
        "code": error.code,
        "doc_url": "https://stripe.com/docs/error-codes/" + error.code.replace("_", "-"),
        "message": error.message,
        "type": "card_error" if error.charge else "invalid_request_error",
    }
    if error.charge is not None:
        body["charge"] = error.charge
    if error.decline_code is not None:
        body["decline_code"] = error.decline_code
    if error.payment_method is not None:
        method = world.payment_methods[error.payment_method]
        body["payment_method"] = render_payment_method(world, method)
    return body


def _next_action(world: World, intent: PaymentIntent) -> JsonObject:
    url = f"{world.config.base_url}/_sandbox/3ds/{intent.id}"
    if intent.return_url is not None:
        return {
            "redirect_to_url": {"return_url": intent.return_url, "url": url},
            "type": "redirect_to_url",
        }
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
    }


expandable("payment_intent", "payment_intents", render_payment_intent)
