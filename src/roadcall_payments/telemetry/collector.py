"""Whether traces are wanted, by OpenTelemetry's variables: asked before any of it loads."""

from __future__ import annotations

from collections.abc import Mapping


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a collector for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(environment.get(name) for name in names)
