"""Which request goes to which code. Each resource declares its routes with `@route`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from stripe_sandbox.errors import not_modelled, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.parameters import Params
from stripe_sandbox.world import World


@dataclass(slots=True)
class Call:
    """One request on its way into a resource. `account` is the one that acts."""

    world: World
    account: str
    params: Params
    path_ids: tuple[str, ...]
    path: str
    publishable: bool = False
    """Made with a publishable key: it sees what the client secret opens."""


Action = Callable[[Call], JsonObject]


@dataclass(frozen=True, slots=True)
class Route:
    """`modelled` names the parameters that the action honours, for the parameter table."""

    method: str
    template: str
    action: Action
    modelled: frozenset[str]
    publishable: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


ROUTES: dict[str, Route] = {}
"""Every modelled route by name, filled as the resources are imported."""


def route(
    method: str, template: str, *, models: str = "", publishable: bool = False
) -> Callable[[Action], Action]:
    """Declare the decorated function as the action of `METHOD template`.

    `models` lists parameters, by dotted names. `expand` always is.
    """

    def declare(action: Action) -> Action:
        found = Route(method, template, action, frozenset(models.split()) | {"expand"}, publishable)
        ROUTES[found.name] = found
        return action

    return declare


class Router:
    """Finds routes by path. Built once, after all resources are imported."""

    def __init__(self) -> None:
        self._exact: dict[str, Route] = {}
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for found in ROUTES.values():
            if "{" not in found.template:
                self._exact[found.name] = found
                continue
            parts = found.template.split("/")
            self._by_shape.setdefault((found.method, len(parts)), []).append((parts, found))

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        """The route and the ids in the path. Raises RequestRefused: 404 unknown, 501 unmodelled."""
        exact = self._exact.get(f"{method} {path}")
        if exact is not None:
            return exact, ()
        parts = path.split("/")
        for template, found in self._by_shape.get((method, len(parts)), ()):
            ids = _match(template, parts)
            if ids is not None:
                return found, ids
        known = _known_route(method, parts)
        if known is not None:
            raise not_modelled(f"the route {method} {known}")
        raise refused(
            f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or "
            "we can help at https://support.stripe.com/.",
            status=404,
        )


def _match(template: list[str], parts: list[str]) -> tuple[str, ...] | None:
    ids = []
    for expected, part in zip(template, parts, strict=True):
        if expected.startswith("{"):
            if not part:
                return None
            ids.append(part)
        elif expected != part:
            return None
    return tuple(ids)


@cache
def _known_routes() -> dict[tuple[str, int], list[list[str]]]:
    known: dict[tuple[str, int], list[list[str]]] = {}
    text = files("stripe_sandbox").joinpath("tables/routes.txt").read_text("utf-8")
    for line in text.splitlines():
        method, template = line.split(" ")
        parts = template.split("/")
        known.setdefault((method, len(parts)), []).append(parts)
    return known


def _known_route(method: str, parts: list[str]) -> str | None:
    if parts[1] == "v2":
        return "/".join(parts)
    for template in _known_routes().get((method, len(parts)), ()):
        if _match(template, parts) is not None:
            return "/".join(template)
    return None
