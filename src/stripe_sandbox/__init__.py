"""A stateful, offline Stripe with Connect.

`Sandbox` is the whole of Stripe without sockets, threads or a wall clock; `python -m
stripe_sandbox` puts it behind HTTP on the loopback interface. See docs/sandbox.md.
"""

from stripe_sandbox.clock import SandboxClock
from stripe_sandbox.config import SandboxConfig
from stripe_sandbox.messages import Answer, Manner, Request, Response
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.storage import MemoryStorage, SqliteStorage

__all__ = [
    "Answer",
    "Manner",
    "MemoryStorage",
    "Request",
    "Response",
    "Sandbox",
    "SandboxClock",
    "SandboxConfig",
    "SqliteStorage",
]
