"""The service as several processes on one database: killed at random, started again at once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from tests.chaos.listening_worker import MODULE
from tests.flows.stack import ServerProcess, Stack, call, wait_for
from tests.ports import free_port

STARTS_WITHIN_S = 120.0
# What a killed worker held comes back after it.
LEASE_S = 10

_API = "roadcall_payments.cli.main"
SERVES = ("serve", "--no-worker")


def _answers(api: ServerProcess, path: str = "/health/ready") -> bool:
    with contextlib.suppress(OSError):
        return call("GET", api.url + path, timeout_s=5).status == 200
    return False


@dataclass
class Member:
    """One process of the service: how it is started, and the one that runs now."""

    name: str
    module: str
    words: Sequence[str]
    changed: Mapping[str, str]
    process: ServerProcess
    kills: int = 0

    @property
    def works(self) -> bool:
        return self.module == MODULE

    @property
    def up(self) -> bool:
        """Whether it serves or works by now: one that still imports holds nothing, and killing
        it would prove nothing."""
        if self.works:
            return self.process.log.read_text().count('"working"') > self.kills
        return _answers(self.process, "/health/live")


class Cluster:
    """Two API processes, of which the stack has started one, and two workers, beside the stack's
    sandbox and database."""

    def __init__(self, stack: Stack, random: Random) -> None:
        self._stack = stack
        self._random = random
        self.published = stack.directory / "published.jsonl"
        works = (str(self.published),)
        stack.others.append(stack.service)
        self.members = [
            Member("api-1", _API, SERVES, {}, stack.service),
            self._started("api-2", _API, SERVES, {"ROADCALL_PORT": str(free_port())}),
            self._started("worker-1", MODULE, works, {}),
            self._started("worker-2", MODULE, works, {}),
        ]
        self.wait_whole()

    @property
    def apis(self) -> list[ServerProcess]:
        return [member.process for member in self.members[:2]]

    @property
    def kills(self) -> Mapping[str, int]:
        return {member.name: member.kills for member in self.members}

    def kill_one(self) -> None:
        """kill -9 of a random process that is up, and its next start at once."""
        self._supervise()
        up = [member for member in self.members if member.up]
        if not up:
            return
        member = self._random.choice(up)
        member.process.kill()
        member.kills += 1
        self._start_again(member)

    def wait_whole(self) -> None:
        """Until both APIs answer and both workers live."""
        for member in self.members:
            wait_for(member.name, partial(self._whole, member), STARTS_WITHIN_S)

    def _whole(self, member: Member) -> bool:
        self._supervise()
        return member.process.running and (member.works or _answers(member.process))

    def _supervise(self) -> None:
        """What a service's supervisor does: start again what ended because it came up while the
        database was away. Anything else that ends by itself is a fault."""
        for member in self.members:
            if not member.process.running:
                last = member.process.log.read_text()[-2000:]
                assert last.endswith("(store_unavailable)\n"), f"{member.name} ended: {last}"
                self._start_again(member)

    def _start_again(self, member: Member) -> None:
        self._stack.others.remove(member.process)
        member.process = self._started(
            member.name, member.module, member.words, member.changed
        ).process
        if member is self.members[0]:
            self._stack.service = member.process

    def _started(
        self, name: str, module: str, words: Sequence[str], changed: Mapping[str, str]
    ) -> Member:
        process = self._stack.start_beside(name, *words, module=module, **changed)
        return Member(name, module, words, changed, process)
