"""List answers: cursor pagination, and Stripe's filters on time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, takewhile
from typing import TypeVar

from stripe_sandbox.collection import Collection
from stripe_sandbox.errors import missing_object, refused
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.parameters import Params
from stripe_sandbox.records import Record
from stripe_sandbox.routes import Call

R = TypeVar("R", bound=Record)

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
_END_OF_TIME = 1 << 62


def list_object(url: str, data: list[JsonValue], has_more: bool = False) -> JsonObject:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def created_filter(params: Params, name: str = "created") -> Callable[[int], bool]:
    """The test that `created[gte]=...` or `created=...` asks of a time."""
    low, high = _span(params, name)
    return lambda at: low <= at <= high


def _span(params: Params, name: str = "created") -> tuple[int, int]:
    """The first and the last second that are asked for."""
    value = params.values.get(name)
    if isinstance(value, int):
        return value, value
    if not isinstance(value, Mapping):
        return 0, _END_OF_TIME
    low = max(_bound(value, "gte", 0), _bound(value, "gt", -1) + 1)
    high = min(_bound(value, "lte", _END_OF_TIME), _bound(value, "lt", _END_OF_TIME + 1) - 1)
    return low, high


def _bound(value: Mapping[str, JsonValue], name: str, default: int) -> int:
    bound = value.get(name, default)
    return bound if isinstance(bound, int) else default


def list_records(
    call: Call,
    collection: Collection[R],
    render: Callable[[R], JsonObject],
    keep: Callable[[R], bool] | None = None,
    found: Iterable[R] | None = None,
    *,
    owned: bool = True,
) -> JsonObject:
    """A page of the acting account's records, newest first.

    `found` narrows the search (newest first); `keep` decides; `owned` False asks for no owner.
    Raises StripeError for a limit out of range or a cursor that is no such object.
    """
    params = call.params
    limit = params.integer("limit") if "limit" in params else LIMIT_DEFAULT
    if limit is None or not 1 <= limit <= LIMIT_MAX:
        raise refused("Invalid limit: must be between 1 and 100.", param="limit")
    starting_after, ending_before = params.text("starting_after"), params.text("ending_before")
    if starting_after and ending_before:
        raise refused("You cannot parameterize `starting_after` and `ending_before` together.")
    first, last = _span(params)
    newest = found if found is not None else collection.newest("account", call.account)
    matching = _within(newest, first, last)
    if owned and found is not None:
        matching = (record for record in matching if record.account == call.account)
    if keep is not None:
        matching = filter(keep, matching)
    if ending_before:
        before = _cursor(collection, ending_before, "ending_before").sequence
        newer = list(takewhile(lambda record: record.sequence > before, matching))
        page, more = newer[-limit:], len(newer) > limit
    else:
        if starting_after:
            after = _cursor(collection, starting_after, "starting_after").sequence
            matching = (record for record in matching if record.sequence < after)
        page = list(islice(matching, limit))
        more = next(matching, None) is not None
    return list_object(call.path, [render(record) for record in page], has_more=more)


def _within(newest: Iterable[R], first: int, last: int) -> Iterator[R]:
    """Those created from `first` to `last`."""
    for record in newest:
        if record.created < first:
            # The sandbox's time never goes back: behind one that is too old, all are.
            return
        if record.created <= last:
            yield record


def _cursor(collection: Collection[R], record_id: str, param: str) -> R:
    record = collection.get(record_id)
    if record is None:
        noun = collection.kind.replace("_", " ")
        raise missing_object(noun, record_id, param)
    return record
