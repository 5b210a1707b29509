"""Rules on a file's own text: size, names, money, clocks, excepts and silenced checks."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.architecture.source import Source, Violation, called_name

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

_VAGUE_WORDS = {"util", "utils", "common", "manager", "managers", "helper", "helpers", "misc"}
_NO_FLOATS = {"domain", "ledger"}
_NO_CLOCK = {"domain", "ledger", "journal", "checkpoint", "commit"}
_CLOCK_READS = {"now", "utcnow", "today"}
_RANDOM_IDS = {"uuid1", "uuid4", "uuid6", "uuid7"}

_SILENCER = re.compile(r"#\s*(type:\s*ignore|noqa)(\s*\[[^\]]+\]|:\s*[A-Z]+[0-9]+[A-Z0-9, ]*)?")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def check_size(source: Source) -> Iterator[Violation]:
    """Files of at most 400 lines, functions of at most 70."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield Violation(
            source.path,
            FILE_LINES_MAX + 1,
            "file length",
            f"{lines} lines; at most {FILE_LINES_MAX}",
            "Split it by what its parts are about, or add it to LONG_FILES with a reason.",
        )
    for name, node in source.functions:
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES_MAX:
            yield Violation(
                source.path,
                node.lineno,
                "function length",
                f"{name} has {length} lines; at most {FUNCTION_LINES_MAX}",
                "Give a step of it a name, or add it to LONG_FUNCTIONS with a reason.",
                function=name,
            )


def check_names(source: Source) -> Iterator[Violation]:
    """No name that could hold anything."""
    names = [(1, part) for part in PurePosixPath(source.path).with_suffix("").parts]
    for node in source.nodes:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                names.append((node.lineno, name))
    for line, name in names:
        if _VAGUE_WORDS & {word.lower() for word in _WORD.findall(name)}:
            yield Violation(
                source.path,
                line,
                "vague name",
                f"{name} could hold anything",
                "Name it for what it does, in the field's own words.",
            )


def check_floats(source: Source) -> Iterator[Violation]:
    """No float near money: not called, not written, not annotated."""
    if source.package != "roadcall_payments" or source.unit not in _NO_FLOATS:
        return
    for node in source.nodes:
        match node:
            case ast.Name(id="float"):
                problem = "float is named"
            case ast.Constant(value=float() | complex()):
                problem = f"the literal {node.value!r} is a float"
            case _:
                continue
        yield Violation(
            source.path,
            node.lineno,
            "no floats",
            problem,
            "Use integers in minor units, or in whole percent or basis points.",
        )


def check_clock_and_randomness(source: Source) -> Iterator[Violation]:
    """Time and ids come in as arguments, so that a decision can be repeated."""
    if source.package != "roadcall_payments" or source.unit not in _NO_CLOCK:
        return
    for node in source.nodes:
        match node:
            case ast.Call() if called_name(node) in _CLOCK_READS | _RANDOM_IDS:
                name = called_name(node)
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=attribute) if (
                attribute in _CLOCK_READS
            ):
                name = attribute
            case _:
                continue
        yield Violation(
            source.path,
            node.lineno,
            "no clock",
            f"{source.unit} calls {name}",
            "Take the time or the id as an argument.",
        )


def check_broad_excepts(source: Source) -> Iterator[Violation]:
    """Every failure is classified; a blind except stands at a process's outermost edge only."""
    if not source.is_product:
        return
    for node in source.nodes:
        match node:
            case ast.ExceptHandler(type=caught) if caught is None or _is_broad(caught):
                pass
            case ast.Call(args=caught_types) if called_name(node) == "suppress" and any(
                map(_is_broad, caught_types)
            ):
                pass
            case _:
                continue
        function = source.function_at(node.lineno)
        yield Violation(
            source.path,
            node.lineno,
            "broad except",
            f"{function or 'the module'} catches everything",
            "Name the errors it means; at a process's outermost edge or around one item of a "
            "worker's batch, record the failure and add it to BROAD_EXCEPTS with a reason.",
            function=function,
        )


def check_silenced_checks(source: Source) -> Iterator[Violation]:
    """A silenced type or lint check names its code and its reason."""
    if not _SILENCER.search(source.text):
        return
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT:
            continue
        found = list(_SILENCER.finditer(token.string))
        if not found:
            continue
        reason = _SILENCER.sub("", token.string)
        if any(not match[2] for match in found):
            problem = f"`{found[0][1]}` names no code"
        elif len(re.findall(r"[^\W\d_]{2,}", reason)) < 2:
            problem = f"`{found[0][1]}` gives no reason"
        else:
            continue
        yield Violation(
            source.path,
            token.start[0],
            "silenced check",
            problem,
            "Write the code and the reason: `# noqa: E501  # the address must stay whole`.",
        )


def _is_broad(caught: ast.expr) -> bool:
    match caught:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"Exception", "BaseException"}
        case ast.Tuple(elts=parts):
            return any(map(_is_broad, parts))
    return False
