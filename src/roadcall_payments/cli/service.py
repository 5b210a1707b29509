"""How a command gets at the service: settings from the environment, the parts from bootstrap."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from pydantic import ValidationError

from roadcall_payments.bootstrap import Service, open_service
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput, RoadcallError
from roadcall_payments.domain.people import Actor, Role

T = TypeVar("T")


class Failed(click.ClickException):
    """One sentence and what to do, on standard error; exit status 1."""

    def show(self, file: object = None) -> None:
        click.echo(f"Error: {self.message}", err=True)


def read_settings(**changed: object) -> Settings:
    """The environment's settings. Raises Failed naming each variable that is wrong."""
    try:
        return Settings(**changed)  # type: ignore[arg-type] # pydantic judges the values
    except ValidationError as wrong:
        raise Failed("\n".join(_complaints(wrong))) from None


def with_service(use: Callable[[Service], Awaitable[T]], settings: Settings | None = None) -> T:
    """Open the service, use it, close it. Raises Failed for every error that has a name, and where
    there is no database: only the service makes one."""
    chosen = settings or read_settings()
    must_have_database(chosen)

    async def opened() -> T:
        async with open_service(chosen, migrates=False) as service:
            return await use(service)

    try:
        return asyncio.run(opened())
    except RoadcallError as error:
        raise failed(error) from None


def must_have_database(settings: Settings) -> None:
    """Raises Failed where there is none: only the service makes one."""
    # A database that a mistyped directory brought forth would be called clean.
    path = settings.sqlite_path
    elsewhere = settings.postgres_url is not None or settings.table_name is not None
    if not elsewhere and not path.exists():
        raise Failed(
            f"There is no database at {path}: set ROADCALL_DATA_DIR to the service's directory; "
            "at its first start (roadcall-payments serve) the service makes one."
        )


def failed(error: RoadcallError) -> Failed:
    field = f"{error.field}: " if isinstance(error, InvalidInput) else ""
    return Failed(f"{field}{error.message} ({error.code})")


def operator() -> Actor:
    """Who types: the machine's user, with every right; the journal names them."""
    return Actor(f"cli:{getpass.getuser()}", Role.ADMIN)


def variable(field_name: str) -> str:
    """The environment variable of a setting."""
    field = Settings.model_fields[field_name]
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"ROADCALL_{field_name.upper()}"


def _complaints(wrong: ValidationError) -> list[str]:
    lines = []
    for error in wrong.errors():
        name = str(error["loc"][0]) if error["loc"] else ""
        message = error["msg"].removeprefix("Value error, ")
        where = variable(name) if name in Settings.model_fields else name or "Settings"
        lines.append(f"{where}: {message}.")
    return [*lines, "See docs/settings.md, or run: roadcall-payments settings"]
