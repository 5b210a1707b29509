"""Ports for tests' servers, chosen before the server binds them and kept over its restarts."""

from __future__ import annotations

import secrets
import socket

# Below what Linux and macOS give to outgoing connections: one of those, anybody's, cannot take
# the port between the choice and the server's start, nor while a killed server is away.
_PORTS = range(15_000, 30_000)
_given: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody has, and that this process is not told of twice."""
    while True:
        # Not the seeded generator: processes that test side by side would draw the same.
        port = secrets.choice(_PORTS)
        if port not in _given and _nobody_has(port):
            _given.add(port)
            return port


def _nobody_has(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
