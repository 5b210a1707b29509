"""What the documents say is so: links, commands, settings, endpoints, codes, metrics."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

import click
import pytest

from roadcall_payments.api import identity_errors, problems
from roadcall_payments.api.access import RIGHTS, ROUTES
from roadcall_payments.api.webhooks import PATH as WEBHOOK_PATH
from roadcall_payments.cli.main import cli
from roadcall_payments.cli.service import variable
from roadcall_payments.config import Settings
from roadcall_payments.domain import errors
from tests.docs.documents import ROOT, Document, document, documents

DOCUMENTS = documents()
INTEGRATION = document("docs/integration.md")
README = document("README.md")

# Told as an HTTP error of another code, or never to a caller.
NOT_ANSWERED = {"error", "broken_invariant", "list_too_long", "already_taken"}
# Where codes are not answers: what a mail server said, what a notice says.
NOT_PROBLEMS = ("notifications", "notices.py", "cli")


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_links_resolve(one: Document) -> None:
    for link in one.links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = Document((one.path.parent / path).resolve()) if path else one
        assert target.path.exists(), f"{one.name} links to {link}"
        if anchor:
            assert anchor in target.anchors, f"{one.name} links to {link}"


def mentioned_commands(one: Document) -> Iterator[list[str]]:
    """Every `roadcall-payments ...` in code, as words."""
    for code in one.code:
        for part in re.split(r"&&|\|\||;|\$\(|\)", code):
            words = shlex.split(part.replace("'", ""), comments=True)
            names = [word.rpartition("/")[2] for word in words]
            if "roadcall-payments" in names:
                yield words[names.index("roadcall-payments") + 1 :]


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_every_command_mentioned_exists_with_its_options(one: Document) -> None:
    for words in mentioned_commands(one):
        command: click.Command = cli
        for name in takewhile(lambda word: not word.startswith("-"), words):
            if not isinstance(command, click.Group):
                break
            named = command.get_command(click.Context(command), name)
            assert named is not None, f"{one.name}: roadcall-payments {words}"
            command = named
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert used <= known | {"--help", "-h", "--version"}, f"{one.name}: {words}"


def test_the_readme_mentions_every_command() -> None:
    table = " ".join(row[0] for row in README.rows("command"))
    names = set(cli.list_commands(click.Context(cli)))
    assert {name for name in names if f"`{name}" in table} == names


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_every_setting_mentioned_exists(one: Document) -> None:
    known = {variable(name) for name in Settings.model_fields}
    mentioned = set(re.findall(r"\bROADCALL_[A-Z_]+\b", one.text))
    assert mentioned <= known, mentioned - known


def test_every_setting_is_described() -> None:
    text = document("docs/settings.md").text
    missing = [variable(name) for name in Settings.model_fields if variable(name) not in text]
    assert missing == []


def test_the_endpoints_are_the_services_own() -> None:
    rows = {row[0].strip("`"): row[2] for row in INTEGRATION.rows("call")}
    told = {call: who for call, who in rows.items() if not who.startswith("anybody")}
    assert told.pop(f"POST {WEBHOOK_PATH}") == "signed by Stripe"
    guarded = {
        f"{method} {path}": ", ".join(RIGHTS[guard.action])
        for (method, path), guard in ROUTES.items()
    }
    assert told == guarded


def error_classes() -> list[type[errors.RoadcallError]]:
    found: list[type[errors.RoadcallError]] = []
    for module in (errors, identity_errors):
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, errors.RoadcallError) and one not in found:
                found.append(one)
    return found


def special_codes() -> dict[str, int]:
    """Codes that a raise gives in place of its class's own, with the class's HTTP status."""
    classes = {one.__name__: one for one in error_classes()}
    found: dict[str, int] = {}
    for file in (ROOT / "src/roadcall_payments").rglob("*.py"):
        if file.name in NOT_PROBLEMS or file.parent.name in NOT_PROBLEMS:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=given
                ) if name in classes:
                    for keyword in given:
                        match keyword:
                            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                                found[code] = problems.KINDS[classes[name]].status
    return found


def answered_codes() -> dict[str, int]:
    classes = {one.code: one for one in error_classes() if one in problems.KINDS}
    codes = {code: problems.KINDS[one].status for code, one in classes.items()}
    http = {code: status for status, (code, _) in problems._HTTP_CODES.items()}
    codes |= special_codes() | http | {"internal_error": 500}
    return {code: status for code, status in codes.items() if code not in NOT_ANSWERED}


def test_the_error_table_is_the_services_own() -> None:
    rows = INTEGRATION.rows("code")
    assert {row[0].strip("`"): int(row[1]) for row in rows} == answered_codes()
    assert len(rows) == len({row[0] for row in rows})


def test_the_error_table_says_which_errors_may_pass() -> None:
    told = {row[0].strip("`"): row[2] for row in INTEGRATION.rows("code")}
    for one in error_classes():
        if one.code in told:
            transient = issubclass(one, errors.TransientError)
            assert told[one.code] == ("yes" if transient else "no"), one.code


def test_the_layout_names_what_is_there() -> None:
    layout = next(block for block in README.blocks("") if "src/roadcall_payments/" in block)
    parent = ""
    for line in layout.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            parent = name if name.startswith("src/roadcall") else ""
            assert (ROOT / name).exists(), name
        else:
            assert (ROOT / parent / name).exists(), name
