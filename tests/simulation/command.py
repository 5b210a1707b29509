"""``python -m tests.simulation``: many worlds at once, and what came of them."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import click

from tests.simulation.faults import Kind, UnknownFault, chosen
from tests.simulation.run import Result, run_world

WORLD_MAX = 1_000
VIOLATIONS_SHOWN = 10
GIVEN_UP = 130


@click.command()
@click.option("--payments", default=1_000, show_default=True, type=click.IntRange(1, 10_000_000))
@click.option("--seed", default="", help="Any word; drawn and shown when left out.")
@click.option(
    "--faults", default="all", show_default=True, help="Groups or kinds; -kind takes out."
)
@click.option("--workers", default=0, help="Worlds at once; as many as processors by default.")
def main(payments: int, seed: str, faults: str, workers: int) -> None:
    """Run PAYMENTS payments through simulated worlds of at most 1,000, and audit each."""
    seed = seed or secrets.token_hex(4)
    try:
        kinds = chosen(faults)
    except UnknownFault as unknown:
        raise click.UsageError(str(unknown)) from None
    worlds = list(_worlds(seed, payments))
    click.echo(f"seed {seed}: {payments:,} payments in {len(worlds)} world(s), faults: {faults}")
    progress = _Progress(payments, time.monotonic())
    workers = workers or os.cpu_count() or 1
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_deaf_to_interrupts
    ) as pool:
        runs = [pool.submit(run_world, name, count, kinds) for name, count in worlds]
        try:
            for run in as_completed(runs):
                click.echo(_line(run.result()))
                click.echo(progress.after(run.result()))
        except KeyboardInterrupt:
            _give_up(pool, progress)
    sys.exit(_summed_up([run.result() for run in runs], kinds, progress.seconds))


def _deaf_to_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the command alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _give_up(pool: ProcessPoolExecutor, progress: _Progress) -> None:
    click.echo("giving up, once the worlds under way have ended ...")
    pool.shutdown(cancel_futures=True)
    click.echo(f"given up after {progress.done:,} payments: nothing is proved by them")
    sys.exit(GIVEN_UP)


@dataclass
class _Progress:
    """``started``: on the monotonic clock."""

    payments: int
    started: float
    done: int = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def after(self, result: Result) -> str:
        self.done += result.payments
        rate = self.done / self.seconds
        left_s = (self.payments - self.done) / rate
        return (
            f"  {self.done:,} of {self.payments:,} payments, {rate:.0f}/s,"
            f" {left_s // 60:.0f} min {left_s % 60:02.0f} s left"
        )


def _worlds(seed: str, payments: int) -> Iterator[tuple[str, int]]:
    """Seeds and sizes; a run that fits into one world keeps its seed, so any world replays."""
    if payments <= WORLD_MAX:
        yield seed, payments
        return
    number = 0
    while payments:
        number += 1
        size = min(payments, WORLD_MAX)
        yield f"{seed}/{number}", size
        payments -= size


def _line(result: Result) -> str:
    ends = ", ".join(f"{count} {status}" for status, count in sorted(result.ends.items()))
    verdict = "sound" if result.sound else f"{len(result.violations)} VIOLATIONS"
    took = f"{result.facts:,} facts in {result.seconds:.1f} s of processor"
    return f"  {result.seed}: {ends}; {took}; {verdict}"


def _summed_up(results: Sequence[Result], kinds: frozenset[Kind], seconds: float) -> int:
    """The report; the exit status."""
    struck: Counter[Kind] = Counter()
    digest = hashlib.sha256()
    for result in results:
        struck.update(result.struck)
        digest.update(result.digest.encode())
    payments = sum(result.payments for result in results)
    facts = sum(result.facts for result in results)
    click.echo(f"{payments:,} payments, {facts:,} facts, {payments / seconds:.0f} payments/s")
    for kind in Kind:
        if kind in kinds:
            click.echo(f"  {struck[kind]:>9,}  {kind}")
    shown = digest.hexdigest() if len(results) > 1 else results[0].digest
    click.echo(f"digest {shown}")
    unsound = [result for result in results if not result.sound]
    for result in unsound:
        _confess(result)
    missing = sorted(kind for kind in kinds if not struck[kind])
    if missing:
        click.echo(f"never struck: {', '.join(missing)}. More payments are needed for these.")
    return 1 if unsound or missing else 0


def _confess(result: Result) -> None:
    click.echo(f"\nworld {result.seed}: {len(result.violations)} violations")
    for violation in result.violations[:VIOLATIONS_SHOWN]:
        click.echo(f"  {violation}")
    for story in result.stories:
        click.echo(f"\n{story}")
    click.echo(f"\nreplay: make simulate PAYMENTS={result.payments} SEED={result.seed}")
