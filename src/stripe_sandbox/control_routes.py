"""The routes of the control API: how a control request finds its action."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from stripe_sandbox.clock import SandboxClock
from stripe_sandbox.collection import Collection
from stripe_sandbox.errors import invalid, missing_object
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import Record
from stripe_sandbox.world import World

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Order:
    """One control request: whom it goes to, the ids in its path, its query and its body."""

    world: World
    clock: SandboxClock
    run_due: Callable[[], None]
    """Lets everything happen that time has brought."""
    ids: tuple[str, ...]
    query: dict[str, str]
    body: bytes

    def read(self, struct: type[S]) -> S:
        """The JSON body as `struct`. Raises StripeError (400) with the field that is wrong."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=struct)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(f"Bad control request: {error}") from None


Action = Callable[[Order], JsonObject]

ACTIONS: list[tuple[str, str, re.Pattern[str], Action]] = []
"""Method, path template, its pattern and what it does."""


def action(method: str, template: str) -> Callable[[Action], Action]:
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", template))

    def declare(function: Action) -> Action:
        ACTIONS.append((method, template, pattern, function))
        return function

    return declare


def find(collection: Collection[R], record_id: str) -> R:
    """Raises StripeError (404) where there is none."""
    record = collection.get(record_id)
    if record is None:
        raise missing_object(collection.kind.replace("_", " "), record_id, "id", in_path=True)
    return record
