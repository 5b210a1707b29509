"""Which guarded call has an address: one look a segment, however many calls there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from roadcall_payments.api.guarded_route import GuardedRoute


class Found(msgspec.Struct, frozen=True):
    route: GuardedRoute
    path_params: dict[str, str]


class AddressBook:
    """Told apart by plain words first, then by parameters; what it does not find, others may."""

    def __init__(self, routes: Iterable[GuardedRoute]) -> None:
        self._root = _Segment()
        for route in routes:
            place = self._root
            for word in _words(route.path):
                if word.startswith("{"):
                    place.parameter = place = place.parameter or _Segment()
                else:
                    place = place.words.setdefault(word, _Segment())
            names = [word[1:-1] for word in _words(route.path) if word.startswith("{")]
            place.routes |= dict.fromkeys(route.methods or (), (route, names))

    def find(self, method: str, path: str) -> Found | None:
        place, values = self._root, []
        for word in _words(path):
            plain = place.words.get(word)
            if plain is not None:
                place = plain
            elif place.parameter is not None and word:
                place = place.parameter
                values.append(word)
            else:
                return None
        if method not in place.routes:
            return None
        route, names = place.routes[method]
        return Found(route, dict(zip(names, values, strict=True)))


@dataclass(slots=True)
class _Segment:
    words: dict[str, _Segment] = field(default_factory=dict)
    parameter: _Segment | None = None
    routes: dict[str, tuple[GuardedRoute, list[str]]] = field(default_factory=dict)


def _words(path: str) -> list[str]:
    return path.split("/")
