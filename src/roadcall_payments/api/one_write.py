"""An answer's head and body leave in one piece.

uvicorn hands them to the connection one after the other, and uvloop writes each at once: two
system calls, two segments, and a reader that is woken twice (decision 0222).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Octets = bytes | bytearray | memoryview


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's own, but what is written in one turn of the event loop is written once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own too
        super().connection_made(GatheringTransport(transport, self.loop))


class GatheringTransport(asyncio.Transport):
    """What uvicorn asks of a transport."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._gathered: list[Octets] = []

    def write(self, data: Octets) -> None:
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def writelines(self, list_of_data: Iterable[Octets]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        # Of a connection that was lost meanwhile nobody reads.
        if gathered and not self._transport.is_closing():
            self._transport.write(b"".join(gathered))
