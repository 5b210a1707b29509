"""What the API's documents have in common: camelCase, strict types, bounded values (M28)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from roadcall_payments.journal import instant


class RequestBody(BaseModel):
    """What a caller sends. Unknown fields, and numbers that are not integers, are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class View(BaseModel):
    """What we answer. Fields may be added in later versions: clients ignore what they lack."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )


def json_response(
    view: View, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``view`` as the answer of its own."""
    return Response(
        view.model_dump_json(by_alias=True), status, headers, media_type="application/json"
    )


# FastAPI drops every null from a document, also where an example means it.
_NULL: Final = "\N{SYMBOL FOR NULL}"


def nulls_kept(example: JsonValue) -> JsonValue:
    """The example with its nulls disguised until ``nulls_restored``."""
    match example:
        case None:
            return _NULL
        case dict():
            return {name: nulls_kept(value) for name, value in example.items()}
        case list():
            return [nulls_kept(value) for value in example]
        case _:
            return example


def nulls_restored(document: JsonValue) -> JsonValue:
    match document:
        case str() if document == _NULL:
            return None
        case dict():
            return {name: nulls_restored(value) for name, value in document.items()}
        case list():
            return [nulls_restored(value) for value in document]
        case _:
            return document


def with_example(example: JsonValue) -> ConfigDict:
    """The model's example in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [nulls_kept(example)]})


Instant = Annotated[
    datetime,
    PlainSerializer(instant, return_type=str),
    Field(json_schema_extra={"format": "date-time", "description": "RFC 3339, UTC."}),
]

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
Id = Annotated[
    str,
    Field(
        pattern=ID_PATTERN,
        description="1 to 128 letters, digits, dots, dashes, colons or underscores.",
    ),
]
Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
        description="Up to 500 characters; line breaks, but no other control characters.",
    ),
]
Note = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2_000,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
        description="Up to 2000 characters; line breaks, but no other control characters.",
    ),
]
AmountCents = Annotated[
    int, Field(ge=1, le=99_999_999_999, description="Minor units of the currency.")
]
Currency = Annotated[
    str, Field(pattern=r"^[a-z]{3}$", description="ISO 4217, lower case.", examples=["usd"])
]
ConnectedAccountId = Annotated[
    str,
    Field(
        pattern=r"^acct_[A-Za-z0-9]{1,64}$",
        description="A Stripe connected account.",
        examples=["acct_1A2b3C4d5E6f7G8h"],
    ),
]
PayerTypeName = Literal["driver_ic", "back_office"]
StatusName = Literal[
    "pending_approval", "approved", "processing", "completed", "failed", "cancelled", "rejected"
]
Limit = Annotated[int, Field(ge=1, le=100, description="Entries a page.")]
Cursor = Annotated[
    str, Field(min_length=1, max_length=500, description="`nextCursor` of the page before.")
]

# One payment for all examples, so that the document tells one story.
PAYMENT_ID = "01938f6e-7d2a-7c31-9a55-0d6b3f2e8c11"
REFUND_ID = "01938f72-1b40-7d02-8c3e-5a1f9b6d4e21"
EXAMPLE_AT = "2026-11-22T20:18:12.000000Z"
