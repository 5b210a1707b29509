"""The pages that Stripe sends people to: a card holder's challenge, a vendor's onboarding."""

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from stripe_sandbox.messages import Request, Response
from stripe_sandbox.records import AccountLink, PaymentIntent
from stripe_sandbox.resources.accounts import finish_onboarding
from stripe_sandbox.resources.payment_intent_life import authenticate

if TYPE_CHECKING:
    from stripe_sandbox.sandbox import Sandbox

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: #1b1f27; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid #dde2ea;
  vertical-align: top; }
code { font-size: .85em; } .none { color: #667; }
button { font: inherit; padding: .15rem .6rem; border: 1px solid #5b64d8; border-radius: 4px;
  background: #fff; color: #3d46bf; cursor: pointer; }
@media (prefers-color-scheme: dark) { body { color: #e6e9ef; background: #14171d; }
  th, td { border-color: #333a46; } button { background: #14171d; color: #a9b0ff; }
  .none { color: #99a; } }
"""


def html_response(title: str, content: str, script: str = "", status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{content}<script>{script}</script></body></html>"
    )
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def visit(sandbox: "Sandbox", request: Request) -> Response | None:
    """The challenge or the onboarding that the path names; None where it names neither."""
    parts = request.path.strip("/").split("/")
    if len(parts) != 3 or parts[1] not in ("3ds", "onboarding"):
        return None
    if parts[1] == "3ds":
        intent = sandbox.world.payment_intents.get(parts[2])
        return _gone() if intent is None else _challenge(sandbox, request, intent)
    link = sandbox.world.account_links.get(parts[2])
    return _gone() if link is None else _onboarding(sandbox, request, link)


def _gone() -> Response:
    return html_response("Nothing here", "<p>This sandbox knows no such page.</p>", status=404)


def _challenge(sandbox: "Sandbox", request: Request, intent: PaymentIntent) -> Response:
    if intent.status != "requires_action":
        return html_response(
            "Nothing to approve", f"<p>This payment is {escape(intent.status)}.</p>", status=409
        )
    if request.method == "GET":
        amount = f"{intent.amount:,} {escape(intent.currency)}"
        return html_response(
            "Your bank asks",
            f"<p>Do you approve a payment of {amount} (minor units)?</p>"
            '<form method="post"><button name="outcome" value="succeed">Approve</button> '
            '<button name="outcome" value="fail">Decline</button></form>',
        )
    outcome = parse_qs(request.body.decode("utf-8", "replace")).get("outcome", ["fail"])[0]
    authenticate(sandbox.world, intent, approved=outcome == "succeed")
    if intent.return_url is None:
        return html_response("Thank you", f"<p>The payment is {escape(intent.status)}.</p>")
    facts = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": "succeeded" if intent.status == "succeeded" else "failed",
    }
    joint = "&" if "?" in intent.return_url else "?"
    return _redirect(f"{intent.return_url}{joint}{urlencode(facts)}")


def _onboarding(sandbox: "Sandbox", request: Request, link: AccountLink) -> Response:
    world = sandbox.world
    if link.used or link.expires_at <= world.now:
        return _redirect(link.refresh_url)
    if request.method == "GET":
        return html_response(
            "Set up your account",
            f"<p>Give <code>{escape(link.account)}</code> a business, a bank account and your "
            'consent to the terms?</p><form method="post"><button>Finish</button></form>',
        )
    link.used = True
    world.account_links.save(link)
    account = world.accounts.get(link.account)
    if account is None:
        return _gone()
    finish_onboarding(world, account)
    return _redirect(link.return_url)


def _redirect(url: str) -> Response:
    return Response(303, b"", {"Location": url})
