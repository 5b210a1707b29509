"""What goes into the sandbox and what comes out: HTTP without a socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is without the query; header names are lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Manner(Enum):
    """How an answer reaches its client."""

    SEND = "send"
    DROP = "drop"
    """The connection is closed without a byte."""
    TRUNCATE = "truncate"
    """The head promises the whole body; half of it comes, then the connection is closed."""
    WAIT = "wait"
    """Nothing has happened yet: wait `hold_s`, then call `Sandbox.resume(ticket)`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and how it is to be carried out.

    With a `ticket` and any manner but `WAIT`, the request counts as in flight until
    `Sandbox.release(ticket)` is called, which the carrier does after `hold_s` seconds.
    `deliver_first` names webhook deliveries to carry out before the response is sent.
    """

    response: Response
    manner: Manner = Manner.SEND
    hold_s: float = 0.0
    ticket: str | None = None
    deliver_first: tuple[str, ...] = ()
