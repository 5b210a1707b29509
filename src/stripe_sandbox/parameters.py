"""The parameters of each route: what Stripe knows, what of it is modelled, and of which type.

The table is `tables/parameters.txt`. A route's line is followed by one line a parameter:

    POST /v1/transfers
      amount integer
      currency string required
      metadata map empty
      ~source_type

`~` marks what Stripe knows and the sandbox does not model (501); what is not in the table is
unknown to Stripe too (400). `empty` allows an empty string, which unsets; `text` allows a
token in an object's place. A dotted name is a
field of an object, `[]` an element of an array.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

from stripe_sandbox.errors import RequestRefused, missing_parameter, not_modelled, refused
from stripe_sandbox.forms import Form, FormValue
from stripe_sandbox.json_types import JsonObject, JsonValue

T = TypeVar("T", bound=msgspec.Struct)

METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500


@dataclass(slots=True)
class Parameter:
    """One known parameter. `kind`: string, integer, boolean, number, map, object, array, range."""

    kind: str = "object"
    required: bool = False
    clearable: bool = False
    modelled: bool = True
    textual: bool = False
    """An object that may be a token's text instead."""
    choices: tuple[str, ...] = ()
    fields: dict[str, "Parameter"] = field(default_factory=dict)
    """An object's fields; an array's element under `[]`."""
    required_fields: tuple[str, ...] = ()


class Params:
    """A request's parameters, checked and typed. An unset parameter reads as None."""

    def __init__(self, values: JsonObject) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) and value else None

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def required_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def flag(self, name: str) -> bool | None:
        value = self.values.get(name)
        return value if isinstance(value, bool) else None

    def object(self, name: str) -> "Params":
        """The nested parameters, empty where none were sent."""
        value = self.values.get(name)
        return Params(dict(value)) if isinstance(value, Mapping) else Params({})

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name)
        if not isinstance(value, list):
            return []
        return [element for element in value if isinstance(element, str)]

    def string_map(self, name: str) -> dict[str, str]:
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            return {}
        return {key: text for key, text in value.items() if isinstance(text, str)}

    def struct(self, name: str, struct_type: type[T], current: T | None = None) -> T | None:
        """The nested parameters as `struct_type`, over `current`; "" unsets it."""
        if name not in self.values:
            return current
        value = self.values[name]
        if not isinstance(value, Mapping):
            return None
        filled = {key: inner if inner != "" else None for key, inner in value.items()}
        return msgspec.convert(filled, struct_type)


def merge_metadata(current: dict[str, str], params: Params) -> dict[str, str]:
    """Stripe's rule: what is sent is set, an empty value deletes, an empty `metadata` deletes all.

    Raises RequestRefused past 50 keys, 40 characters a key, 500 a value.
    """
    if "metadata" not in params:
        return current
    if params.values["metadata"] == "":
        return {}
    sent = params.string_map("metadata")
    merged = {key: value for key, value in {**current, **sent}.items() if value != ""}
    if len(merged) > METADATA_KEYS_MAX:
        raise refused(
            f"Metadata can have up to {METADATA_KEYS_MAX} keys, but you passed {len(merged)}.",
            param="metadata",
        )
    for key, value in sent.items():
        if len(key) > METADATA_KEY_LENGTH_MAX:
            raise refused(
                f"Metadata keys can have up to {METADATA_KEY_LENGTH_MAX} characters, "
                f"but you passed in a key that is {len(key)} characters.",
                param="metadata",
            )
        if len(value) > METADATA_VALUE_LENGTH_MAX:
            raise refused(
                f"Metadata values can have up to {METADATA_VALUE_LENGTH_MAX} characters, "
                f"but you passed in a value that is {len(value)} characters.",
                param=f"metadata[{key}]",
            )
    return merged


@cache
def parameter_table() -> dict[str, Parameter]:
    """By `METHOD path`, the parameters of every modelled route."""
    table: dict[str, Parameter] = {}
    route = Parameter()
    text = files("stripe_sandbox").joinpath("tables/parameters.txt").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith(" "):
            route = table.setdefault(line, Parameter())
            continue
        name, *traits = line.split()
        modelled = not name.startswith("~")
        place = route
        *parents, last = name.removeprefix("~").replace("[]", ".[]").split(".")
        for parent in parents:
            place = place.fields[parent]
        parameter = place.fields[last] = _parse_traits(traits, modelled)
        if parameter.required:
            place.required_fields += (last,)
    return table


def _parse_traits(traits: list[str], modelled: bool) -> Parameter:
    parameter = Parameter(modelled=modelled)
    for trait in traits:
        if trait == "required":
            parameter.required = True
        elif trait == "empty":
            parameter.clearable = True
        elif trait == "text":
            parameter.textual = True
        elif trait.startswith("enum:"):
            parameter.kind = "string"
            parameter.choices = tuple(trait.removeprefix("enum:").split("|"))
        else:
            parameter.kind = trait
    return parameter


def check_parameters(route: str, form: Form) -> Params:
    """The form's values in their types. Raises RequestRefused as Stripe would, or with 501."""
    return Params(_check_fields(parameter_table()[route], form, ""))


def _check_fields(parameter: Parameter, form: Form, prefix: str) -> JsonObject:
    fields = parameter.fields
    if not form.keys() <= fields.keys():
        unknown = [_nested(prefix, name) for name in form if name not in fields]
        plural = "s" if len(unknown) > 1 else ""
        raise refused(
            f"Received unknown parameter{plural}: {', '.join(unknown)}",
            code="parameter_unknown",
            param=unknown[0],
        )
    values: JsonObject = {}
    for name, sent in form.items():
        known = fields[name]
        full_name = _nested(prefix, name) if prefix else name
        if not known.modelled:
            raise not_modelled(f"the parameter {full_name}")
        values[name] = _check_value(known, sent, full_name)
    for name in parameter.required_fields:
        if name not in form:
            raise missing_parameter(_nested(prefix, name))
    return values


def _check_value(known: Parameter, sent: FormValue, name: str) -> JsonValue:
    if sent == "":
        if known.clearable:
            return ""
        raise refused(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{name}' cannot be unset. You should remove '{name}' "
            "from your request or supply a non-empty value.",
            code="parameter_invalid_empty",
            param=name,
        )
    if isinstance(sent, str):
        return _check_text(known, sent, name)
    if known.kind == "object" or known.kind == "range":
        return _check_fields(known, sent, name)
    if known.kind == "map":
        return {key: _map_text(value, f"{name}[{key}]") for key, value in sent.items()}
    if known.kind == "array":
        element = known.fields["[]"]
        return [
            _check_value(element, value, f"{name}[{index}]")
            for index, value in enumerate(sent.values())
        ]
    raise refused(f"Invalid {known.kind}: {name} is not an object.", param=name)


def _map_text(value: FormValue, name: str) -> str:
    if isinstance(value, str):
        return value
    raise refused(f"Invalid value for {name}: it must be a string.", param=name)


def _check_text(known: Parameter, sent: str, name: str) -> JsonValue:
    kind = known.kind
    if kind == "string":
        if known.choices and sent not in known.choices:
            raise _invalid_choice(known, name)
        return sent
    if kind == "integer" or kind == "range":
        return _integer(sent, name)
    if kind == "boolean":
        if sent not in ("true", "false"):
            raise refused(f"Invalid boolean: {sent}", param=name)
        return sent == "true"
    if kind == "array":
        raise refused("Invalid array", param=name)
    if known.textual:
        return sent
    raise refused("Invalid object", param=name)


def _integer(sent: str, name: str) -> int:
    digits = sent.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise refused(f"Invalid integer: {sent}", code="parameter_invalid_integer", param=name)
    return int(sent)


def _invalid_choice(known: Parameter, name: str) -> RequestRefused:
    *others, last = known.choices
    choices = ", ".join(others) + f", or {last}" if others else last
    return refused(f"Invalid {name}: must be one of {choices}", param=name)


def _nested(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name
