"""Writes the sandbox's tables from the specification: `python -m tests.sandbox.make_tables`.

The tables are part of the sandbox and read at run time; a test compares them with what this makes.
"""

from collections.abc import Iterator
from pathlib import Path

import stripe_sandbox
from stripe_sandbox.routes import ROUTES, Route
from tests.sandbox.specification import Schema, operations, request_schema

TABLES = Path(stripe_sandbox.__file__).parent / "tables"

_TEXT = {"type": "string"}
_BANK_ACCOUNT: Schema = {
    "type": "object",
    "properties": {
        "account_holder_name": _TEXT,
        "account_holder_type": {"type": "string", "enum": ["company", "individual"]},
        "account_number": _TEXT,
        "country": _TEXT,
        "currency": _TEXT,
        "object": {"type": "string", "enum": ["bank_account", "card"]},
        "routing_number": _TEXT,
    },
    "required": ["object"],
}
"""What Stripe's reference documents for `external_account`; the specification has its token."""


def routes_table() -> str:
    return "".join(f"{name}\n" for name in sorted(operations()))


def parameters_table() -> str:
    known = operations()
    return "".join(
        line for name in sorted(ROUTES) for line in _route_lines(ROUTES[name], known[name])
    )


def _route_lines(route: Route, operation: Schema) -> Iterator[str]:
    yield f"{route.name}\n"
    schema = request_schema(operation)
    names = set(schema["properties"])
    unknown = {name.split(".")[0] for name in route.modelled} - names - {"expand"}
    if unknown:
        raise SystemExit(f"{route.name}: Stripe knows no parameter {sorted(unknown)}")
    yield from _field_lines(route, schema, "")


def _field_lines(route: Route, schema: Schema, prefix: str) -> Iterator[str]:
    for name, field in sorted(schema["properties"].items()):
        full = f"{prefix}{name}"
        if not _modelled(route, full):
            yield f"  ~{full}\n"
            continue
        required = ["required"] if name in schema.get("required", ()) else []
        if name == "external_account":
            field = {"anyOf": [field, _BANK_ACCOUNT]}
        yield from _parameter_lines(route, full, field, required)


def _modelled(route: Route, name: str) -> bool:
    """Named itself, below a name (all of it), or above one (part of it)."""
    return any(
        name == each or name.startswith(f"{each}.") or each.startswith(f"{name}.")
        for each in route.modelled
    )


def _parameter_lines(route: Route, name: str, field: Schema, traits: list[str]) -> Iterator[str]:
    variants = list(field.get("anyOf", [field]))
    if any(part.get("enum") == [""] for part in variants):
        traits = [*traits, "empty"]
        variants = [part for part in variants if part.get("enum") != [""]]
    kinds = {part.get("type") for part in variants}
    chosen = _merged(variants)
    if kinds == {"object", "integer"}:
        yield f"  {name} range {' '.join(traits)}".rstrip() + "\n"
        yield from _field_lines(route, chosen, f"{name}.")
    elif kinds == {"object", "string"}:
        yield f"  {name} object {' '.join([*traits, 'text'])}\n"
        yield from _field_lines(route, chosen, f"{name}.")
    elif kinds == {"boolean", "string"}:
        words = [choice for part in variants for choice in part.get("enum", [])]
        choices = "|".join(["true", "false", *words])
        yield f"  {name} enum:{choices} {' '.join(traits)}".rstrip() + "\n"
    elif "properties" in chosen:
        yield f"  {name} object {' '.join(traits)}".rstrip() + "\n"
        yield from _field_lines(route, chosen, f"{name}.")
    elif chosen.get("type") == "object":
        yield f"  {name} map {' '.join(traits)}".rstrip() + "\n"
    elif chosen.get("type") == "array":
        yield f"  {name} array {' '.join(traits)}".rstrip() + "\n"
        yield from _parameter_lines(route, f"{name}[]", chosen["items"], [])
    else:
        yield f"  {name} {_scalar(chosen)} {' '.join(traits)}".rstrip() + "\n"


def _merged(variants: list[Schema]) -> Schema:
    """One schema for several shapes of object: the fields of all, required where all say so."""
    objects = [part for part in variants if "properties" in part]
    if not objects:
        return variants[0]
    required = set.intersection(*(set(part.get("required", [])) for part in objects))
    properties = {name: each for part in objects for name, each in part["properties"].items()}
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _scalar(field: Schema) -> str:
    choices = [choice for choice in field.get("enum", []) if choice]
    if choices:
        return "enum:" + "|".join(choices)
    return str(field["type"])


if __name__ == "__main__":
    TABLES.joinpath("routes.txt").write_text(routes_table(), "utf-8")
    TABLES.joinpath("parameters.txt").write_text(parameters_table(), "utf-8")
