"""Taking a TCP port, or saying in words that somebody else has it."""

from __future__ import annotations

import socket

from roadcall_payments.cli.service import Failed

BACKLOG = 2048


def listen(host: str, port: int, remedy: str) -> socket.socket:
    """The bound socket. Raises Failed, which ends with ``remedy``, when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise Failed(f"Cannot listen on {host}:{port}: {error.strerror}. {remedy}") from None
    return bound


def must_be_free(port: int, remedy: str) -> None:
    """Raises Failed when something listens on this loopback port."""
    listen("127.0.0.1", port, remedy).close()


def free_port() -> int:
    """A loopback port that nobody has; it is free again when this returns."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
