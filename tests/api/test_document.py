"""The OpenAPI document: complete, with examples that fit, shown without the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from roadcall_payments.api.access import ROUTES
from roadcall_payments.api.webhooks import PATH as WEBHOOK_PATH
from tests.api.harness import Api
from tests.docs.test_documents import answered_codes

Operation = tuple[str, str, dict[str, Any]]


def operations(api: Api) -> Iterator[Operation]:
    for path, methods in api.contract.document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


async def test_every_route_is_documented(api: Api) -> None:
    documented = {(method, path) for method, path, _ in operations(api)}
    open_to_all = {
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("POST", "/payments/webhooks/stripe"),
    }
    assert documented == set(ROUTES) | open_to_all


async def test_every_operation_says_who_what_and_what_may_go_wrong(api: Api) -> None:
    names = []
    for method, path, operation in operations(api):
        names.append(operation["operationId"])
        assert operation["tags"], path
        assert operation["summary"], path
        assert operation["description"], path
        guarded = (method, path) in ROUTES
        assert operation.get("security") == ([{"bearer": []}] if guarded else None)
        expected = {"500"} if not guarded else {"400", "401", "403", "429", "500", "503"}
        assert expected <= set(operation["responses"]), path
        if "{" in path and method != "PUT":
            assert "404" in operation["responses"], path
        names_in_path = set(re.findall(r"\{(\w+)\}", path))
        parameters = operation.get("parameters", [])
        assert {p["name"] for p in parameters if p["in"] == "path"} == names_in_path
    assert len(set(names)) == len(names)


async def test_every_error_has_an_example(api: Api) -> None:
    for _, path, operation in operations(api):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and path != "/health/ready":
                media = answer["content"]["application/problem+json"]
                assert media["examples"], (path, status)


Problem = dict[str, Any]


def problems_in(responses: dict[str, Any]) -> Iterator[tuple[str, str, Problem]]:
    """Every error example: the status it stands under, its name, the problem."""
    for status, answer in responses.items():
        media = answer.get("content", {}).get("application/problem+json", {})
        for name, example in media.get("examples", {}).items():
            yield status, name, example["value"]


def codes_of(api: Api, method: str, path: str) -> set[str]:
    operation = api.contract.document["paths"][path][method]
    return {name for _, name, _ in problems_in(operation["responses"])}


async def test_every_code_that_is_answered_has_an_example(api: Api) -> None:
    document = api.contract.document
    elsewhere = document["components"]["responses"]
    shown = {name for _, name, _ in problems_in(elsewhere)}
    for method, path, _ in operations(api):
        shown |= codes_of(api, method.lower(), path)
    assert shown == set(answered_codes())


async def test_every_error_example_is_told_as_its_code_is(api: Api) -> None:
    expected = answered_codes()
    for _, path, operation in operations(api):
        for status, name, problem in problems_in(operation["responses"]):
            assert problem["code"] == name, (path, name)
            assert problem["type"] == f"urn:roadcall:problem:{name}"
            assert str(problem["status"]) == status, (path, name)
            # M19: to Stripe, what may pass is a 500.
            told = 500 if path == WEBHOOK_PATH and expected[name] == 503 else expected[name]
            assert problem["status"] == told, (path, name)


async def test_an_operation_lists_its_own_errors_only(api: Api) -> None:
    held = {"processPayment", "confirmPayment", "approveRefund", "requestPayout"}
    for method, path, operation in operations(api):
        codes = codes_of(api, method.lower(), path)
        assert ("movements_paused" in codes) == (operation["operationId"] in held), path
        assert ("bad_signature" in codes) == (path == WEBHOOK_PATH), path
        asks_stripe = {"getClientSecret", "getVendorBalance", "getRemittance"}
        if method == "GET" and operation["operationId"] not in asks_stripe:
            assert not {code for code in codes if code.startswith("stripe_")}, path
            assert not codes & {"commit_unknown", "contended", "invalid_json"}, path
    assert "destination_mismatch" not in codes_of(api, "post", "/payments")
    assert "duplicate_job" not in codes_of(api, "post", "/events")


async def test_every_post_that_moves_money_takes_an_idempotency_key(api: Api) -> None:
    for method, path, operation in operations(api):
        # ``settle`` only asks Stripe: a repeat is another look.
        moves_none = "webhooks" in path or path.endswith("/settle")
        moving = path.startswith(("/payments", "/refunds", "/payouts")) or path.endswith("/payouts")
        moving = moving and not moves_none
        if method == "POST" and moving:
            headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
            assert "Idempotency-Key" in headers, path


def examples(node: Any, schemas: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every example in the document with the schema it stands beside."""
    match node:
        case dict():
            if "schema" in node and "examples" in node and isinstance(node["examples"], dict):
                for example in node["examples"].values():
                    yield node["schema"], example["value"]
            if "schema" in node and "example" in node:
                yield node["schema"], node["example"]
            if isinstance(node.get("examples"), list):
                rest = {key: value for key, value in node.items() if key != "examples"}
                for example in node["examples"]:
                    yield rest.get("schema", rest), example
            for value in node.values():
                yield from examples(value, schemas)
        case list():
            for value in node:
                yield from examples(value, schemas)


async def test_every_example_fits_its_schema(api: Api) -> None:
    document = api.contract.document
    found = list(examples(document, document["components"]["schemas"]))
    assert len(found) > 100
    for schema, example in found:
        api.contract.validate(schema, example)


async def test_every_body_has_an_example(api: Api) -> None:
    schemas = api.contract.document["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("Body")]
    # Parts of other bodies are shown there.
    parts = {"NewLineItemBody", "ContactsBody"}
    assert [name for name in bodies if "examples" not in schemas[name]] == sorted(
        parts, key=bodies.index
    )


async def test_a_broken_example_would_be_found(api: Api) -> None:
    with pytest.raises(ValueError, match="is not of type"):
        api.contract.validate({"$ref": "#/components/schemas/PauseBody"}, {"reason": 7})


async def test_the_page_needs_no_network(api: Api) -> None:
    page = await api.get("/docs")
    assert page.status == 200
    addresses = re.findall(r"""(?:src|href|url:)\s*=?\s*["']([^"']+)["']""", page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/"), f"{address} is not ours"
        async with api.session.get(api.base + address) as answer:
            assert answer.status == 200, address
