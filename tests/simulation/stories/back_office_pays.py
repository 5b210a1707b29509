"""A fleet's back office pays: a transfer to the vendor, tried again where it was refused."""

from __future__ import annotations

from roadcall_payments.domain.payment import Status
from tests.simulation.stories.approving import approved, cancel, process, retry
from tests.simulation.teller import Heard, Teller, both, ended

ROUNDS_MAX = 4


async def back_office_pays(teller: Teller) -> None:
    if await approved(teller) is None:
        return
    for _ in range(ROUNDS_MAX):
        heard: Heard | None = None
        if teller.chance(0.02):
            await both(teller.ask("process", process(teller)), teller.ask("cancel", cancel(teller)))
        else:
            heard = await teller.ask("process", process(teller))
        payment = await teller.settled(heard)
        if ended(payment):
            return
        if payment.status is Status.FAILED:
            if teller.chance(0.1):
                await teller.ask("cancel", cancel(teller))
                return
            _onboarded(teller)
            await teller.ask("retry", retry(teller))
        elif heard is not None and heard.code == "vendor_cannot_receive":
            _onboarded(teller)
        await teller.rest(1, 20)


def _onboarded(teller: Teller) -> None:
    """The account could not receive transfers: its holder brings what Stripe asks for."""
    teller.world.desk.control("POST", f"accounts/{teller.job.destination or ''}/onboard")
