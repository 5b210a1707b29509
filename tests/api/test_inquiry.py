"""POST /payments/{paymentId}/settle: Stripe is asked, and only what it shows counts (M5, M13)."""

from __future__ import annotations

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.stripe_objects import Transfer
from tests.api.harness import ADMIN, AUDITOR, Api


async def test_what_stripe_shows_settles_it_and_the_timeline_says_who_asked(api: Api) -> None:
    payment = await api.unknown_transfer()
    sent = len(api.gateway.sent)
    reply = await api.post(f"/payments/{payment['id']}/settle", ADMIN)
    assert (reply.status, reply.json["settled"], reply.json["openCall"]) == (200, True, None)
    assert (reply.json["before"], reply.json["payment"]["status"]) == ("processing", "completed")
    assert len(api.gateway.sent) == sent
    timeline = (await api.get(f"/payments/{payment['id']}/timeline", AUDITOR)).json["entries"]
    (asked,) = [entry for entry in timeline if entry["type"] == "OutcomeInquired"]
    assert asked["actor"] == "admin:maria"


async def test_what_is_still_unknown_says_how_it_goes_on(api: Api) -> None:
    payment = await api.unknown_transfer()
    made = dict(api.gateway.made_transfers)
    api.gateway.made_transfers.clear()
    reply = await api.post(f"/payments/{payment['id']}/settle", ADMIN)
    assert (reply.status, reply.json["settled"]) == (200, False)
    assert reply.json["payment"]["status"] == "processing"
    call = reply.json["openCall"]
    assert call["idempotencyKey"] == f"transfer_{payment['id']}"
    assert call["startedAt"] < call["keyUntil"] < call["voidAfter"]
    api.gateway.made_transfers.update(made)
    assert (await api.post(f"/payments/{payment['id']}/settle", ADMIN)).json["settled"] is True


async def test_evidence_counts_only_where_it_is_this_payments(api: Api) -> None:
    payment, other = await api.unknown_transfer(), await api.unknown_transfer()
    own, anothers = [
        next(one.id for one in api.gateway.made_transfers.values() if _is_of(one, of["id"]))
        for of in (payment, other)
    ]
    address = f"/payments/{payment['id']}/settle"
    for wrong in (anothers, "tr_nowhere", "ch_1", "", 7):
        refused = await api.post(address, ADMIN, {"object": wrong})
        assert (refused.status, refused.code, refused.json.get("field")) == (
            400,
            "invalid_input",
            "object",
        )
    assert (await api.post(address, ADMIN, {"object": own})).json["settled"] is True


def _is_of(transfer: Transfer, payment_id: str) -> bool:
    return transfer.metadata["paymentId"] == payment_id


async def test_nothing_is_asked_about_what_is_known(api: Api) -> None:
    payment = await api.failed_transfer()
    refused = await api.post(f"/payments/{payment['id']}/settle", ADMIN)
    assert (refused.status, refused.code) == (409, "status_forbids")
    assert refused.json["payment"]["status"] == "failed"


async def test_stripe_that_does_not_answer_settles_nothing(api: Api) -> None:
    payment = await api.unknown_transfer()
    api.gateway.lists_down = StripeUnavailable("the list is down")
    refused = await api.post(f"/payments/{payment['id']}/settle", ADMIN)
    assert (refused.status, refused.code) == (503, "stripe_unavailable")
    shown = (await api.get(f"/payments/{payment['id']}", ADMIN)).json
    assert shown["status"] == "processing"
