"""Creating, reading and moving payments, as a client sees it."""

from tests.api.harness import DISPATCHER, DRIVER, SERVICE, Api


async def test_a_driver_pays_by_card(api: Api) -> None:
    payment = await api.approved()
    processed = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert processed.status == 200
    assert processed.json["stripePaymentIntentId"] in api.gateway.intents
    assert processed.json["payment"]["awaiting"] == "payer"
    confirmed = await api.post(
        f"/payments/{payment['id']}/confirm", DRIVER, {"paymentMethodId": "pm_card_visa"}
    )
    assert confirmed.status == 200, confirmed.text
    assert confirmed.json["payment"]["status"] == "completed"
    assert confirmed.json["requiresAction"] is False
    read = await api.get(f"/payments/{payment['id']}", DISPATCHER)
    assert read.json == confirmed.json["payment"] | {
        name: read.json[name]
        for name in ("risk", "approvals", "createdBy", "onReview", "anomalies")
    }


async def test_a_back_office_pays_a_vendor(api: Api) -> None:
    payment = await api.created_for_back_office()
    approved = await api.post(
        f"/payments/{payment['id']}/approve", DISPATCHER, {"vendorStripeAccountId": "acct_1"}
    )
    assert approved.json["vendorStripeAccountId"] == "acct_1"
    processed = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    assert processed.status == 200, processed.text
    assert processed.json["stripeTransferId"] in api.gateway.made_transfers
    assert processed.json["payment"]["status"] == "completed"
