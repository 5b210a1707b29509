"""queue: the transfers that wait for the platform's funds."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import with_service
from roadcall_payments.cli.tables import JsonValue, amount, moment, print_json, print_table
from roadcall_payments.domain.funding import Waiting
from roadcall_payments.domain.payment import Payment

Queued = Sequence[tuple[Waiting, Payment]]


@click.command(
    short_help="Transfers that wait for funds.", epilog="Example: roadcall-payments queue --json"
)
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, a list of payments.")
def queue(limit: int, as_json: bool) -> None:
    """List transfers that wait for the platform's funds, in the order in which they go out."""
    queued = with_service(lambda service: _read(service, limit))
    if as_json:
        print_json([_as_json(waits, payment) for waits, payment in queued])
    elif not queued:
        click.echo("No transfer waits for funds.")
    else:
        rows = [
            (
                f"{waits.currency} {waits.place}",
                payment.id,
                amount(payment.funding.needed),
                payment.funding.priority.value,
                moment(waits.since),
                payment.funding.reason.value,
            )
            for waits, payment in queued
            if payment.funding
        ]
        print_table(("PLACE", "PAYMENT", "NEEDS", "PRIORITY", "SINCE", "WHY"), rows)


async def _read(service: Service, limit: int) -> Queued:
    waits = (await service.transfers.queue())[:limit]
    payments = [await service.queries.payment(one.payment_id) for one in waits]
    pairs = zip(waits, payments, strict=True)
    return [(one, payment) for one, payment in pairs if payment.queued]


def _as_json(waits: Waiting, payment: Payment) -> JsonValue:
    funding = payment.funding
    return {
        "paymentId": payment.id,
        "place": waits.place,
        "currency": waits.currency,
        "since": waits.since,
        "neededCents": funding.needed.amount_cents if funding else None,
        "priority": funding.priority.value if funding else None,
        "reason": funding.reason.value if funding else None,
    }
