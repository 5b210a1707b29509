"""A request's headers as ASGI hands them over: names in lower case, in the order of arrival."""

from __future__ import annotations

from starlette.types import Scope


def first_header(scope: Scope, name: bytes) -> str | None:
    """The first value under ``name``, in lower case; None without one.

    Starlette's own look-up raises and catches two exceptions where there is none.
    """
    for given, value in scope["headers"]:
        if given == name:
            text: str = value.decode("latin-1")
            return text
    return None
