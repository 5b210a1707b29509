"""settle: have Stripe asked, now, what became of a payment."""

from __future__ import annotations

import click

from roadcall_payments.cli.service import operator, with_service
from roadcall_payments.cli.tables import JsonValue, amount, moment, print_json
from roadcall_payments.workflows.inquiry import Inquired


@click.command(
    short_help="Ask Stripe, now, what became of a payment.",
    epilog="Example: roadcall-payments settle 0193f2a1-7c44-7d0e-9a53-5b1f0c6e2a90",
)
@click.argument("payment")
@click.option("--object", "object_id", metavar="ID", help="Evidence: its pi_ or tr_ at Stripe.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one object.")
def settle(payment: str, object_id: str | None, as_json: bool) -> None:
    """Look at Stripe for the outcome of PAYMENT, and apply what is proved there.

    Sends nothing. An object that you name is fetched and compared before it counts; that an
    attempt never happened cannot be said by hand: two empty lists prove it. The journal keeps
    who asked. Exit status 1 when the outcome is still unknown.
    """
    inquired = with_service(lambda service: service.inquiry.settle(operator(), payment, object_id))
    if as_json:
        print_json(_as_json(inquired))
    else:
        _print(inquired)
    if not inquired.settled:
        raise click.exceptions.Exit(1)


def _print(inquired: Inquired) -> None:
    after, call = inquired.after, inquired.open_call
    click.echo(f"Payment {after.id}: {after.status}, {amount(after.amount)}")
    if call is None:
        found = after.transfer or after.payment_intent
        at_stripe = f", by {found} at Stripe" if found else ""
        click.echo(f"Settled: {inquired.before.status} -> {after.status}{at_stripe}.")
        return
    click.echo(
        f"Still unknown: {call.operation} of {moment(call.started_at)}, key {call.key}"
        + (f" ({after.unknown})" if after.unknown else "")
    )
    click.echo(
        f"Until {moment(call.key_until)} the worker repeats it under the same key, which cannot "
        "move money twice; after that it only looks."
    )
    if call.void_after is not None:
        click.echo(
            f"If Stripe goes on showing nothing, it is given up as never sent from "
            f"{moment(call.void_after)} on."
        )
    click.echo("You found it in Stripe's dashboard? roadcall-payments settle PAYMENT --object ID")


def _as_json(inquired: Inquired) -> JsonValue:
    call = inquired.open_call
    return {
        "paymentId": inquired.after.id,
        "before": inquired.before.status,
        "after": inquired.after.status,
        "settled": inquired.settled,
        "openCall": None
        if call is None
        else {
            "operation": call.operation,
            "idempotencyKey": call.key,
            "startedAt": call.started_at,
            "keyUntil": call.key_until,
            "voidAfter": call.void_after,
        },
    }
