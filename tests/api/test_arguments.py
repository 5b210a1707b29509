"""Arguments of endpoints: read as FastAPI reads them; what is not known is refused at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import pytest
from fastapi import Body, Cookie, Depends, Form, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.types import Message

from roadcall_payments.api.arguments import Arguments
from roadcall_payments.api.request_body import StrictRequest
from roadcall_payments.api.schemas import RequestBody


class Said(RequestBody):
    some_count: int = Field(ge=1)


class Page(RequestBody):
    limit: int = Field(50, ge=1)


PayerId = Annotated[str, Path(alias="payerId", pattern="^d_[0-9]+$")]
Tag = Annotated[str | None, Header(alias="X-Tag", min_length=2)]


async def tag_of(request: Request, tag: Tag = None) -> str:
    return f"{request.method} {tag}"


TagOf = Annotated[str, Depends(tag_of)]


async def louder(tag: TagOf) -> str:
    return tag.upper()


async def endpoint(
    payer_id: PayerId,
    body: Said,
    tag: Annotated[str, Depends(louder)],
    plain: TagOf,
    month: Annotated[str | None, Query(max_length=3)] = "now",
) -> None: ...


async def asked(
    path_params: dict[str, str], body: bytes = b"", query: str = "", **headers: str
) -> StrictRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    sent = {"content-type": "application/json", **headers}
    request = StrictRequest(
        {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": query.encode(),
            "path_params": path_params,
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()
            ],
        },
        receive,
    )
    await request.load(1_000)
    return request


async def test_an_endpoint_is_given_what_was_sent() -> None:
    request = await asked({"payerId": "d_1"}, b'{"someCount":2}', "month=may", x_tag="ab")
    assert await Arguments(endpoint).of(request) == {
        "payer_id": "d_1",
        "body": Said(someCount=2),
        "tag": "POST AB",
        "plain": "POST ab",
        "month": "may",
    }


async def test_what_is_left_out_is_at_its_default() -> None:
    given = await Arguments(endpoint).of(await asked({"payerId": "d_1"}, b'{"someCount":2}'))
    assert (given["plain"], given["month"]) == ("POST None", "now")


async def test_every_mistake_is_named_where_it_was_made() -> None:
    request = await asked({"payerId": "x"}, b'{"someCount":0,"more":1}', "month=june", x_tag="a")
    with pytest.raises(RequestValidationError) as wrong:
        await Arguments(endpoint).of(request)
    assert [found["loc"] for found in wrong.value.errors()] == [
        ("header", "X-Tag"),
        ("path", "payerId"),
        ("query", "month"),
        ("body", "someCount"),
        ("body", "more"),
    ]


@pytest.mark.parametrize(("body", "message"), [(b"", "Field required"), (b"7", "dictionary")])
async def test_a_body_that_is_needed_is_asked_for(body: bytes, message: str) -> None:
    with pytest.raises(RequestValidationError) as wrong:
        await Arguments(endpoint).of(await asked({"payerId": "d_1"}, body))
    (found,) = wrong.value.errors()
    assert found["loc"] == ("body",)
    assert message in found["msg"]


async def test_a_query_may_be_one_model_that_knows_all_of_it() -> None:
    async def listed(query: Annotated[Page, Query()]) -> None: ...

    read = Arguments(listed)
    assert await read.of(await asked({})) == {"query": Page()}
    with pytest.raises(RequestValidationError) as wrong:
        await read.of(await asked({}, query="limit=0&other=1"))
    assert [found["loc"] for found in wrong.value.errors()] == [
        ("query", "limit"),
        ("query", "other"),
    ]


async def cookie(session: Annotated[str, Cookie()]) -> None: ...
async def form(said: Annotated[Said, Form()]) -> None: ...
async def embedded(said: Annotated[Said, Body(embed=True)]) -> None: ...
async def two_bodies(one: Said, other: Said) -> None: ...
async def unknown(anything: str) -> None: ...
def not_awaited() -> None: ...
async def needs_not_awaited(given: Annotated[None, Depends(not_awaited)]) -> None: ...


@pytest.mark.parametrize(
    "function", [cookie, form, embedded, two_bodies, unknown, not_awaited, needs_not_awaited]
)
def test_what_is_not_understood_is_refused_at_start(
    function: Callable[..., Awaitable[object]],
) -> None:
    with pytest.raises(TypeError):
        Arguments(function)
