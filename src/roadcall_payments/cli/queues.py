"""inbox, dead-letters: what waits for a person, and putting it to work again."""

from __future__ import annotations

from collections.abc import Sequence

import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import Failed, operator, with_service
from roadcall_payments.cli.tables import moment, print_json, print_table
from roadcall_payments.commit import InboxEvent, InboxStatus
from roadcall_payments.ports import DeadLetter, Queue


@click.group(short_help="Webhooks: what waits, and why.")
def inbox() -> None:
    """Webhooks as they came in: what waits, what could not be applied, and why."""


@inbox.command("list", epilog="Example: roadcall-payments inbox list --status review")
@click.option(
    "--status",
    type=click.Choice([status.value for status in InboxStatus]),
    default=InboxStatus.REVIEW.value,
    show_default=True,
    help="review: retries are used up. waiting: retried by itself. kept: nothing to apply. "
    "dismissed: put aside by a person.",
)
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, a list of events.")
def inbox_list(status: str, limit: int, as_json: bool) -> None:
    """List webhook events by what became of them, newest first."""
    page = with_service(
        lambda service: service.store.inbox_events(InboxStatus(status), None, limit)
    )
    if as_json:
        print_json([_inbox_json(event) for event in page.items])
    elif not page.items:
        click.echo(f"No event is in status {status}.")
    else:
        rows = [
            (
                event.event_id,
                event.type,
                moment(event.received_at),
                str(event.attempts),
                event.stream or "-",
                event.reason or "",
            )
            for event in page.items
        ]
        print_table(("EVENT", "TYPE", "RECEIVED", "TRIES", "STREAM", "WHY"), rows)
        if page.next_cursor:
            click.echo(f"There are more than {limit}.", err=True)


@inbox.command("retry", epilog="Example: roadcall-payments inbox retry evt_1QK9tR2eZvKYlo2C")
@click.argument("event_ids", metavar="EVENT...", nargs=-1, required=True)
def inbox_retry(event_ids: tuple[str, ...]) -> None:
    """Apply events again, now. Exit status 1 when one of them still could not be applied."""
    fates = with_service(lambda service: _retried(service, event_ids))
    for event_id, event in fates.items():
        why = f": {event.reason}" if event and event.reason else ""
        click.echo(f"{event_id} {event.status if event else 'waits for nothing'}{why}")
    settled = (InboxStatus.APPLIED, InboxStatus.KEPT)
    if not all(event and event.status in settled for event in fates.values()):
        raise click.exceptions.Exit(1)


@inbox.command(
    "dismiss",
    epilog='Example: roadcall-payments inbox dismiss evt_1QK9tR2eZvKYlo2C --reason "of the shop"',
)
@click.argument("event_id", metavar="EVENT")
@click.option("--reason", required=True, help="Why it need not be in the books; kept for good.")
@click.option("--untried", is_flag=True, help="Also where Stripe cannot be asked about it now.")
def inbox_dismiss(event_id: str, reason: str, untried: bool) -> None:
    """Put aside an event that can never be applied, so that it waits for nobody any more.

    It is tried once more first, and refused while Stripe cannot be asked. The journal keeps who
    put it aside, and why; what it told of is not in the books. Exit status 1 when it was not put
    aside, since it is applied or kept.
    """
    event = with_service(
        lambda service: service.inbox_dismissal.dismiss(
            operator(), event_id, reason, untried=untried
        )
    )
    click.echo(f"{event.event_id} {event.status}: {event.reason or 'nothing is left to do'}")
    if event.status is not InboxStatus.DISMISSED:
        raise click.exceptions.Exit(1)


async def _retried(service: Service, event_ids: Sequence[str]) -> dict[str, InboxEvent | None]:
    """Each event as it stands after its retry; None where there was nothing to retry."""
    return {
        event_id: await service.store.inbox_event(event_id)
        if await service.webhook_inbox.retry_now(event_id)
        else None
        for event_id in event_ids
    }


@click.group("dead-letters", short_help="Work that was given up: list it, redrive it.")
def dead_letters() -> None:
    """Work that was given up after many tries and waits for a person."""


@dead_letters.command("list", epilog="Example: roadcall-payments dead-letters list --queue outbox")
@click.option("--queue", type=click.Choice([queue.value for queue in Queue]), help="One queue.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, a list of letters.")
def dead_letters_list(queue: str | None, as_json: bool) -> None:
    """List dead letters with the reason of their last failure."""
    letters = with_service(
        lambda service: service.store.dead_letters(Queue(queue) if queue else None)
    )
    if as_json:
        print_json(
            [
                {
                    "queue": letter.queue,
                    "key": letter.key,
                    "attempts": letter.attempts,
                    "parkedAt": letter.parked_at,
                    "reason": letter.reason,
                }
                for letter in letters
            ]
        )
    elif not letters:
        click.echo("No dead letters.")
    else:
        rows = [
            (one.queue, one.key, moment(one.parked_at), str(one.attempts), one.reason)
            for one in letters
        ]
        print_table(("QUEUE", "KEY", "PARKED", "TRIES", "WHY"), rows)


@dead_letters.command(
    "redrive", epilog="Example: roadcall-payments dead-letters redrive notices 0193f2a1-7c44-7d0e"
)
@click.argument("queue", type=click.Choice([queue.value for queue in Queue]))
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter of the queue.")
def dead_letters_redrive(queue: str, keys: tuple[str, ...], everything: bool) -> None:
    """Put dead letters of QUEUE back to work, due now, with their tries counted anew."""
    if everything == bool(keys):
        raise click.UsageError("Name keys, or say --all.")

    async def redriven(service: Service) -> tuple[Sequence[str], list[str]]:
        wanted = keys or [one.key for one in await _letters(service, queue)]
        now = service.clock.now()
        missing = [
            key for key in wanted if not await service.store.redrive(Queue(queue), key, now=now)
        ]
        return wanted, missing

    wanted, missing = with_service(redriven)
    click.echo(f"{len(wanted) - len(missing)} of {len(wanted)} put back to work.")
    if missing:
        raise Failed(f"No dead letter of {queue}: {', '.join(missing)}.")


async def _letters(service: Service, queue: str) -> Sequence[DeadLetter]:
    return await service.store.dead_letters(Queue(queue))


def _inbox_json(event: InboxEvent) -> dict[str, str | int | None]:
    return {
        "eventId": event.event_id,
        "type": event.type,
        "receivedAt": event.received_at.isoformat(),
        "status": event.status,
        "reason": event.reason,
        "attempts": event.attempts,
        "stream": event.stream,
    }
