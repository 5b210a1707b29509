"""docs/operating.md, docs/runbook.md and docs/alerts.yml, held against the metrics that exist."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Metric

from roadcall_payments.telemetry import REGISTRY
from tests.docs.documents import ROOT, document

OPERATING = document("docs/operating.md")
RUNBOOK = document("docs/runbook.md")
ALERTS = (ROOT / "docs/alerts.yml").read_text(encoding="utf-8")

_ALERT = re.compile(r"- alert: (\w+)\n(.*?)(?=\n *- alert:|\Z)", re.DOTALL)
_METRIC = re.compile(r"\broadcall_\w+")
_LABELS = re.compile(r"(\broadcall_\w+)\{([^}]*)\}")
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def families() -> dict[str, Metric]:
    return {family.name: family for family in REGISTRY.collect()}


def labels_of(name: str) -> tuple[str, ...]:
    collectors = REGISTRY._names_to_collectors
    return tuple(getattr(collectors[name], "_labelnames", ()))


def series() -> dict[str, str]:
    """Every name that Prometheus stores, with its family's."""
    return {
        name + suffix: name
        for name, family in families().items()
        for suffix in _SUFFIXES[family.type]
    }


def alerts() -> dict[str, str]:
    return dict(_ALERT.findall(ALERTS))


def test_the_table_of_metrics_is_the_services_own() -> None:
    told = {
        row[0].strip("`"): (row[1], tuple(re.findall(r"`(\w+)`", row[2])), row[3])
        for row in OPERATING.rows("metric")
    }
    expected = {
        name: (family.type, labels_of(name), "max" if family.type == "gauge" else "sum")
        for name, family in families().items()
    }
    assert told == expected


def test_every_metric_follows_prometheus_naming() -> None:
    for name, family in families().items():
        assert re.fullmatch(r"roadcall_[a-z]+(_[a-z]+)*", name), name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name
        assert not name.endswith(("_ms", "_total", "_count")), name


def test_there_is_an_alarm_for_each_thing_that_can_go_wrong() -> None:
    watched = {series()[name] for name in _METRIC.findall(ALERTS)}
    # Looked at beside another, or broken down by, when one of these rings.
    assert set(families()) - watched == {"roadcall_queue_waiting", "roadcall_transfers_queued"}


@pytest.mark.parametrize("name", alerts())
def test_an_alarm_asks_for_metrics_and_labels_that_exist(name: str) -> None:
    rule = alerts()[name]
    (expression,) = re.findall(r"expr: (.+)", rule)
    known = series()
    assert _METRIC.findall(expression)
    assert set(_METRIC.findall(expression)) <= set(known)
    for metric, matchers in _LABELS.findall(expression):
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert named <= set(labels_of(known[metric])), metric
    assert expression.count("(") == expression.count(")")
    assert re.search(r"severity: (page|ticket)\b", rule)
    assert f'runbook: "docs/runbook.md#{name.lower()}"' in rule
    # What would end a plain YAML scalar early.
    assert ": " not in expression
    assert " #" not in expression


def test_every_alarm_has_its_entry_and_every_entry_its_alarm() -> None:
    entries = re.findall(r"(?m)^## (\w+)$", RUNBOOK.prose)
    assert entries == list(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_entry_says_what_it_means_how_to_look_and_what_to_do(name: str) -> None:
    entry = RUNBOOK.text.partition(f"## {name}\n")[2].partition("\n## ")[0]
    assert entry.startswith("**Means** ")
    assert "**Look**" in entry
    assert "**Do**" in entry
