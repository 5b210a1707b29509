"""What the service logs as an error that it did not expect: in a simulated world, a defect."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import EventDict, WrappedLogger

from roadcall_payments.domain.errors import BrokenInvariant, RoadcallError


@contextmanager
def unexpected_errors(problems: list[str]) -> Iterator[None]:
    """Adds to ``problems`` each error logged with an exception outside our own tree, and each
    broken invariant. Nothing else of the log is even formatted."""

    def heard(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        error = event.get("exc_info")
        known = isinstance(error, RoadcallError) and not isinstance(error, BrokenInvariant)
        if isinstance(error, BaseException) and not known:
            problems.append(f"{event.get('event')}: {type(error).__name__}: {error}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[heard],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
