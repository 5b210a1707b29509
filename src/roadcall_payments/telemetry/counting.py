"""Counters and histograms of one thread, shown to a scraper by prometheus_client's collectors.

Its own ask and lock at every step, for threads that do not count here: 2 % of a webhook (0240).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Sample
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Counter:
    """How often something happened, of one set of labels. For the event loop's thread alone."""

    __slots__ = ("counted", "created_s")

    def __init__(self) -> None:
        self.counted = 0
        self.created_s = time.time()

    def inc(self) -> None:
        self.counted += 1


class Histogram:
    """How large amounts were, of one set of labels. For the event loop's thread alone."""

    __slots__ = ("_bounds", "counted", "created_s", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        # By the least bound that the amount does not exceed; the last one has none.
        self.counted = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.created_s = time.time()

    def observe(self, amount: float) -> None:
        self.total += amount
        self.counted[bisect_left(self._bounds, amount)] += 1


class CounterFamily(Collector):
    """The counters of one name."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labelnames = labelnames
        self._counters: dict[tuple[str, ...], Counter] = {}
        registry.register(self)

    def labels(self, *values: str) -> Counter:
        """The counter of these values, shown from now on."""
        counter = self._counters.get(values)
        if counter is None:
            counter = self._counters[_fitting(values, self._labelnames)] = Counter()
        return counter

    def describe(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labelnames)

    def collect(self) -> Iterable[CounterMetricFamily]:
        for family in self.describe():
            for values, counter in self._counters.items():
                family.add_metric(values, counter.counted, counter.created_s)
            yield family


class HistogramFamily(Collector):
    """The histograms of one name."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labelnames = labelnames
        self._bounds = bounds
        self._histograms: dict[tuple[str, ...], Histogram] = {}
        registry.register(self)

    def labels(self, *values: str) -> Histogram:
        """The histogram of these values, shown from now on."""
        histogram = self._histograms.get(values)
        if histogram is None:
            histogram = Histogram(self._bounds)
            self._histograms[_fitting(values, self._labelnames)] = histogram
        return histogram

    def describe(self) -> Iterable[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._documentation, labels=self._labelnames)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        shown = [*map(floatToGoString, self._bounds), "+Inf"]
        for family in self.describe():
            for values, histogram in self._histograms.items():
                up_to = accumulate(histogram.counted)
                family.add_metric(values, [*zip(shown, up_to, strict=True)], histogram.total)
                labels = dict(zip(self._labelnames, values, strict=True))
                created = Sample(f"{self._name}_created", labels, histogram.created_s)
                family.samples.append(created)
            yield family


def _fitting(values: tuple[str, ...], labelnames: Sequence[str]) -> tuple[str, ...]:
    if len(values) != len(labelnames):
        raise ValueError(f"Labels: {', '.join(labelnames)}; values: {', '.join(values)}.")
    return values
