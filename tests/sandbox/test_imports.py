"""The sandbox stands by itself, and its files import each other in one direction."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import stripe_sandbox

PACKAGE = Path(stripe_sandbox.__file__).parent


def imports() -> dict[str, set[str]]:
    """By module of the sandbox, every module that it imports, for types alone too."""
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                found[module] |= (named & modules.keys()) or {node.module}
    return found


def test_no_import_circle() -> None:
    """Raises CycleError with the circle."""
    TopologicalSorter(imports()).prepare()


def test_no_code_is_shared_with_the_service() -> None:
    for module, imported in imports().items():
        assert not [name for name in imported if name.startswith("roadcall_payments")], module
