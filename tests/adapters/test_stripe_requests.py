"""What is derived for sending: complete, canonical, the same every time (M1, M4, M13)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain import payment_fold
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.stripe_objects import Operation, StripeIdentity, StripeRequest
from roadcall_payments.stripe_gateway import requests
from roadcall_payments.stripe_gateway.requests import API_VERSION, Redirects
from tests.builders import NOON, payment_created

US = StripeIdentity("acct_platform", livemode=True)
STAY = Redirects()
TOWED = Money(12_500, "usd")


def a_payment(amount: Money = TOWED) -> Payment:
    return payment_fold.apply(None, payment_created("p_1", amount=amount), NOON)


def confirmable() -> Payment:
    return replace(a_payment(), payment_intent="pi_1")


def params(request: StripeRequest) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(request.params)
    plainly = json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert plainly == request.params
    return parsed


def test_a_payment_intent_is_recognisable_and_needs_no_redirect() -> None:
    request = requests.payment_intent_request(
        a_payment(), key="payment_p_1", attempt=1, identity=US, redirects=STAY
    )
    assert request.operation is Operation.CREATE_PAYMENT_INTENT
    assert request.path == "/v1/payment_intents"
    assert params(request) == {
        "amount": 12_500,
        "currency": "usd",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "transfer_group": "p_1",
        "metadata": {"purpose": "driver_payment", "paymentId": "p_1", "attempt": "1"},
    }
    assert request.idempotency_key == "payment_p_1"
    assert (request.account, request.livemode) == ("acct_platform", True)
    assert request.api_version == API_VERSION
    assert request.connected_account is None


def test_with_a_return_address_redirects_are_allowed_and_confirmed_with_it() -> None:
    redirects = Redirects("https://pay.example/back")
    opened = requests.payment_intent_request(
        a_payment(), key="k", attempt=1, identity=US, redirects=redirects
    )
    confirmed = requests.confirm_request(
        confirmable(), key="k", payment_method="pm_1", identity=US, redirects=redirects
    )
    assert params(opened)["automatic_payment_methods"] == {
        "enabled": True,
        "allow_redirects": "always",
    }
    assert params(confirmed)["return_url"] == "https://pay.example/back"


@given(method=st.text(st.characters(codec="utf-8")))
def test_parameters_are_written_canonically_whatever_they_hold(method: str) -> None:
    confirmed = requests.confirm_request(
        confirmable(), key="k", payment_method=method, identity=US, redirects=STAY
    )
    assert params(confirmed)["payment_method"] == method


def test_a_confirmation_asks_for_the_line_in_stripes_books() -> None:
    request = requests.confirm_request(
        confirmable(), key="confirm_p_1_1", payment_method="pm_1", identity=US, redirects=STAY
    )
    assert request.path == "/v1/payment_intents/pi_1/confirm"
    assert params(request) == {
        "payment_method": "pm_1",
        "expand": ["latest_charge.balance_transaction"],
    }


def test_a_cancellation_names_the_intent() -> None:
    request = requests.cancel_request(confirmable(), key="cancel_p_1_1", identity=US)
    assert request.path == "/v1/payment_intents/pi_1/cancel"
    assert request.operation is Operation.CANCEL_PAYMENT_INTENT


def test_a_transfer_is_grouped_by_payment_and_names_its_attempt() -> None:
    payment = replace(a_payment(), payer_type=PayerType.BACK_OFFICE)
    request = requests.transfer_request(
        payment, key="transfer_p_1_2", attempt=2, destination="acct_vendor", identity=US
    )
    assert request.path == "/v1/transfers"
    assert params(request) == {
        "amount": 12_500,
        "currency": "usd",
        "destination": "acct_vendor",
        "transfer_group": "p_1",
        "metadata": {"purpose": "vendor_payment", "paymentId": "p_1", "attempt": "2"},
        "expand": ["balance_transaction"],
    }


def test_a_payout_is_sent_as_the_connected_account() -> None:
    request = requests.payout_request(
        "po_ours", Money(9_900, "usd"), key="payout_po_ours", account="acct_vendor", identity=US
    )
    assert request.connected_account == "acct_vendor"
    assert request.account == "acct_platform"
    assert params(request)["metadata"] == {"purpose": "payout", "payoutId": "po_ours"}


def test_a_payout_that_no_bank_takes_is_invalid() -> None:
    with pytest.raises(InvalidInput):
        requests.payout_request(
            "po_ours", Money(30_050, "huf"), key="k", account="acct_vendor", identity=US
        )


def test_a_refund_names_its_payment_and_itself() -> None:
    asked = Refund(
        "rf_1", Money(500, "usd"), "requested_by_customer", RefundStatus.APPROVED, NOON, NOON
    )
    request = requests.refund_request(confirmable(), asked, key="refund_rf_1", identity=US)
    assert params(request) == {
        "payment_intent": "pi_1",
        "amount": 500,
        "reason": "requested_by_customer",
        "metadata": {"purpose": "refund", "paymentId": "p_1", "refundId": "rf_1"},
        "expand": ["balance_transaction"],
    }


def test_amounts_are_in_stripes_units() -> None:
    request = requests.payment_intent_request(
        a_payment(Money(700, "isk")), key="k", attempt=1, identity=US, redirects=STAY
    )
    assert params(request)["amount"] == 70_000


def test_an_amount_that_stripe_cannot_carry_derives_nothing() -> None:
    with pytest.raises(InvalidInput):
        requests.payment_intent_request(
            a_payment(Money(12_345, "kwd")), key="k", attempt=1, identity=US, redirects=STAY
        )


def test_without_a_payment_intent_there_is_nothing_to_confirm() -> None:
    with pytest.raises(BrokenInvariant):
        requests.confirm_request(
            a_payment(), key="k", payment_method="pm_1", identity=US, redirects=STAY
        )
