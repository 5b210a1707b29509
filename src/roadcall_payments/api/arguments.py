"""What an endpoint takes, read from a request and checked in one go.

The declarations are FastAPI's, which makes the OpenAPI document of them. To read a request by them
parameter by parameter, as FastAPI does, took a sixth of a call's processor time (decision 0233).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import Request, params
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError, create_model

from roadcall_payments.api.request_body import StrictRequest
from roadcall_payments.api.request_headers import first_header

# In which order mistakes are told.
_PLACES: Final = ("path", "query", "header", "body")
_Read = params.Path | params.Query | params.Header

Function = Callable[..., Awaitable[object]]
Given = dict[str, object]
# By a parameter's name, by the function that gave it, or by the type: the request.
Values = dict[object, object]


class Arguments:
    """How an endpoint is called: its own parameters, and those of what it depends on.

    Understood are path and header parameters, the query by name or as one model, one JSON body,
    the request itself, and ``Depends`` on a coroutine function. Raises TypeError for any other.
    """

    def __init__(self, endpoint: Function) -> None:
        self._endpoint = _Called(endpoint)
        self._needed = self._endpoint.all_needed()
        found = [one for called in (*self._needed, self._endpoint) for one in called.own]
        # Pydantic's own type for the fields of a model in the making; its Any cannot have a name.
        fields: dict[str, Any] = {one.name: (one.annotation, one.default) for one in found}
        self._shape = create_model(f"{endpoint.__name__}_arguments", **fields)
        headers = [one.alias for one in found if one.place == "header"]
        self._headers = [(alias, alias.lower().encode("latin-1")) for alias in headers]
        self._queries = [one for one in found if one.place == "query"]
        self._bodies = [one.alias for one in found if one.place == "body"]
        if len(fields) < len(found) or len(self._bodies) > 1:
            raise TypeError(f"{endpoint.__name__} has two bodies, or two parameters of one name.")
        self._locations = {one.alias: one.location for one in found}

    async def of(self, request: StrictRequest) -> Given:
        """What to call the endpoint with. Raises RequestValidationError: each wrong field."""
        values: Values = {Request: request}
        values.update(self._read(request))
        for needed in self._needed:
            values[needed.function] = await needed.function(**needed.given(values))
        return self._endpoint.given(values)

    def _read(self, request: StrictRequest) -> Given:
        given: Given = dict(request.path_params)
        for alias, name in self._headers:
            if (sent := first_header(request.scope, name)) is not None:
                given[alias] = sent
        for one in self._queries:
            if one.is_model:
                given[one.alias] = dict(request.query_params)
            elif (sent := request.query_params.get(one.alias)) is not None:
                given[one.alias] = sent
        if request.has_body:
            given |= dict.fromkeys(self._bodies, request.parsed)
        try:
            checked: Given = vars(self._shape.model_validate(given, from_attributes=True))
        except ValidationError as wrong:
            raise RequestValidationError(
                [
                    {"loc": self._located(found["loc"]), "msg": found["msg"]}
                    for found in wrong.errors(include_url=False, include_input=False)
                ]
            ) from wrong
        return checked

    def _located(self, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
        return *self._locations[str(location[0])], *location[1:]


class _Parameter:
    """One that is read from the request: ``alias`` is its name there."""

    def __init__(self, name: str, declared: inspect.Parameter, told: _Read | None) -> None:
        self.name = name
        self.annotation = declared.annotation
        is_needed = declared.default is inspect.Parameter.empty
        self.default: object = ... if is_needed else declared.default
        self.place: str = told.in_.value if told else "body"
        self.alias: str = told.alias or name if told else name
        self.is_model = told is None or _is_model(get_args(declared.annotation)[0])
        self.location = (self.place,) if self.is_model else (self.place, self.alias)


class _Called:
    """A function, and where each of its parameters comes from."""

    def __init__(self, function: Function) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} is no coroutine function.")
        self.function = function
        self.own: list[_Parameter] = []
        self._needs: list[_Called] = []
        self._sources: dict[str, object] = {}
        for name, declared in inspect.signature(function, eval_str=True).parameters.items():
            told = _told(declared.annotation)
            if declared.annotation is Request:
                self._sources[name] = Request
            elif isinstance(told, params.Depends) and told.dependency is not None:
                self._sources[name] = told.dependency
                self._needs.append(_Called(told.dependency))
            elif isinstance(told, _Read) or _is_body(declared.annotation):
                self._sources[name] = name
                place = told if isinstance(told, _Read) else None
                self.own.append(_Parameter(name, declared, place))
            else:
                raise TypeError(f"{function.__name__} cannot be given its {name}.")
        self.own.sort(key=lambda one: _PLACES.index(one.place))

    def all_needed(self) -> list[_Called]:
        """What is called before it, each once, in an order that suits all."""
        found: dict[Function, _Called] = {}
        for need in self._needs:
            for one in (*need.all_needed(), need):
                found.setdefault(one.function, one)
        return list(found.values())

    def given(self, values: Values) -> Given:
        return {name: values[source] for name, source in self._sources.items()}


def _told(annotation: object) -> object:
    """What the annotation tells FastAPI, if it is one that is understood."""
    if get_origin(annotation) is not Annotated:
        return None
    told = (one for one in get_args(annotation) if isinstance(one, params.Depends | _Read))
    return next(told, None)


def _is_body(annotation: object) -> bool:
    """A model, or one that may be left out."""
    kinds = (annotation,) if get_origin(annotation) is None else get_args(annotation)
    return get_origin(annotation) is not Annotated and any(map(_is_model, kinds))


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
