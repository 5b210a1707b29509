"""timeline, find: what happened to a payment, a payout or a vendor, and what an id belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import Failed, with_service
from roadcall_payments.cli.tables import JsonValue, amount, moment, print_json, print_table
from roadcall_payments.cli.words import in_words, stripe_ids
from roadcall_payments.commit import InboxEvent, State, stream_of
from roadcall_payments.domain.connected_account import outlook
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.journal import JournalEntry
from roadcall_payments.workflows.texts import text_refs


@dataclass(frozen=True, slots=True)
class _Told:
    stream: str
    state: State
    entries: Sequence[JournalEntry]
    texts: Mapping[str, str]


@click.command(
    short_help="What happened to a payment, payout or vendor.",
    epilog="Example: roadcall-payments timeline 0193f2a1-7c44-7d0e-9a53-5b1f0c6e2a90",
)
@click.argument("own_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one object.")
def timeline(own_id: str, as_json: bool) -> None:
    """Show what happened to a payment, payout or vendor: when, who, what, and the Stripe ids to
    look it up by.

    ID is its own, with its kind (payout/..., vendor/...) where it is no payment's; `find` gives it
    for any other id.
    """
    told = with_service(lambda service: _read(service, own_id))
    if as_json:
        print_json(_as_json(told))
        return
    click.echo(_headline(told))
    click.echo()
    rows: list[tuple[str, str, str]] = []
    for entry in told.entries:
        at = moment(entry.at, timespec="milliseconds")
        rows.append((at, entry.actor, in_words(entry.fact, told.texts)))
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
        timeline_of = own_id if kind == "payment" else stream
        click.echo(f"{kind} {own_id}  (roadcall-payments timeline {timeline_of})")
    if event is not None and not as_json:
        why = f", {event.reason}" if event.reason else ""
        click.echo(
            f"webhook {event.type}, received {moment(event.received_at)}: {event.status}{why}"
        )
    if not streams and event is None:
        raise Failed(f"Nothing here is called {any_id}; is it of another environment or mode?")


async def _found(service: Service, any_id: str) -> tuple[Sequence[str], InboxEvent | None]:
    return await service.queries.find(any_id), await service.store.inbox_event(any_id)


async def _read(service: Service, any_id: str) -> _Told:
    stream = any_id if "/" in any_id else stream_of("payment", any_id)
    loaded = await service.store.load(stream)
    if loaded is None:
        kind, _, own_id = stream.partition("/")
        raise NotFound(f"There is no {kind} {own_id}.")
    entries = await service.queries.journal(stream)
    refs = [ref.id for entry in entries for ref in text_refs(entry.fact)]
    return _Told(stream, loaded.state, entries, await service.store.texts(refs))


def _headline(told: _Told) -> str:
    kind, _, own_id = told.stream.partition("/")
    match told.state:
        case Payment() | Payout() as one:
            return f"{kind.capitalize()} {own_id}: {one.status}, {amount(one.amount)}"
        case Vendor() as vendor:
            return f"Vendor {own_id}: {outlook(vendor)}"
    return f"{kind.capitalize()} {own_id}"


def _as_json(told: _Told) -> JsonValue:
    about: dict[str, JsonValue] = {"stream": told.stream}
    if isinstance(told.state, Payment):
        about = {"paymentId": told.state.id}
    if isinstance(told.state, Payment | Payout):
        about |= {
            "status": told.state.status,
            "amountCents": told.state.amount.amount_cents,
            "currency": told.state.amount.currency,
        }
    timeline: list[JsonValue] = [
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": entry.actor,
            "type": entry.type,
            "words": in_words(entry.fact, told.texts),
            "stripe": stripe_ids(entry.fact),
            "eventId": entry.event_id,
        }
        for entry in told.entries
    ]
    return {**about, "timeline": timeline}
