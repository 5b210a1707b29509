"""`expand[]`: ids in an answer replaced by the objects they name, up to four levels deep."""

from collections.abc import Callable
from typing import TypeVar

from stripe_sandbox.collection import Collection
from stripe_sandbox.errors import refused
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.records import Record
from stripe_sandbox.world import World

R = TypeVar("R", bound=Record)

DEPTH_MAX = 4

Resolve = Callable[[World, str], "JsonObject | None"]

_RESOLVERS: dict[str, Resolve] = {}
"""By kind of object: its JSON by id."""

EXPANDABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "account": {"external_accounts": ("list:bank_account",)},
    "application_fee": {
        "account": ("account",),
        "balance_transaction": ("balance_transaction",),
        "charge": ("charge",),
        "originating_transaction": ("charge",),
    },
    "fee_refund": {"balance_transaction": ("balance_transaction",), "fee": ("application_fee",)},
    "balance_transaction": {
        "source": (
            "application_fee",
            "charge",
            "dispute",
            "fee_refund",
            "payout",
            "refund",
            "transfer",
            "transfer_reversal",
        )
    },
    "charge": {
        "application_fee": ("application_fee",),
        "on_behalf_of": ("account",),
        "transfer": ("transfer",),
        "balance_transaction": ("balance_transaction",),
        "customer": ("customer",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "refunds": ("list:refund",),
        "source_transfer": ("transfer",),
    },
    "dispute": {"charge": ("charge",), "payment_intent": ("payment_intent",)},
    "payment_intent": {
        "customer": ("customer",),
        "latest_charge": ("charge",),
        "on_behalf_of": ("account",),
        "payment_method": ("payment_method",),
    },
    "payment_method": {"customer": ("customer",)},
    "payout": {
        "balance_transaction": ("balance_transaction",),
        "destination": ("bank_account",),
        "failure_balance_transaction": ("balance_transaction",),
        "original_payout": ("payout",),
        "reversed_by": ("payout",),
    },
    "refund": {
        "balance_transaction": ("balance_transaction",),
        "charge": ("charge",),
        "failure_balance_transaction": ("balance_transaction",),
        "payment_intent": ("payment_intent",),
        "source_transfer_reversal": ("transfer_reversal",),
        "transfer_reversal": ("transfer_reversal",),
    },
    "capability": {"account": ("account",)},
    "bank_account": {"account": ("account",)},
    "transfer": {
        "balance_transaction": ("balance_transaction",),
        "destination": ("account",),
        "destination_payment": ("charge",),
        "reversals": ("list:transfer_reversal",),
        "source_transaction": ("charge",),
    },
    "transfer_reversal": {
        "balance_transaction": ("balance_transaction",),
        "destination_payment_refund": ("refund",),
        "source_refund": ("refund",),
        "transfer": ("transfer",),
    },
}
"""By kind of object and field: the kinds of object that the id may name; `list:` marks a list of
that kind within the object."""

_RESOURCE_KINDS = {
    "account": "account",
    "application_fees": "application_fee",
    "accounts": "account",
    "balance_transactions": "balance_transaction",
    "capabilities": "capability",
    "charges": "charge",
    "customers": "customer",
    "disputes": "dispute",
    "events": "event",
    "external_accounts": "bank_account",
    "fee_refunds": "fee_refund",
    "login_links": "login_link",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "payouts": "payout",
    "refunds": "refund",
    "reversals": "transfer_reversal",
    "transfers": "transfer",
    "webhook_endpoints": "webhook_endpoint",
}


def expandable(kind: str, collection: str, render: Callable[[World, R], JsonObject]) -> None:
    """Let ids of `kind` be expanded: found in the world's `collection`, shown by `render`."""

    def resolve(world: World, object_id: str) -> JsonObject | None:
        records: Collection[R] = getattr(world, collection)
        record = records.get(object_id)
        return None if record is None else render(world, record)

    _RESOLVERS[kind] = resolve


def resolver(kind: str, resolve: Resolve) -> None:
    """Let ids of `kind` be expanded by a function of one's own."""
    _RESOLVERS[kind] = resolve


def kind_of_answer(method: str, template: str) -> str:
    """The kind of object, or `list:` of a kind, that a route answers with; "" for any other."""
    if template.startswith("/v1/application_fees/"):
        template = template.replace("/refunds", "/fee_refunds")
    parts = template.split("/")
    for part in reversed(parts):
        kind = _RESOURCE_KINDS.get(part)
        if kind is not None:
            return f"list:{kind}" if method == "GET" and part == parts[-1] != "account" else kind
    return ""


def check_expansions(kind: str, paths: list[str]) -> None:
    """Before anything happens: raises RequestRefused for a path that leads nowhere."""
    for path in paths:
        names = path.split(".")
        if len(names) - (names[0] == "data") > DEPTH_MAX:
            raise refused(
                f"You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}",
                param="expand",
            )
        kinds: tuple[str, ...] = (kind,)
        for name in names:
            kinds = tuple(found for each in kinds for found in _kinds_under(each, name))
            if not kinds:
                raise refused(f"This property cannot be expanded ({path}).", param="expand")


def _kinds_under(kind: str, name: str) -> tuple[str, ...]:
    if kind.startswith("list:"):
        return (kind.removeprefix("list:"),) if name == "data" else ()
    return EXPANDABLE.get(kind, {}).get(name, ())


def expand(world: World, body: JsonObject, paths: list[str]) -> JsonObject:
    """`body` with each path's ids replaced by what they name; the paths have been checked."""
    for path in paths:
        _expand_in(world, body, path.split("."))
    return body


def _expand_in(world: World, body: JsonObject, names: list[str]) -> None:
    name, *rest = names
    value = body.get(name)
    if body.get("object") == "list":
        for element in value if isinstance(value, list) else []:
            if isinstance(element, dict) and rest:
                _expand_in(world, element, rest)
        return
    kinds = EXPANDABLE.get(str(body.get("object")), {}).get(name, ())
    if isinstance(value, str):
        value = _resolve(world, kinds, value)
        body[name] = value
    elif value is None and kinds == ("list:refund",):
        value = _resolve(world, kinds, str(body["id"]))
        body[name] = value
    if rest and isinstance(value, dict):
        _expand_in(world, value, rest)


def _resolve(world: World, kinds: tuple[str, ...], object_id: str) -> JsonValue:
    for kind in kinds:
        found = _RESOLVERS[kind](world, object_id)
        if found is not None:
            return found
    return object_id
