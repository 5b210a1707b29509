"""The pages that Stripe sends people to: a card holder's challenge; a vendor's are next door."""

from html import escape
from urllib.parse import parse_qs, urlencode

from stripe_sandbox import vendor_pages
from stripe_sandbox.html_answers import gone, html_response, redirect
from stripe_sandbox.messages import Request, Response
from stripe_sandbox.records import PaymentIntent
from stripe_sandbox.resources.payment_intent_life import authenticate
from stripe_sandbox.world import World


def visit(world: World, request: Request) -> Response | None:
    """The page that the path names; None where it names none."""
    parts = request.path.strip("/").split("/")
    if len(parts) != 3:
        return None
    if parts[1] == "3ds":
        intent = world.payment_intents.get(parts[2])
        return gone() if intent is None else _challenge(world, request, intent)
    page = {"onboarding": vendor_pages.onboard, "express": vendor_pages.look_around}.get(parts[1])
    if page is None:
        return None
    link = world.account_links.get(parts[2])
    account = None if link is None else world.accounts.get(link.account)
    if link is None or account is None or (link.type == "login") != (parts[1] == "express"):
        return gone()
    return page(world, request, link, account)


def _challenge(world: World, request: Request, intent: PaymentIntent) -> Response:
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
    authenticate(world, intent, approved=outcome == "succeed")
    if intent.return_url is None:
        return html_response("Thank you", f"<p>The payment is {escape(intent.status)}.</p>")
    facts = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": "succeeded" if intent.status == "succeeded" else "failed",
    }
    joint = "&" if "?" in intent.return_url else "?"
    return redirect(f"{intent.return_url}{joint}{urlencode(facts)}")
