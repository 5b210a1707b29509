"""The guard itself: it refuses what leaves the machine and nothing else."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests import loopback_only
from tests.loopback_only import OutsideConnectionRefused

ELSEWHERE = "192.0.2.1"  # RFC 5737 keeps it free for documentation


@pytest.fixture
def refused() -> Iterator[list[str]]:
    """The attempts so far; cleared afterwards, for here they are wanted."""
    yield loopback_only.attempts
    loopback_only.attempts.clear()


def test_connecting_elsewhere_is_refused_and_remembered(refused: list[str]) -> None:
    with socket.socket() as stream, pytest.raises(OutsideConnectionRefused):
        stream.connect((ELSEWHERE, 80))
    assert refused == [f"socket.connect {ELSEWHERE}"]


def test_looking_a_name_up_is_refused(refused: list[str]) -> None:
    with pytest.raises(OutsideConnectionRefused):
        socket.getaddrinfo("api.stripe.example", 443)
    assert refused


def test_a_datagram_elsewhere_is_refused(refused: list[str]) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        pytest.raises(OutsideConnectionRefused),
    ):
        datagrams.sendto(b"x", (ELSEWHERE, 53))
    assert refused


async def test_asyncio_is_refused_elsewhere_too(refused: list[str]) -> None:
    with pytest.raises(OutsideConnectionRefused):
        await asyncio.open_connection(ELSEWHERE, 80)
    assert refused


async def test_loopback_and_unix_sockets_are_free() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"
    assert loopback_only.attempts == []


@pytest.mark.parametrize("host", [None, "", "localhost", "127.0.0.9", b"::1", "::ffff:127.0.0.1"])
def test_what_stays_here(host: object) -> None:
    assert loopback_only.is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "fe80::1%eth0", "localhost.example", "::ffff:8.8.8.8"]
)
def test_what_does_not(host: object) -> None:
    assert not loopback_only.is_loopback(host)
