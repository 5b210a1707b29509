"""timeline, find: what happened to a payment, and which payment an id belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import Failed, with_service
from roadcall_payments.cli.tables import JsonValue, amount, moment, print_json, print_table
from roadcall_payments.cli.words import in_words, stripe_ids
from roadcall_payments.commit import InboxEvent, stream_kind
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import JournalEntry
from roadcall_payments.workflows.texts import text_refs


@click.command(
    short_help="What happened to a payment.",
    epilog="Example: roadcall-payments timeline 0193f2a1-7c44-7d0e-9a53-5b1f0c6e2a90",
)
@click.argument("payment")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one object.")
def timeline(payment: str, as_json: bool) -> None:
    """Show what happened to PAYMENT: when, who, what, and the Stripe ids to look it up by.

    PAYMENT is the payment's id; `find` gives it for any other id.
    """
    found, entries, texts = with_service(lambda service: _read(service, payment))
    if as_json:
        print_json(_as_json(found, entries, texts))
        return
    click.echo(f"Payment {found.id}: {found.status}, {amount(found.amount)}")
    click.echo()
    rows: list[tuple[str, str, str]] = []
    for entry in entries:
        at = moment(entry.at, timespec="milliseconds")
        rows.append((at, entry.actor, in_words(entry.fact, texts)))
        if ids := stripe_ids(entry.fact):
            rows.append(("", "", f"  {ids}"))
    print_table(("TIME", "WHO", "WHAT"), rows)


@click.command(
    short_help="What any id belongs to.",
    epilog="Example: roadcall-payments find pi_3QK9tR2eZvKYlo2C0aBcDeFg",
)
@click.argument("any_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, a list of streams.")
def find(any_id: str, as_json: bool) -> None:
    """Find what ID belongs to: a payment, vendor or payout of ours, a Stripe object (pi_, ch_,
    tr_, po_), a webhook event (evt_), or an incident. Exit status 1 when nothing is found.
    """
    streams, event = with_service(lambda service: _found(service, any_id))
    if as_json:
        print_json(list(streams))
    for stream in [] if as_json else streams:
        kind, _, own_id = stream.partition("/")
        more = f"  (roadcall-payments timeline {own_id})" if kind == "payment" else ""
        click.echo(f"{kind} {own_id}{more}")
    if event is not None and not as_json:
        why = f", {event.reason}" if event.reason else ""
        click.echo(
            f"webhook {event.type}, received {moment(event.received_at)}: {event.status}{why}"
        )
    if not streams and event is None:
        raise Failed(f"Nothing here is called {any_id}; is it of another environment or mode?")


async def _found(service: Service, any_id: str) -> tuple[Sequence[str], InboxEvent | None]:
    return await service.queries.find(any_id), await service.store.inbox_event(any_id)


async def _read(
    service: Service, payment_id: str
) -> tuple[Payment, Sequence[JournalEntry], dict[str, str]]:
    own_id = payment_id.partition("/")[2] if stream_kind(payment_id) == "payment" else payment_id
    payment = await service.queries.payment(own_id)
    entries = await service.queries.timeline(own_id)
    texts = await service.store.texts(
        [ref.id for entry in entries for ref in text_refs(entry.fact)]
    )
    return payment, entries, texts


def _as_json(payment: Payment, entries: Sequence[JournalEntry], texts: dict[str, str]) -> JsonValue:
    return {
        "paymentId": payment.id,
        "status": payment.status,
        "amountCents": payment.amount.amount_cents,
        "currency": payment.amount.currency,
        "timeline": [
            {
                "seq": entry.seq,
                "at": entry.at,
                "actor": entry.actor,
                "type": entry.type,
                "words": in_words(entry.fact, texts),
                "stripe": stripe_ids(entry.fact),
                "eventId": entry.event_id,
            }
            for entry in entries
        ],
    }
