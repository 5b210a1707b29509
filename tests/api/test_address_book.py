"""Guarded calls are found as Starlette's router would find them."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Match

from roadcall_payments.api.access import ROUTES
from roadcall_payments.api.address_book import AddressBook
from roadcall_payments.api.app import ROUTERS
from roadcall_payments.api.guarded_route import GuardedRoute

GUARDED = [
    route
    for resource in ROUTERS
    for route in resource.router.routes
    if isinstance(route, GuardedRoute)
]
BOOK = AddressBook(GUARDED)


def by_starlette(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The first route that fits wholly, as a router looks for it."""
    for route in GUARDED:
        match, found = route.matches({"type": "http", "method": method, "path": path})
        if match is Match.FULL:
            return route.path, found["path_params"]
    return None


def by_book(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    found = BOOK.find(method, path)
    return (found.route.path, found.path_params) if found else None


@pytest.mark.parametrize(("method", "template"), ROUTES)
@pytest.mark.parametrize("given", ["p_1", "pending", "a b", "x\n", "é", ":", "{paymentId}"])
def test_every_guarded_call_is_found_by_its_address(method: str, template: str, given: str) -> None:
    path = re.sub(r"\{\w+\}", given, template)
    found = by_book(method, path)
    # What it leaves to the router is found there; what it finds is what the router would find.
    assert found in (None, by_starlette(method, path))
    if given == "p_1":
        assert found is not None
        assert found[0] == template


@pytest.mark.parametrize(
    "address",
    [
        "GET /",
        "GET ",
        "GET *",
        "GET payments",
        "GET //payments",
        "GET /payments/",
        "HEAD /payments",
        "DELETE /payments",
        "POST /payments//process",
        "POST /payments/p_1/process/",
        "POST /payments/p_1/process/more",
        "GET /health/live",
        "GET /{paymentId}",
    ],
)
def test_other_addresses_are_not_found(address: str) -> None:
    method, path = address.split(" ")
    assert by_book(method, path) is by_starlette(method, path) is None
