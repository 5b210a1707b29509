"""The witness: every request and every answer against Stripe's own specification, strictly."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from stripe_sandbox.routes import ROUTES
from tests.external_tools import missing
from tests.sandbox.specification import (
    Schema,
    operations,
    request_schema,
    specification,
    specification_problem,
)

Json = Any
"""Any JSON at all: the specification judges it."""


def _rewritten(schema: Any, *, strict: bool) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable`, references; strict: no undocumented field."""
    if isinstance(schema, list):
        return [_rewritten(each, strict=strict) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"].rsplit("/", 1)[1]}
    skipped = {"nullable", "description", "title", "example", "format", "maxLength"}
    made: Schema = {}
    for name, value in schema.items():
        if name in skipped or name.startswith("x-"):
            continue
        if name == "properties":
            made[name] = {key: _rewritten(each, strict=strict) for key, each in value.items()}
        elif name == "enum":
            made[name] = [*value, None] if schema.get("nullable") else value
        else:
            made[name] = _rewritten(value, strict=strict)
    if strict and "properties" in made and "additionalProperties" not in made:
        made["additionalProperties"] = False
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made


@cache
def _definitions() -> Schema:
    schemas = specification()["components"]["schemas"]
    return {name: _rewritten(schema, strict=True) for name, schema in schemas.items()}


@cache
def _answer_validator(route: str, error: bool) -> jsonschema_rs.Validator:
    responses = operations()[route]["responses"]
    schema = responses["default" if error else "200"]["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**_rewritten(schema, strict=True), "$defs": _definitions()})


@cache
def _request_validator(route: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        _rewritten(request_schema(operations()[route]), strict=False)
    )


def require_witness() -> None:
    """Skips the test (fails it under REQUIRE_ALL=1) where the specification cannot be had."""
    problem = specification_problem()
    if problem is not None:
        missing(problem)


def witness_is_here() -> bool:
    """Whether answers can be judged; under REQUIRE_ALL=1 the test fails where they cannot."""
    if os.environ.get("REQUIRE_ALL") == "1":
        require_witness()
    return specification_problem() is None


class Nonconforming(AssertionError):
    """The sandbox and Stripe's specification disagree."""


def check_answer(route: str, status: int, body: Json) -> None:
    """Raises Nonconforming with where and how the body differs from the specification."""
    if status == 501:
        return  # the sandbox's own word; Stripe has no such answer
    validator = _answer_validator(route, error=status >= 400)
    problems = [_described(error) for error in validator.iter_errors(body)]
    if problems:
        raise Nonconforming(f"{route} answered {status}:\n" + "\n".join(problems) + f"\n{body}")


@cache
def _object_validator(kind: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{kind}", "$defs": _definitions()})


def check_object(kind: str, body: Json) -> None:
    """Raises Nonconforming where `body` is no such object."""
    problems = [_described(error) for error in _object_validator(kind).iter_errors(body)]
    if problems:
        raise Nonconforming(f"this is no {kind}:\n" + "\n".join(problems) + f"\n{body}")


def _described(error: jsonschema_rs.ValidationError) -> str:
    place = "/".join(map(str, error.instance_path))
    return f"  at {place}: {error.message[:600]}"


def check_request(route: str, params: Mapping[str, Json]) -> None:
    """Raises Nonconforming where Stripe's specification does not allow these parameters."""
    sent = {name: value for name, value in params.items() if name != "external_account"}
    problems = [_described(error) for error in _request_validator(route).iter_errors(sent)]
    if problems:
        raise Nonconforming(f"{route} was sent {params}:\n" + "\n".join(problems))


def route_of(method: str, path: str) -> str | None:
    """The name of the modelled route that a request goes to."""
    parts = path.split("/")
    best: str | None = None
    for name, route in ROUTES.items():
        template = route.template.split("/")
        if (
            route.method == method
            and len(template) == len(parts)
            and all(
                expected == part or expected.startswith("{")
                for expected, part in zip(template, parts, strict=True)
            )
        ):
            best = name if best is None or "{" not in route.template else best
    return best
