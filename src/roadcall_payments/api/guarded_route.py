"""The route class of every call that wants a caller: first who, then how often, then what."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from roadcall_payments.api import problems
from roadcall_payments.api.access import ROUTES, Guarded, require_role
from roadcall_payments.api.arguments import Arguments
from roadcall_payments.api.identity_errors import Unauthenticated
from roadcall_payments.api.limits import Limits
from roadcall_payments.api.request_body import StrictRequest
from roadcall_payments.api.request_headers import first_header
from roadcall_payments.api.schemas import View, json_response
from roadcall_payments.api.tokens import TokenVerifier
from roadcall_payments.api.wiring import record_of
from roadcall_payments.domain.errors import NotAllowed
from roadcall_payments.domain.people import Actor


class Gate:
    """Lets a caller in, or says why not."""

    def __init__(self, verifier: TokenVerifier, limits: Limits, body_bytes_max: int) -> None:
        self._verifier = verifier
        self._limits = limits
        self.body_bytes_max = body_bytes_max

    async def admit(self, request: Request, guarded: Guarded) -> Actor:
        """Raises Unauthenticated, NotAllowed, TooManyRequests or IssuerUnavailable."""
        caller = await self.identify(request)
        record_of(request).caller = caller
        await self._limits.count(caller, sensitive=guarded.sensitive)
        require_role(caller, guarded.action)
        return caller

    async def identify(self, request: Request) -> Actor:
        try:
            return await self._verifier.caller(first_header(request.scope, b"authorization"))
        except (Unauthenticated, NotAllowed):
            address = request.client.host if request.client else "unknown"
            await self._limits.count_address(address)
            raise


def gate_of(request: Request) -> Gate:
    return cast(Gate, request.app.state.gate)


class GuardedRoute(APIRoute):
    """Looks its line up in ``access.ROUTES`` when it is made: no line, no start."""

    _method: str
    _guarded: Guarded
    _arguments: Arguments

    # FastAPI's own signature, whose Any cannot have a name.
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's documented place for a handler of one's own: 0233."""
        self._method = next(iter(self.methods or ()))
        self._guarded = ROUTES[self._method, self.path]
        self._arguments = Arguments(self.endpoint)
        return self._handle

    async def _handle(self, request: Request) -> Response:
        return await self.answer(StrictRequest(request.scope, request.receive))

    async def answer(self, request: StrictRequest) -> Response:
        """The endpoint's answer, or the problem that stands for an error of the tree."""
        try:
            gate = gate_of(request)
            await gate.admit(request, self._guarded)
            if self._method != "GET":
                await request.load(gate.body_bytes_max)
            said = await self.endpoint(**await self._arguments.of(request))
        except problems.TOLD as error:
            return await problems.told(request, error)
        match said:
            case Response():
                return said
            case View():
                return json_response(said, self.status_code or 200)
            case _:
                raise TypeError(f"{self.name} answered neither a view nor a response.")
