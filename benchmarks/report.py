"""The table that a run prints, and the file that keeps it."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sysconfig
import timeit
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contenders import Round
from benchmarks.ratios import Verdict

RESULTS = Path(__file__).with_name("results")


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [("measured", "against", "found", "asked", "")]
    rows += [
        (one.measured, one.against, one.found, one.asked, "" if one.kept else "MISSED")
        for one in verdicts
    ]
    return _aligned(rows)


def figures(rounds: Mapping[str, Sequence[Round]]) -> str:
    """The medians behind the ratios: of one machine on one day."""
    rows = [("system", "per second", "lowest", "highest", "p99 ms", "CPU us", "database CPU us")]
    for name, of_one in rounds.items():
        rates = [one.per_second for one in of_one]
        rows.append(
            (
                name,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f}",
                f"{max(rates):,.0f}",
                _median([one.p99_ms for one in of_one if one.p99_ms is not None], ".1f"),
                _median([one.cpu_us for one in of_one], ".0f"),
                _median([one.database_cpu_us for one in of_one], ".0f"),
            )
        )
    return _aligned(rows)


def keep(part: str, settings: str, sections: Sequence[str]) -> Path:
    """Write the run's file; its name is the time and the part."""
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d-%H%M}-{part}.md"
    head = f"# {part}, {now:%Y-%m-%d %H:%M} UTC\n\n{machine()}. {settings}"
    path.write_text("\n\n".join([head, *sections]) + "\n")
    return path


def machine() -> str:
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        named = [line for line in information.read_text().splitlines() if "model name" in line]
        processor = named[0].partition(":")[2].strip() if named else processor
    load = os.getloadavg()[0]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{os.cpu_count()} cores ({processor}), {platform.system()} {platform.release()}, "
        f"{interpreter()}, commit {commit}, load average {load:.1f} at the end"
    )


def interpreter() -> str:
    """The Python that runs all but Node.js and the databases: how it says it was built, and how
    fast it is by itself (frozen records made), for some distributions optimize without a word."""
    seconds = min(timeit.repeat(lambda: Verdict("", "", "", "", True), number=1_000, repeat=20))
    told = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    built = "with" if told else "without"
    return (
        f"Python {platform.python_version()} (configured {built} "
        f"--enable-optimizations, a record in {seconds * 1_000:.2f} us)"
    )


def _median(values: Sequence[float], how: str) -> str:
    return format(statistics.median(values), how) if values else ""


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is readable as text, too."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
