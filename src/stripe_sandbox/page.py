"""The sandbox's pages: what there is, and the parts of a card holder, a vendor and a bank."""

from typing import TYPE_CHECKING

from stripe_sandbox.messages import Request, Response

if TYPE_CHECKING:
    from stripe_sandbox.sandbox import Sandbox


def respond(sandbox: "Sandbox", request: Request) -> Response | None:
    """The page that the request asks for; None where it asks for none."""
    return None
