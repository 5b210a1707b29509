"""token: a bearer token of the embedded issuer, for work on one machine."""

from __future__ import annotations

import click

from roadcall_payments.api.local_issuer import (
    EXAMPLE_CALLERS,
    LocalIssuerExposed,
    local_issuer,
)
from roadcall_payments.cli.service import Failed, read_settings
from roadcall_payments.domain.people import Actor

_EXAMPLES = {caller.role.value: caller for caller in EXAMPLE_CALLERS}


@click.command(
    short_help="A bearer token of the embedded issuer.",
    epilog="Example: TOKEN=$(roadcall-payments token dispatcher --company c_example)",
)
@click.argument("role", type=click.Choice(list(_EXAMPLES)))
@click.option("--subject", help="Who it is: the journal names them.  [default: ROLE-example]")
@click.option("--company", help="For service and dispatcher.  [default: c_example]")
@click.option("--vendor", help="For vendor.  [default: v_example]")
@click.option("--driver", help="For driver.  [default: d_example]")
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=12, show_default=True)
def token(
    role: str,
    subject: str | None,
    company: str | None,
    vendor: str | None,
    driver: str | None,
    hours: int,
) -> None:
    """Print a token of the embedded issuer for ROLE, and nothing else.

    Only where the service makes its own key; with ROADCALL_JWKS_URL, tokens come from there.
    """
    settings = read_settings()
    if not settings.embedded_issuer:
        raise Failed("Tokens come from the issuer behind ROADCALL_JWKS_URL; ask that one.")
    example = _EXAMPLES[role]
    given = {"company_id": company, "vendor_id": vendor, "driver_id": driver}
    needless = [name for name, value in given.items() if value and not getattr(example, name)]
    if needless:
        raise click.UsageError(f"A token for {role} has no {needless[0].removesuffix('_id')}.")
    caller = Actor(
        subject or example.id,
        example.role,
        company or example.company_id,
        vendor or example.vendor_id,
        driver or example.driver_id,
    )
    try:
        click.echo(local_issuer(settings).token(caller, hours * 3600))
    except LocalIssuerExposed as exposed:
        raise Failed(str(exposed)) from None
