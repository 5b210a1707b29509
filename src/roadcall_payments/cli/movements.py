"""pause, resume: the one switch that holds every outgoing movement."""

from __future__ import annotations

import click

from roadcall_payments.cli.service import operator, with_service


@click.command(
    short_help="Hold every outgoing movement.",
    epilog='Example: roadcall-payments pause "Stripe reports an incident"',
)
@click.argument("reason")
def pause(reason: str) -> None:
    """Hold every outgoing movement, everywhere, until `resume`; REASON is shown to whoever asks.

    What is under way at Stripe goes on; webhooks are still taken and applied.
    """
    movements = with_service(lambda service: service.movements_switch.pause(operator(), reason))
    click.echo(f"Movements are held: {movements.reason}. To go on: roadcall-payments resume")


@click.command(short_help="Let movements go again.", epilog="Example: roadcall-payments resume")
def resume() -> None:
    """Let movements go again; the worker takes up what waited."""
    with_service(lambda service: service.movements_switch.resume(operator()))
    click.echo("Movements go again.")
