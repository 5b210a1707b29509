"""Holds every answer against the OpenAPI document: its status is documented, its body fits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

# What any server answers where nothing was asked that the document names.
_UNDOCUMENTED = {404: "unknown_address", 405: "method_not_allowed"}

Json = Any


@dataclass(slots=True)
class Contract:
    document: dict[str, Json]
    _validators: dict[str, Any] = field(default_factory=dict)

    def check(self, method: str, path: str, status: int, media_type: str, body: Json) -> None:
        """Fails, saying where, when the answer is not what the document promises."""
        operation = self._operation(method, path.partition("?")[0])
        if operation is None and body is None:
            return  # the documentation itself
        if operation is None:
            assert body["code"] == _UNDOCUMENTED.get(status) or status == 400, (method, path, body)
            return
        documented = operation["responses"].get(str(status))
        assert documented is not None, f"{method} {path} answers {status}: not documented ({body})"
        content = documented.get("content", {})
        assert media_type in content, f"{method} {path} answers {media_type}, not {list(content)}"
        if body is not None:
            self.validate(content[media_type]["schema"], body)

    def validate(self, schema: dict[str, Json], value: Json) -> None:
        key = repr(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                {**schema, "components": self.document["components"]}, validate_formats=True
            )
        self._validators[key].validate(value)

    def _operation(self, method: str, path: str) -> dict[str, Json] | None:
        fitting = [
            (template.count("{"), operations)
            for template, operations in self.document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        if not fitting:
            return None
        found: dict[str, Json] | None = min(fitting, key=lambda one: one[0])[1].get(method.lower())
        return found
