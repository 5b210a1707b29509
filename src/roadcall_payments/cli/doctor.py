"""doctor: is everything in order, and if not, what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import click

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.database_check import NETWORK_TIMEOUT_S, database_checks
from roadcall_payments.cli.finding import Check, Finding
from roadcall_payments.cli.service import read_settings, with_service
from roadcall_payments.cli.tables import age, moment, print_json, print_table
from roadcall_payments.commit import InboxStatus
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput, RoadcallError

# Stripe's signatures are refused at 300 s; say it long before.
SKEW_MAX = timedelta(seconds=30)
QUEUE_AGE_MAX = timedelta(minutes=5)


@click.command(
    short_help="Is everything in order, and if not, what to do?",
    epilog="Example: roadcall-payments doctor",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, a list of checks.")
def doctor(as_json: bool) -> None:
    """Look at keys, mode, endpoints, clock, database and queues, and say what to do.

    Exit status 1 when something is wrong.
    """
    settings = read_settings()
    checks = with_service(lambda service: _examined(service, settings), settings)
    if as_json:
        print_json(
            [
                {
                    "name": check.name,
                    "finding": check.finding,
                    "detail": check.detail,
                    "remedy": check.remedy,
                }
                for check in checks
            ]
        )
    else:
        rows = [(check.finding, check.name, check.detail) for check in checks]
        print_table(("", "CHECK", "FOUND"), rows)
        remedies = [f"{check.name}: {check.remedy}" for check in checks if check.remedy]
        if remedies:
            click.echo("\nWhat to do")
            for remedy in remedies:
                click.echo(f"  {remedy}")
    if any(check.finding is Finding.WRONG for check in checks):
        raise click.exceptions.Exit(1)


async def _examined(service: Service, settings: Settings) -> list[Check]:
    checks = [_issuer(settings), await _keys(service, settings), await _webhook_secrets(service)]
    checks += [check async for check in _stripe_endpoint(service, settings)]
    checks.append(await _own_endpoint(settings))
    checks += [check async for check in database_checks(service.store, settings)]
    checks += [check async for check in _queues(service)]
    checks += [await _inbox(service), await _movements(service), await _mail(settings)]
    checks.append(await _checkpoints(service, settings))
    return checks


def _issuer(settings: Settings) -> Check:
    if settings.jwks_url is None:
        detail = f"embedded issuer, listening on {settings.host} only"
        remedy = "Before other machines may call: set ROADCALL_JWKS_URL to your issuer's keys."
        return Check("tokens", Finding.NOTE, detail, remedy)
    return Check("tokens", Finding.OK, f"issuer {settings.jwt_issuer}, keys {settings.jwks_url}")


async def _keys(service: Service, settings: Settings) -> Check:
    try:
        identity = await service.gateway.identity()
        connect_enabled = await service.gateway.connect_enabled()
    except RoadcallError as refused:
        remedy = (
            f"Put a valid key into {settings.stripe_secrets_file}; a running service sees it."
            if settings.stripe_secrets_file
            else "Export a valid STRIPE_API_KEY and start again, or use a file: "
            "ROADCALL_STRIPE_SECRETS_FILE."
        )
        return Check("Stripe key", Finding.WRONG, refused.message, remedy)
    mode = "live mode" if identity.livemode else "test mode"
    detail = f"accepted: account {identity.account}, {mode}"
    if not connect_enabled:
        remedy = "Transfers, vendors' shares and payouts wait until connectEnabled is true."
        return Check("Stripe key", Finding.NOTE, f"{detail}, Connect switched off", remedy)
    return Check("Stripe key", Finding.OK, detail)


async def _webhook_secrets(service: Service) -> Check:
    """A webhook that nobody signed must be refused for want of a signature, not of a secret."""
    try:
        await service.gateway.verified_event(b"{}", "", now=service.clock.now())
    except InvalidInput:
        return Check("webhook secrets", Finding.OK, "there; what they did not sign is refused")
    except RoadcallError as missing:
        remedy = "Copy each endpoint's signing secret from Stripe's dashboard to webhookSecret."
        return Check("webhook secrets", Finding.WRONG, missing.message, remedy)
    return Check("webhook secrets", Finding.WRONG, "an unsigned webhook was accepted", "Stop it.")


async def _stripe_endpoint(service: Service, settings: Settings) -> AsyncIterator[Check]:
    base = settings.stripe_api_base
    try:
        async with _http() as http, http.get(f"{base}/v1/account") as answer:
            date = answer.headers.get("Date")
    except (aiohttp.ClientError, TimeoutError) as unreachable:
        reason = str(unreachable) or "no answer"
        remedy = "Check the network, the proxy, and ROADCALL_STRIPE_API_BASE."
        yield Check("Stripe API", Finding.WRONG, f"{base}: {reason}", remedy)
        return
    yield Check("Stripe API", Finding.OK, f"{base} answers")
    if date is not None:
        yield _clock(service.clock.now(), parsedate_to_datetime(date))


def _clock(ours: datetime, stripes: datetime) -> Check:
    skew = abs(ours - stripes)
    if skew > SKEW_MAX:
        detail = f"{skew.total_seconds():.0f} s apart from Stripe's"
        remedy = "Set the machine's clock (NTP): at 300 s every webhook is refused."
        return Check("clock", Finding.WRONG, detail, remedy)
    return Check("clock", Finding.OK, "agrees with Stripe's within a few seconds")


async def _own_endpoint(settings: Settings) -> Check:
    url = f"http://{settings.host}:{settings.port}/health/ready"
    try:
        async with _http() as http, http.get(url) as answer:
            body = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        remedy = "Start it: roadcall-payments serve"
        return Check("service", Finding.NOTE, f"nothing of ours answers at {url}", remedy)
    if answer.status == 200:
        return Check("service", Finding.OK, f"ready at {url}")
    checks = body.get("checks", {})
    wrong = [f"{name}: {check['code']}" for name, check in checks.items() if not check["ok"]]
    return Check("service", Finding.WRONG, "; ".join(wrong), "See the other checks, and its log.")


async def _queues(service: Service) -> AsyncIterator[Check]:
    now = service.clock.now()
    for queue in await service.store.queue_ages():
        name = f"queue {queue.queue}"
        oldest = queue.oldest_due_at
        late = oldest is not None and now - oldest > QUEUE_AGE_MAX
        waits = f", oldest due for {age(oldest, now)}" if oldest and oldest < now else ""
        detail = f"{queue.waiting} waiting{waits}, {queue.parked} dead letters"
        if queue.parked:
            remedy = f"roadcall-payments dead-letters list --queue {queue.queue}"
            yield Check(name, Finding.WRONG, detail, remedy)
        elif late:
            remedy = "Is a worker running (roadcall-payments worker)? Its log says what fails."
            yield Check(name, Finding.WRONG, detail, remedy)
        else:
            yield Check(name, Finding.OK, detail)


async def _checkpoints(service: Service, settings: Settings) -> Check:
    """How old the newest is says little: an idle service makes none."""
    name, where = "checkpoints", settings.checkpoint_log_dir
    try:
        newest = await service.checkpoints.newest()
    except RoadcallError as unusable:
        remedy = "Give ROADCALL_CHECKPOINT_KEY_FILE and ROADCALL_CHECKPOINT_DIR what is kept."
        return Check(name, Finding.WRONG, unusable.message, remedy)
    if newest is None:
        remedy = "The worker makes them; by hand: roadcall-payments checkpoint"
        return Check(name, Finding.NOTE, f"none that can be trusted in {where}", remedy)
    ago = age(newest.at, service.clock.now())
    detail = f"number {newest.number} of {ago} ago, in {where}"
    if where.is_relative_to(settings.data_dir):
        remedy = "In production keep them and their key apart: ROADCALL_CHECKPOINT_DIR, _KEY_FILE."
        return Check(name, Finding.NOTE, f"{detail}, beside the database", remedy)
    return Check(name, Finding.OK, detail)


async def _inbox(service: Service) -> Check:
    page = await service.store.inbox_events(InboxStatus.REVIEW, None, 100)
    if page.items:
        more = "at least " if page.next_cursor else ""
        detail = f"{more}{len(page.items)} webhooks could not be applied"
        return Check("webhooks", Finding.WRONG, detail, "roadcall-payments inbox list")
    return Check("webhooks", Finding.OK, "none waits for a person")


async def _movements(service: Service) -> Check:
    movements = await service.movements_switch.state()
    if movements is not None and movements.hold is not None:
        hold = movements.hold
        detail = f"held after a restore; the books end at {moment(hold.since)}: {hold.reason}"
        passed = hold.repaired_until is not None
        return Check(
            "movements",
            Finding.WRONG,
            detail,
            "roadcall-payments release" if passed else "roadcall-payments repair-drift",
        )
    if movements is not None and movements.paused:
        waited = age(movements.updated_at, service.clock.now())
        detail = f"held for {waited} by {movements.by}: {movements.reason}"
        return Check("movements", Finding.WRONG, detail, "When over: roadcall-payments resume")
    return Check("movements", Finding.OK, "money may move")


async def _mail(settings: Settings) -> Check:
    if settings.smtp_url is None:
        remedy = "To send them: ROADCALL_SMTP_URL."
        return Check("mail", Finding.NOTE, "e-mails are logged, not sent", remedy)
    # The address may hold a password: only host and port are ever shown.
    parts = urlsplit(settings.smtp_url.get_secret_value())
    where = f"{parts.hostname}:{parts.port or 25}"
    try:
        connecting = asyncio.open_connection(parts.hostname, parts.port or 25)
        _, writer = await asyncio.wait_for(connecting, NETWORK_TIMEOUT_S)
    except (OSError, TimeoutError) as away:
        detail = f"{where} cannot be reached: {str(away) or 'no answer'}"
        return Check("mail", Finding.WRONG, detail, "Check ROADCALL_SMTP_URL and the network.")
    writer.close()
    await writer.wait_closed()
    return Check("mail", Finding.OK, f"{where} takes connections")


def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=NETWORK_TIMEOUT_S))
