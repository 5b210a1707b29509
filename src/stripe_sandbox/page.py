"""The page at `/`: objects, balances, events and deliveries, and the parts one can play."""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import TypeVar

from stripe_sandbox.clock import SandboxClock
from stripe_sandbox.collection import Collection
from stripe_sandbox.html_answers import html_response
from stripe_sandbox.messages import Request, Response
from stripe_sandbox.own_records import Delivery
from stripe_sandbox.records import Record
from stripe_sandbox.visitor_pages import visit
from stripe_sandbox.world import World

R = TypeVar("R", bound=Record)

ROWS_MAX = 25

SCRIPT = """
document.addEventListener('click', async event => {
  const button = event.target.closest('button[data-path]');
  if (!button) return;
  button.disabled = true;
  const answer = await fetch('/_sandbox/' + button.dataset.path,
    {method: 'POST', body: button.dataset.body});
  if (answer.ok) location.reload();
  else { alert((await answer.json()).error.message); button.disabled = false; }
});
"""


def respond(world: World, clock: SandboxClock, request: Request) -> Response | None:
    """The page that the request asks for; None where it asks for none."""
    if request.path == "/" and request.method == "GET":
        return html_response("Stripe sandbox", _dashboard(world, clock), SCRIPT)
    return visit(world, request)


def _dashboard(world: World, clock: SandboxClock) -> str:
    time = f"{_at(world.now)} ({clock.mode.value})"
    other = "running" if clock.mode.value == "standing" else "standing"
    return "".join(
        [
            f"<p>The clock says {time}. ",
            _button("an hour on", "clock", '{"advance": 3600}'),
            _button("a day on", "clock", '{"advance": 86400}'),
            _button(other, "clock", f'{{"mode": "{other}"}}'),
            f"</p><p>The platform is <code>{escape(world.platform)}</code>.</p>",
            _balances(world),
            _payments(world),
            _transfers(world),
            _payouts(world),
            _refunds(world),
            _disputes(world),
            _events(world),
            _faults(world),
        ]
    )


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _money(amount: int, currency: str) -> str:
    return f"{amount:,} {escape(currency)}"


def _button(label: str, path: str, body: str = "{}") -> str:
    return (
        f'<button data-path="{escape(path)}" data-body="{escape(body)}">{escape(label)}</button> '
    )


def _table(title: str, heads: str, rows: Iterable[list[str]]) -> str:
    """Cells are HTML already."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return f"<h2>{title}</h2><p class=none>None yet.</p>"
    head = "".join(f"<th>{name}</th>" for name in heads.split(","))
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _latest(collection: Collection[R]) -> Iterable[R]:
    return islice(reversed(list(collection)), ROWS_MAX)


def _code(text: str | None) -> str:
    return f"<code>{escape(text)}</code>" if text else "-"


def _balances(world: World) -> str:
    rows = [
        [_code(account), _money(money.available, currency), _money(money.pending, currency)]
        for account, by_currency in world.funds.items()
        for currency, money in by_currency.items()
    ]
    return _table("Balances (minor units)", "account,available,pending", rows)


def _payments(world: World) -> str:
    rows = []
    for intent in _latest(world.payment_intents):
        path = f"payment_intents/{intent.id}/authenticate"
        acts = ""
        if intent.status == "requires_action":
            acts = _button("approve", path, '{"outcome": "succeed"}')
            acts += _button("decline", path, '{"outcome": "fail"}')
        elif intent.status == "succeeded" and intent.latest_charge:
            acts = _button("dispute", f"charges/{intent.latest_charge}/dispute")
        error = intent.last_error.message if intent.last_error else ""
        money = _money(intent.amount, intent.currency)
        rows.append([_code(intent.id), money, escape(intent.status), escape(error), acts])
    return _table("PaymentIntents", "id,amount,status,last error,play the card holder", rows)


def _transfers(world: World) -> str:
    rows = [
        [
            _code(transfer.id),
            _money(transfer.amount, transfer.currency),
            _money(transfer.amount_reversed, transfer.currency),
            _code(transfer.destination),
            _code(transfer.transfer_group),
        ]
        for transfer in _latest(world.transfers)
    ]
    return _table("Transfers", "id,amount,reversed,destination,group", rows)


def _payouts(world: World) -> str:
    rows = []
    for payout in _latest(world.payouts):
        acts = ""
        if payout.status in ("pending", "in_transit"):
            acts = _button("pay", f"payouts/{payout.id}/pay")
        if payout.status in ("pending", "in_transit", "paid"):
            acts += _button("fail", f"payouts/{payout.id}/fail")
        status = escape(payout.status + (f": {payout.failure_code}" if payout.failure_code else ""))
        money = _money(payout.amount, payout.currency)
        rows.append([_code(payout.id), _code(payout.account), money, status, acts])
    return _table("Payouts", "id,account,amount,status,play the bank", rows)


def _refunds(world: World) -> str:
    rows = []
    for refund in _latest(world.refunds):
        failable = refund.status in ("pending", "succeeded") and not refund.source_transfer_reversal
        acts = _button("fail", f"refunds/{refund.id}/fail") if failable else ""
        money = _money(refund.amount, refund.currency)
        rows.append([_code(refund.id), _code(refund.charge), money, escape(refund.status), acts])
    return _table("Refunds", "id,charge,amount,status,play the bank", rows)


def _disputes(world: World) -> str:
    rows = []
    for dispute in _latest(world.disputes):
        acts = ""
        if dispute.status not in ("won", "lost", "warning_closed"):
            path = f"disputes/{dispute.id}/decide"
            acts = _button("won", path, '{"outcome": "won"}')
            acts += _button("lost", path, '{"outcome": "lost"}')
        money = _money(dispute.amount, dispute.currency)
        rows.append([_code(dispute.id), _code(dispute.charge), money, escape(dispute.status), acts])
    return _table("Disputes", "id,charge,amount,status,play the bank", rows)


def _events(world: World) -> str:
    rows = []
    for event in _latest(world.events):
        deliveries = world.deliveries.where("event", event.id)
        told = "<br>".join(_delivery(world, delivery) for delivery in deliveries)
        rows.append(
            [
                _code(event.id),
                escape(event.type),
                _code(event.account) if event.connect else "platform",
                _at(event.created),
                told,
                _button("resend", f"events/{event.id}/resend"),
            ]
        )
    return _table("Events", "id,type,account,at,deliveries,", rows)


def _delivery(world: World, delivery: Delivery) -> str:
    endpoint = world.webhook_endpoints.get(delivery.endpoint)
    answers = ", ".join(
        str(attempt.status or attempt.error or "no answer") for attempt in delivery.attempts
    )
    url = endpoint.url if endpoint else delivery.endpoint
    return f"{escape(url)}: {escape(delivery.state)} ({escape(answers) or 'not tried'})"


def _faults(world: World) -> str:
    rows = [
        [
            _code(fault.id),
            escape(fault.kind.value),
            _code(fault.event if fault.kind.value.startswith("webhook") else fault.route),
            str(fault.probability),
            "for ever" if fault.count is None else str(fault.count),
            str(fault.struck),
        ]
        for fault in world.faults.all()
    ]
    return _table("Faults", "id,kind,matches,probability,left,struck", rows)
