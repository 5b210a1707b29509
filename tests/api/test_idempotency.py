"""The same key and body: the first answer again, secrets excluded (M31)."""

from __future__ import annotations

import asyncio

from tests.api.harness import ADMIN, DISPATCHER, DRIVER, OTHER_SERVICE, SERVICE, Api

KEY = {"Idempotency-Key": "the-key"}


async def test_a_repeat_gets_the_first_answer(api: Api) -> None:
    job = api.new_payment()
    headers = {"Idempotency-Key": "create-1"}
    first = await api.post("/payments", SERVICE, job, headers=headers)
    assert first.status == 201
    assert first.headers["location"] == f"/payments/{first.json['id']}"
    assert "idempotency-replayed" not in first.headers
    again = await api.post("/payments", SERVICE, job, headers=headers)
    assert again.status == 201
    assert again.json["id"] == first.json["id"]
    assert again.headers["idempotency-replayed"] == "true"


async def test_the_order_of_fields_plays_no_part(api: Api) -> None:
    job = api.new_payment()
    headers = {"Idempotency-Key": "create-2"}
    first = await api.post("/payments", SERVICE, job, headers=headers)
    turned = dict(reversed(job.items()))
    again = await api.post("/payments", SERVICE, turned, headers=headers)
    assert again.json["id"] == first.json["id"]


async def test_another_body_is_a_422(api: Api) -> None:
    headers = {"Idempotency-Key": "create-3"}
    await api.post("/payments", SERVICE, api.new_payment(), headers=headers)
    reply = await api.post("/payments", SERVICE, api.new_payment(), headers=headers)
    assert (reply.status, reply.code) == (422, "idempotency_key_reused")


async def test_a_key_belongs_to_its_caller_and_address(api: Api) -> None:
    headers = {"Idempotency-Key": "shared-words"}
    first = await api.post("/payments", SERVICE, api.new_payment(), headers=headers)
    other = await api.post("/payments", OTHER_SERVICE, api.new_payment(), headers=headers)
    assert other.json["companyId"] == "c_2"
    address = f"/payments/{first.json['id']}"
    assert (await api.post(f"{address}/approve", DISPATCHER, headers=headers)).status == 200
    assert (await api.post(f"{address}/process", SERVICE, headers=headers)).status == 200


async def test_a_repeated_process_moves_nothing_and_has_no_secret(api: Api) -> None:
    payment = await api.approved()
    address = f"/payments/{payment['id']}/process"
    headers = {"Idempotency-Key": "process-1", "On-Behalf-Of": "d_1"}
    first = await api.post(address, SERVICE, headers=headers)
    assert first.json["clientSecret"] is not None
    sent = len(api.gateway.sent)
    again = await api.post(address, SERVICE, headers=headers)
    assert len(api.gateway.sent) == sent
    assert again.status == 200
    assert again.json == first.json | {"clientSecret": None}


async def test_another_payer_under_the_same_key_is_a_422(api: Api) -> None:
    payment = await api.approved()
    address = f"/payments/{payment['id']}/process"
    await api.post(address, SERVICE, headers=KEY | {"On-Behalf-Of": "d_1"})
    reply = await api.post(address, SERVICE, headers=KEY)
    assert (reply.status, reply.code) == (422, "idempotency_key_reused")


async def test_a_declined_card_is_declined_again(api: Api) -> None:
    payment = await api.processing()
    address = f"/payments/{payment['id']}/confirm"
    body = {"paymentMethodId": "pm_card_visa"}
    api.gateway.decline()
    first = await api.post(address, DRIVER, body, headers=KEY)
    again = await api.post(address, DRIVER, body, headers=KEY)
    assert (first.status, again.status) == (400, 400)
    assert again.code == "payment_failed"
    fresh = await api.post(address, DRIVER, body, headers={"Idempotency-Key": "second-try"})
    assert fresh.json["payment"]["status"] == "completed"


async def test_many_at_once_make_one_payment(api: Api) -> None:
    job = api.new_payment()
    headers = {"Idempotency-Key": "at-once"}
    replies = await asyncio.gather(
        *(api.post("/payments", SERVICE, job, headers=headers) for _ in range(20))
    )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 1


async def test_many_at_once_process_one_payment(api: Api) -> None:
    payment = await api.approved()
    sent = len(api.gateway.sent)
    replies = await asyncio.gather(
        *(api.post(f"/payments/{payment['id']}/process", ADMIN) for _ in range(20))
    )
    assert sorted(reply.status for reply in replies) == [200] + [409] * 19
    assert len(api.gateway.sent) == sent + 1
