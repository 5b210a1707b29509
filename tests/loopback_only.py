"""Keeps the tests on this machine: a connection or a name look-up that would leave it is refused.

It watches Python's own socket calls, by the interpreter's audit events, so nothing is patched.
A uvloop loop and a child process open their sockets elsewhere and are not seen.
"""

import socket
import sys
from ipaddress import ip_address

attempts: list[str] = []
"""What was refused since the list was last cleared; code under test may swallow the error."""


class OutsideConnectionRefused(RuntimeError):
    """A test tried to leave the machine. No OSError, lest a retry take it for a bad network."""


def install() -> None:
    """Watch from now on; an audit hook stays for the life of the process."""
    sys.addaudithook(_watch)


def is_loopback(host: object) -> bool:
    """Whether connecting to the host stays on this machine."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode()
    if host is None or host in ("", "localhost"):
        return True
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _watch(event: str, args: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    match event, args:
        case "socket.getaddrinfo", (host, *_):
            pass
        case (
            "socket.connect" | "socket.sendto" | "socket.sendmsg",
            (socket.socket(family=socket.AF_INET | socket.AF_INET6), (host, *_)),
        ):
            pass
        case _:
            return
    if not is_loopback(host):
        attempts.append(f"{event} {host}")
        raise OutsideConnectionRefused(f"tests stay on this machine, but {event} went to {host}")
