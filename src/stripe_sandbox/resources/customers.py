"""Customers: whom payment methods belong to."""

import msgspec

from stripe_sandbox.errors import invalid, missing_object
from stripe_sandbox.expansion import resolver
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Address, Customer, Shipping
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

CUSTOMER_FIELDS = (
    "address description email metadata name phone shipping invoice_settings.default_payment_method"
)


def render_customer(world: World, customer: Customer) -> JsonObject:
    if customer.deleted:
        return {"id": customer.id, "object": "customer", "deleted": True}
    return {
        "id": customer.id,
        "object": "customer",
        "address": None if customer.address is None else msgspec.structs.asdict(customer.address),
        "balance": 0,
        "created": customer.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": customer.description,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": customer.invoice_prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": customer.default_payment_method,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": render_shipping(customer.shipping),
        "tax_exempt": "none",
        "test_clock": None,
    }


def render_shipping(shipping: Shipping | None) -> JsonObject | None:
    if shipping is None:
        return None
    return {
        "address": msgspec.structs.asdict(shipping.address),
        "carrier": shipping.carrier,
        "name": shipping.name,
        "phone": shipping.phone,
        "tracking_number": shipping.tracking_number,
    }


def find_customer(
    world: World, account: str, customer_id: str, *, in_path: bool = False
) -> Customer:
    """Raises StripeError where there is none, or it was deleted."""
    customer = world.customers.get(customer_id)
    if customer is None or customer.account != account or customer.deleted:
        name = "id" if in_path else "customer"
        raise missing_object("customer", customer_id, name, in_path=in_path)
    return customer


def _resolve(world: World, customer_id: str) -> JsonObject | None:
    customer = world.customers.get(customer_id)
    return None if customer is None else render_customer(world, customer)


resolver("customer", _resolve)


def _apply(world: World, customer: Customer, params: Params) -> None:
    metadata = merge_metadata(customer.metadata, params)
    settings = params.object("invoice_settings")
    default_method = settings.text("default_payment_method")
    if default_method is not None:
        method = world.payment_methods.get(default_method)
        if method is None or method.customer != customer.id:
            raise invalid(
                "The customer does not have a payment method with the ID "
                f"{default_method}. The payment method must be attached to the customer.",
                code="resource_missing",
                param="invoice_settings[default_payment_method]",
            )
    for name in ("description", "email", "name", "phone"):
        if name in params:
            setattr(customer, name, params.text(name))
    if "default_payment_method" in settings:
        customer.default_payment_method = default_method
    customer.metadata = metadata
    customer.address = params.struct("address", Address, customer.address)
    customer.shipping = params.struct("shipping", Shipping, customer.shipping)


@route("POST", "/v1/customers", models=CUSTOMER_FIELDS)
def create_customer(call: Call) -> JsonObject:
    world = call.world
    customer = Customer(
        **world.stamp("cus_", call.account), invoice_prefix=world.ids.new("", 8).upper()
    )
    _apply(world, customer, call.params)
    world.customers.add(customer)
    body = render_customer(world, customer)
    emit(world, "customer.created", body, call.account)
    return body


@route("GET", "/v1/customers/{customer}")
def retrieve_customer(call: Call) -> JsonObject:
    customer = call.world.customers.get(call.path_ids[0])
    if customer is None or customer.account != call.account:
        raise missing_object("customer", call.path_ids[0], "id", in_path=True)
    return render_customer(call.world, customer)


@route("POST", "/v1/customers/{customer}", models=CUSTOMER_FIELDS)
def update_customer(call: Call) -> JsonObject:
    world = call.world
    customer = find_customer(world, call.account, call.path_ids[0], in_path=True)
    before = render_customer(world, customer)
    _apply(world, customer, call.params)
    world.customers.save(customer)
    body = render_customer(world, customer)
    emit(world, "customer.updated", body, call.account, changed(before, body))
    return body


@route("DELETE", "/v1/customers/{customer}")
def delete_customer(call: Call) -> JsonObject:
    world = call.world
    customer = find_customer(world, call.account, call.path_ids[0], in_path=True)
    last_seen = render_customer(world, customer)
    customer.deleted = True
    world.customers.save(customer)
    for method in list(world.payment_methods.where("account", call.account)):
        if method.customer == customer.id:
            method.customer = None
            world.payment_methods.save(method)
    emit(world, "customer.deleted", last_seen, call.account)
    return render_customer(world, customer)


@route("GET", "/v1/customers", models="created email ending_before limit starting_after")
def list_customers(call: Call) -> JsonObject:
    world, email = call.world, call.params.text("email")
    return list_records(
        call,
        world.customers,
        lambda customer: render_customer(world, customer),
        lambda customer: not customer.deleted and (email is None or customer.email == email),
    )
