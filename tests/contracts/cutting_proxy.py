"""Between a store and its PostgreSQL: a line that can be cut just before an answer arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

_SOCKET = ".s.PGSQL.5432"


class CuttingProxy:
    """``url`` leads through it to the server's own socket.

    ``cut_answers``: so many times more the server's next answer to a statement that contains
    ``to`` is thrown away, and the line with it, once the server has given it. ``loses_question``:
    the next such statement does not even reach the server, and its line is closed; what is sent
    after that is ``asked``, and number ``at`` of it waits until ``then`` is done. ``refuses``: new
    lines are closed at once. ``frozen``: nothing gets through and nothing is closed, as when a
    network swallows what is sent.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._target = Path(url.partition("?host=")[2]) / _SOCKET
        self.url = url.partition("?host=")[0] + f"?host={folder}"
        self.cut_answers = 0
        self.to = b""
        self.loses_question = False
        self.asked: int | None = None
        self.at = 0
        self.then: Callable[[], Awaitable[None]] | None = None
        self.refuses = False
        self.frozen = False
        self.refuses_after_cut = False
        self._lines: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> CuttingProxy:
        path = str(self._folder / _SOCKET)
        self._server = await asyncio.start_unix_server(self._carry, path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        if self.refuses:
            back.close()
            return
        far, onward = await asyncio.open_unix_connection(str(self._target))
        armed = asyncio.Event()

        async def asks() -> None:
            while data := await near.read(65_536):
                if self.loses_question and self.to in data:
                    self.loses_question, self.asked = False, 0
                    return
                await self._before()
                if self.cut_answers and self.to in data:
                    armed.set()
                if not self.frozen:
                    onward.write(data)
                    await onward.drain()

        async def answers() -> None:
            while data := await far.read(65_536):
                if armed.is_set() and self.cut_answers:
                    self.cut_answers -= 1
                    self.refuses = self.refuses_after_cut
                    return
                back.write(data)
                await back.drain()

        both = [asyncio.create_task(asks()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in both:
                half.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for writer in (back, onward):
                writer.close()

    async def _before(self) -> None:
        if self.asked is None:
            return
        self.asked += 1
        if self.asked == self.at and self.then is not None:
            await self.then()


@contextlib.asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[CuttingProxy]:
    with TemporaryDirectory(prefix="roadcall-proxy-") as folder:
        async with CuttingProxy(Path(folder), url) as proxy:
            yield proxy
