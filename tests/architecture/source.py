"""A source file as the rules see it, and what a rule says of it."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

OUR_PACKAGES = ("roadcall_payments", "stripe_sandbox")


@dataclass(frozen=True, order=True)
class Violation:
    """One breach: where, what, and how to mend it."""

    path: str
    line: int
    rule: str
    problem: str
    mend: str
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.problem}. {self.mend}"


@dataclass(frozen=True)
class Import:
    """An imported dotted name: `from a.b import c` is `a.b.c`, for c may be a module."""

    name: str
    line: int

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """One file: its path from the repository's root with forward slashes, and its text."""

    path: str
    text: str

    @classmethod
    def read(cls, root: Path, file: Path) -> "Source":
        return cls(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """The whole tree, walked once for all rules."""
        return list(ast.walk(self.tree))

    @property
    def is_product(self) -> bool:
        """In src/, not in tests/."""
        return self.path.startswith("src/")

    @property
    def module(self) -> tuple[str, ...]:
        """`src/a/b.py` is (a, b); a package's `__init__` is the package."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        parts = parts[1:] if self.is_product else parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def package(self) -> str:
        return self.module[0]

    @property
    def unit(self) -> str:
        """The room of the design's tree: (roadcall_payments, domain, money) is in `domain`."""
        return self.module[1] if len(self.module) > 1 else "__init__"

    def imports(self) -> Iterator[Import]:
        for node in self.nodes:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        yield Import(alias.name, node.lineno)
                case ast.ImportFrom(names=names):
                    base = self._absolute(node)
                    for alias in names:
                        yield Import(f"{base}.{alias.name}", node.lineno)
                case ast.Call(args=[ast.Constant(value=str(name)), *_]) if called_name(node) in {
                    "import_module",
                    "__import__",
                }:
                    yield Import(name, node.lineno)

    @cached_property
    def functions(self) -> Sequence[tuple[str, AnyFunction]]:
        """Every function with its qualified name (`Class.method`, `outer.inner`)."""
        return list(_functions_in(self.tree, ""))

    def function_at(self, line: int) -> str:
        """The qualified name of the innermost function around the line; "" at module level."""
        around = [
            (node.lineno, name)
            for name, node in self.functions
            if node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        return max(around)[1] if around else ""

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.path.endswith("/__init__.py")
        up = node.level - 1 if is_package else node.level
        base = self.module[: len(self.module) - up]
        return ".".join([*base, *([node.module] if node.module else [])])


def called_name(call: ast.Call) -> str:
    """The last name of what is called: `contextlib.suppress(...)` is `suppress`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _functions_in(node: ast.AST, outer: str) -> Iterator[tuple[str, AnyFunction]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield outer + name, child
                yield from _functions_in(child, f"{outer}{name}.")
            case ast.ClassDef(name=name):
                yield from _functions_in(child, f"{outer}{name}.")
            case _:
                yield from _functions_in(child, outer)
