"""What we count is shown to a scraper as prometheus_client would have shown it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from roadcall_payments.telemetry.counting import CounterFamily, HistogramFamily

BOUNDS = (0.005, 0.1, 1, 2.5, 60, 86_400)
CREATED = re.compile(r"^(a_\w+_created.*) \S+$", re.MULTILINE)

kinds = st.sampled_from(["payment.failed", 'with "quotes"', "two\nlines", ""])
amounts = st.sampled_from([0, *BOUNDS]) | st.floats(0, 200_000)


def page(registry: CollectorRegistry) -> str:
    """Without the moment at which each series began."""
    return CREATED.sub(r"\1 then", generate_latest(registry).decode())


@given(st.lists(st.tuples(kinds, kinds)))
def test_counters_are_shown_as_the_librarys(happened: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    labels = ["type", "outcome"]
    family = CounterFamily("a_thing", "What it is.", labels, registry=ours)
    counter = Counter("a_thing", "What it is.", labels, registry=theirs)
    for values in happened:
        family.labels(*values).inc()
        counter.labels(*values).inc()
    assert page(ours) == page(theirs)


@given(st.lists(st.tuples(kinds, amounts)))
def test_histograms_are_shown_as_the_librarys(happened: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = HistogramFamily("a_time", "How long.", ["type"], bounds=BOUNDS, registry=ours)
    histogram = Histogram("a_time", "How long.", ["type"], buckets=BOUNDS, registry=theirs)
    for value, amount in happened:
        family.labels(value).observe(amount)
        histogram.labels(value).observe(amount)
    assert page(ours) == page(theirs)


def test_what_has_no_labels_is_shown_from_the_start() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    CounterFamily("a_thing", "What it is.", registry=ours).labels()
    HistogramFamily("a_time", "How long.", bounds=BOUNDS, registry=ours).labels()
    Counter("a_thing", "What it is.", registry=theirs)
    Histogram("a_time", "How long.", buckets=BOUNDS, registry=theirs)
    assert page(ours) == page(theirs)


def test_a_name_is_given_once_and_has_all_its_labels() -> None:
    registry = CollectorRegistry()
    family = CounterFamily("a_thing", "What it is.", ["type"], registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        HistogramFamily("a_thing", "How long.", bounds=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match="type"):
        family.labels()
