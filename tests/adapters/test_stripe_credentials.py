"""Credentials: read late, kept, read again after a 401; never another account's (M5, M18)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadcall_payments.domain.errors import CredentialsRejected, StripeUnavailable
from roadcall_payments.domain.stripe_objects import StripeIdentity, StripeRequest
from roadcall_payments.ports import Answered, Unknown, UnknownReason
from tests.adapters.scripted_stripe import (
    ACCOUNT,
    CONFIRM,
    KEY,
    SUCCEEDED,
    Drop,
    Reply,
    Safe,
    declined,
    rigged,
)


async def test_nothing_is_read_before_it_is_needed_and_then_once() -> None:
    async with rigged(SUCCEEDED, SUCCEEDED) as rig:
        assert rig.safe.reads == 0
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        assert await rig.gateway.identity() == StripeIdentity(ACCOUNT, livemode=False)
    assert rig.safe.reads == 1
    assert rig.stripe.asked_who == [KEY]


async def test_a_rotated_key_is_found_after_a_401_and_the_same_request_sent_again() -> None:
    async with rigged(SUCCEEDED, SUCCEEDED) as rig:
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        rig.stripe.rejected_keys.add(KEY)
        rig.safe.key = "sk_test_second"
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Answered)
    _, rejected, accepted = rig.stripe.received
    assert rejected.headers["Authorization"] == f"Bearer {KEY}"
    assert accepted.headers["Authorization"] == "Bearer sk_test_second"
    assert rejected.headers["Idempotency-Key"] == accepted.headers["Idempotency-Key"]
    assert rejected.form == accepted.form
    assert rig.stripe.asked_who == [KEY, "sk_test_second"]


async def test_a_key_that_stays_rejected_is_tried_twice_and_never_means_failed() -> None:
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        rig.stripe.rejected_keys.add(KEY)
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.AUTHENTICATION
    assert len(rig.stripe.received) == 3
    assert rig.safe.reads == 2


async def test_a_decline_after_a_401_is_no_proof() -> None:
    async with rigged(SUCCEEDED, declined()) as rig:
        await rig.gateway.identity()
        rig.stripe.rejected_keys.add(KEY)
        rig.safe.key = "sk_test_second"
        rig.stripe.steps = [declined()]
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.UNPROVEN_REFUSAL


async def test_a_rotated_key_of_another_account_sends_nothing() -> None:
    async with rigged(SUCCEEDED) as rig:
        rig.stripe.accounts["sk_test_other"] = "acct_other"
        await rig.gateway.identity()
        rig.stripe.rejected_keys.add(KEY)
        rig.safe.key = "sk_test_other"
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.AUTHENTICATION
    assert [call.headers["Authorization"] for call in rig.stripe.received] == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    "stored", [replace(CONFIRM, account="acct_other"), replace(CONFIRM, livemode=True)]
)
async def test_a_request_of_another_account_or_mode_is_not_sent(stored: StripeRequest) -> None:
    async with rigged(SUCCEEDED) as rig:
        outcome = await rig.gateway.send(stored, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.AUTHENTICATION
    assert rig.stripe.received == []


@pytest.mark.parametrize(
    ("key", "livemode"),
    [
        ("sk_live_x", True),
        ("rk_live_x", True),
        ("sk_test_live_x", False),
        ("rk_test_x", False),
        ("sk_org_live_x", True),
    ],
)
async def test_the_keys_prefix_tells_the_mode(key: str, livemode: bool) -> None:
    async with rigged(safe=Safe(key)) as rig:
        assert (await rig.gateway.identity()).livemode is livemode


async def test_a_key_without_a_mode_is_asked_for_a_balance() -> None:
    balance = {"object": "balance", "livemode": True, "available": [], "pending": []}
    async with rigged(Reply(body=balance), safe=Safe("oldkey")) as rig:
        assert (await rig.gateway.identity()).livemode is True
        assert [call.path for call in rig.stripe.received] == ["/v1/balance"]


async def test_without_credentials_a_send_is_unknown_and_a_read_says_what_is_missing() -> None:
    async with rigged(safe=Safe(None)) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        with pytest.raises(CredentialsRejected, match="apiKey"):
            await rig.gateway.payment_intent("pi_1")
        with pytest.raises(CredentialsRejected, match="apiKey"):
            await rig.gateway.connect_enabled()
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.AUTHENTICATION


async def test_a_read_with_a_rejected_key_says_so() -> None:
    async with rigged() as rig:
        rig.stripe.rejected_keys.add(KEY)
        with pytest.raises(CredentialsRejected):
            await rig.gateway.identity()
        with pytest.raises(CredentialsRejected):
            await rig.gateway.payment_intent("pi_1")


async def test_an_identity_that_cannot_be_learned_sends_nothing() -> None:
    async with rigged(SUCCEEDED) as rig:
        rig.stripe.rejected_keys.add(KEY)
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.AUTHENTICATION
    assert rig.stripe.received == []


async def test_credentials_are_reloaded_while_running() -> None:
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.identity()
        rig.stripe.accounts["sk_live_second"] = "acct_second"
        rig.safe.key = "sk_live_second"
        await rig.gateway.reload_credentials()
        assert await rig.gateway.identity() == StripeIdentity("acct_second", livemode=True)


async def test_changed_settings_are_seen_within_a_minute() -> None:
    async with rigged() as rig:
        assert await rig.gateway.connect_enabled()
        rig.safe.connect_enabled = False
        rig.clock.elapsed_s += 59
        assert await rig.gateway.connect_enabled()
        rig.clock.elapsed_s += 1
        assert not await rig.gateway.connect_enabled()


async def test_a_source_that_fails_later_leaves_the_credentials_as_they_were() -> None:
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.identity()
        rig.safe.key = None
        rig.clock.elapsed_s += 3600
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        with pytest.raises(CredentialsRejected):
            await rig.gateway.reload_credentials()
    assert isinstance(outcome, Answered)


async def test_a_connection_lost_while_asking_who_we_are_is_unavailable() -> None:
    async with rigged(*[Drop()] * 4, safe=Safe("oldkey")) as rig:
        with pytest.raises(StripeUnavailable):
            await rig.gateway.identity()
