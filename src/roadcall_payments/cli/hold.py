"""hold, repair-drift, release: from a restored database back to moving money (M18)."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roadcall_payments.cli.service import operator, with_service
from roadcall_payments.cli.tables import JsonValue, moment, print_json, print_table
from roadcall_payments.workflows.drift_repair import DriftReport, Line


@click.command(
    short_help="Say that this database was restored.",
    epilog='Example: roadcall-payments hold "restored from the dump of 03:00"',
)
@click.argument("reason")
def hold(reason: str) -> None:
    """Hold every movement because the database was restored by other means than `restore`.

    Give it before the service starts. It ends with `repair-drift` and `release`.
    """
    since = with_service(lambda service: service.restore_guard.hold(operator(), reason))
    click.echo(f"Held; the books end at {moment(since)}. Next: roadcall-payments repair-drift")


@click.command(
    "repair-drift",
    short_help="Book what Stripe did since the backup.",
    epilog="Example: roadcall-payments repair-drift && roadcall-payments release",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one object.")
def repair_drift(as_json: bool) -> None:
    """List what Stripe did since the backup, and put it into the books.

    Payments of the books go on by what Stripe has of them; money of payments that the backup does
    not know goes to suspense. Moves nothing, and may be given again. Exit status 1 when something
    needs a person first.
    """
    report = with_service(lambda service: service.drift_repair.repair(operator()))
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.passed:
        raise click.exceptions.Exit(1)


@click.command(
    short_help="Let money move again after a restore.", epilog="Example: roadcall-payments release"
)
def release() -> None:
    """Lift the hold after a restore. Refused until `repair-drift` has passed.

    Signs the checkpoints anew from here on: `verify` holds the books against these.
    """
    with_service(lambda service: service.restore_guard.release(operator()))
    click.echo("Released: movements go again, and the worker takes up what waited.")


def _print(report: DriftReport) -> None:
    click.echo(
        f"Looked at what Stripe did from {moment(report.since)} to {moment(report.until)}: "
        f"{report.objects} objects of ours, {report.payments} open payments, "
        f"{report.events} events."
    )
    for title, lines in (
        ("Adopted by their payments", report.adopted),
        ("To suspense: no payment of the books", report.strays),
        ("Needs a person", report.problems),
    ):
        if lines:
            click.echo(f"\n{title}: {len(lines)}")
            rows = [(line.object_id, line.payment_id or "-", line.words) for line in lines]
            print_table(("STRIPE", "PAYMENT", "WHAT"), rows)
    for warning in report.warnings:
        click.echo(f"\n{warning}", err=True)
    if report.strays:
        click.echo(
            "\nThe jobs behind what went to suspense can be paid again: before you release, find "
            "out which they were, and reverse or refund what must not stay."
        )
    if report.passed:
        click.echo("\nDrift repair has passed. Next: roadcall-payments release")
    else:
        click.echo("\nNot passed: see to these, then give repair-drift again.", err=True)


def _as_json(report: DriftReport) -> JsonValue:
    def rows(lines: Sequence[Line]) -> Sequence[JsonValue]:
        return [
            {"stripeId": line.object_id, "paymentId": line.payment_id, "words": line.words}
            for line in lines
        ]

    return {
        "since": report.since,
        "until": report.until,
        "passed": report.passed,
        "adopted": rows(report.adopted),
        "strays": rows(report.strays),
        "problems": rows(report.problems),
        "warnings": list(report.warnings),
    }
