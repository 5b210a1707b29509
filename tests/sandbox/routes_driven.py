"""Random but plausible requests to every modelled route, for property tests."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from stripe_sandbox.parameters import Parameter, parameter_table
from stripe_sandbox.routes import ROUTES, Route
from tests.sandbox.client import CoreClient

Draw = Callable[[st.SearchStrategy[Any]], Any]

TEXTS = ("", "some words", "é ☂ 雪", "a" * 60, "usd", "[]")
TOKENS = (
    "pm_card_visa",
    "pm_card_bypassPending",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_createDispute",
    "pm_card_refundFail",
    "pm_card_nonsense",
)
AMOUNTS = st.one_of(st.integers(1, 5_000), st.sampled_from([0, -1, 49, 50, 999_999, 10**9]))

_COLLECTIONS = {
    "account": "accounts",
    "bank_account": "bank_accounts",
    "charge": "charges",
    "customer": "customers",
    "destination": "accounts",
    "dispute": "disputes",
    "intent": "payment_intents",
    "on_behalf_of": "accounts",
    "payment_intent": "payment_intents",
    "payment_method": "payment_methods",
    "default_payment_method": "payment_methods",
    "payout": "payouts",
    "refund": "refunds",
    "source": "charges",
    "source_transaction": "charges",
    "transfer": "transfers",
    "webhook_endpoint": "webhook_endpoints",
}
_PATH_COLLECTIONS = {
    "/v1/balance_transactions/{id}": ("balance_transactions",),
    "/v1/events/{id}": ("events",),
    "/v1/transfers/{id}/reversals": ("transfers",),
    "/v1/transfers/{transfer}/reversals/{id}": ("transfers", "transfer_reversals"),
    "/v1/accounts/{account}/external_accounts/{id}": ("accounts", "bank_accounts"),
    "/v1/application_fees/{id}": ("application_fees",),
    "/v1/application_fees/{id}/refunds": ("application_fees",),
    "/v1/application_fees/{fee}/refunds/{id}": ("application_fees", "fee_refunds"),
    "/v1/accounts/{account}/capabilities/{capability}": ("accounts", "capabilities"),
}


def known_ids(stripe: CoreClient, collection: str) -> Sequence[str]:
    """The last few of them."""
    if collection == "capabilities":
        return ("transfers", "card_payments", "treasury")
    return [record.id for record in getattr(stripe.sandbox.world, collection)][-6:]


def draw_path(draw: Draw, stripe: CoreClient, route: Route) -> str:
    names = [part[1:-1] for part in route.template.split("/") if part.startswith("{")]
    collections = _PATH_COLLECTIONS.get(
        route.template, tuple(_COLLECTIONS[name] for name in names if name in _COLLECTIONS)
    )
    path = route.template
    for name, collection in zip(names, collections, strict=True):
        ids = [*known_ids(stripe, collection), "nothing_there"]
        path = path.replace(f"{{{name}}}", draw(st.sampled_from(ids)), 1)
    return path


def draw_params(draw: Draw, stripe: CoreClient, route: Route) -> dict[str, Any]:
    return _draw_fields(draw, stripe, parameter_table()[route.name], depth=0)


def _draw_fields(
    draw: Draw, stripe: CoreClient, parameter: Parameter, depth: int
) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for name, known in parameter.fields.items():
        if not known.modelled or name == "expand":
            continue
        if known.required or draw(st.integers(0, 3)) == 0:
            drawn[name] = _draw_value(draw, stripe, name, known, depth)
    return drawn


def _draw_value(draw: Draw, stripe: CoreClient, name: str, known: Parameter, depth: int) -> Any:
    if known.kind == "integer":
        return draw(AMOUNTS)
    if known.kind == "boolean":
        return draw(st.booleans())
    if known.kind == "map":
        return draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(TEXTS)))
    if known.kind == "range":
        return {"gte": stripe.sandbox.world.now - draw(st.integers(0, 9))}
    if known.kind == "array":
        return [_draw_value(draw, stripe, name, known.fields["[]"], depth)]
    if known.kind == "object":
        return _draw_fields(draw, stripe, known, depth + 1)
    if known.choices:
        return draw(st.sampled_from(known.choices))
    return _draw_text(draw, stripe, name)


def _draw_text(draw: Draw, stripe: CoreClient, name: str) -> str:
    if name == "currency":
        return str(draw(st.sampled_from(["usd", "usd", "usd", "jpy", "kwd", "xxx"])))
    if name == "payment_method":
        ids = known_ids(stripe, "payment_methods")
        return str(draw(st.sampled_from([*TOKENS, *ids])))
    if name == "number":
        return str(draw(st.sampled_from(["4242424242424242", "4000000000000002", "4111", "x"])))
    if name.endswith("url"):
        return "https://example.com/back"
    if name in _COLLECTIONS:
        ids = [*known_ids(stripe, _COLLECTIONS[name]), "nothing_there"]
        return str(draw(st.sampled_from(ids)))
    return str(draw(st.sampled_from(TEXTS)))


def draw_request(draw: Draw, stripe: CoreClient) -> tuple[str, str, dict[str, Any]]:
    """A method, a path and parameters for one of the modelled routes."""
    route = ROUTES[draw(st.sampled_from(sorted(ROUTES)))]
    return route.method, draw_path(draw, stripe, route), draw_params(draw, stripe, route)
