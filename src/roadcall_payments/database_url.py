"""`DATABASE_URL`: which database it names, and what of it may be shown.

`postgresql://user:password@host:5432/database?sslmode=verify-full` (several hosts for fail-over:
`host1:5432,host2:5432`), or `sqlite:///relative/path` and `sqlite:////absolute/path`. The words
of an error never repeat the address: it may hold a password.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

POSTGRES_SCHEMES = ("postgresql", "postgres")

_PLACE = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?"
_AUTHORITY = re.compile(
    rf"(?:[^:@]*(?::[^@]*)?@)?(?P<places>{_PLACE}(?:,{_PLACE})*)?", re.ASCII | re.DOTALL
)
_ENCODE = "write special characters of user and password percent-encoded (@ is %40, / is %2F)"


def check_database_url(url: str) -> None:
    """Raises ValueError, without the address, for one that names no database of ours."""
    if url.startswith("sqlite:"):
        sqlite_file(url)
        return
    place_of(url)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite address; None for one of PostgreSQL's. Raises ValueError."""
    if not url.startswith("sqlite:"):
        return None
    path = unquote(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path or "?" in path or path == ":memory:":
        raise ValueError("write a file of SQLite's as sqlite:///var/roadcall.sqlite")
    return Path(path)


def place_of(url: str) -> str:
    """``database at host:port``: a PostgreSQL address without user and password.

    Raises ValueError.
    """
    parts = urlsplit(url)
    if parts.scheme not in POSTGRES_SCHEMES:
        raise ValueError("begins with postgresql:// or sqlite:///")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None or parts.fragment or "@" in parts.path:
        raise ValueError(f"is no address of a database; {_ENCODE}")
    options = parse_qs(parts.query)
    named = [unquote(parts.path.removeprefix("/")), *options.get("dbname", ())]
    database = next(filter(None, named), None)
    if database is None:
        raise ValueError("names no database: postgresql://user:password@host:5432/database")
    places = authority["places"] or ",".join(options.get("host", ["localhost"]))
    return f"{database} at {places}"
