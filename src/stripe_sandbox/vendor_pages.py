"""What a vendor sees at Stripe: the onboarding behind an account link, the Express dashboard."""

from html import escape
from itertools import islice
from urllib.parse import parse_qs

from stripe_sandbox.html_answers import html_response, redirect
from stripe_sandbox.messages import Request, Response
from stripe_sandbox.records import Account, AccountLink
from stripe_sandbox.resources.bank_accounts import TEST_NUMBERS
from stripe_sandbox.resources.onboarding import change_bank_account, finish_onboarding
from stripe_sandbox.world import World

SHOWN_MAX = 25


def onboard(world: World, request: Request, link: AccountLink, account: Account) -> Response:
    """Give what is due, or leave it for later: the visitor comes back to `return_url` either way,
    as at Stripe, and only the account says which it was."""
    if link.used or link.expires_at <= world.now:
        return redirect(link.refresh_url)
    if request.method == "GET":
        due = "".join(f"<li><code>{escape(name)}</code></li>" for name in account.requirements)
        return html_response(
            "Set up your account",
            f"<p><code>{escape(account.id)}</code> still has to give:</p>"
            f"<ul>{due or '<li>nothing</li>'}</ul>"
            f'<form method="post">{_bank_choices(world, account)}'
            '<p><button name="act" value="finish">Give all of it and finish</button> '
            '<button name="act" value="later">Come back later</button></p></form>',
        )
    link.used = True
    world.account_links.save(link)
    if _field(request, "act") != "later":
        finish_onboarding(world, account, _bank_chosen(request))
    return redirect(link.return_url)


def look_around(world: World, request: Request, link: AccountLink, account: Account) -> Response:
    """The Express dashboard: balance, payouts, and the bank account to change."""
    if link.expires_at <= world.now:
        return html_response("This link has expired", "<p>Ask for a new one.</p>", status=410)
    if request.method == "POST":
        number = _bank_chosen(request)
        if number is not None:
            change_bank_account(world, account, number)
        return redirect(request.path)
    balance = "".join(
        f"<li>{money.available:,} {escape(currency)} available, {money.pending:,} pending</li>"
        for currency, money in world.funds.get(account.id, {}).items()
    )
    payouts = "".join(
        f"<li><code>{escape(each.id)}</code> {each.amount:,} {escape(each.currency)}: "
        f"{escape(each.status)} {escape(each.failure_message or '')}</li>"
        for each in islice(world.payouts.newest("account", account.id), SHOWN_MAX)
    )
    return html_response(
        "Your account",
        f"<h2>Balance (minor units)</h2><ul>{balance or '<li>nothing yet</li>'}</ul>"
        f"<h2>Payouts</h2><ul>{payouts or '<li>none yet</li>'}</ul>"
        f'<h2>Bank account</h2><form method="post">{_bank_choices(world, account)}'
        "<button>Save</button></form>",
    )


def _bank_choices(world: World, account: Account) -> str:
    kept = [bank for bank in world.bank_accounts.where("account", account.id) if bank.default]
    label = f"keep ...{kept[0].last4} ({kept[0].status})" if kept else "one that pays"
    choices = [("", label)]
    for number, outcome in TEST_NUMBERS.items():
        fate = "payouts arrive" if outcome == "paid" else f"payouts fail: {outcome}"
        choices.append((number, f"...{number[-4:]}, {fate}"))
    options = "".join(
        f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in choices
    )
    return f'<p><label>Bank account <select name="bank">{options}</select></label></p>'


def _field(request: Request, name: str) -> str:
    return parse_qs(request.body.decode("utf-8", "replace")).get(name, [""])[-1]


def _bank_chosen(request: Request) -> str | None:
    number = _field(request, "bank")
    return number if number in TEST_NUMBERS else None
