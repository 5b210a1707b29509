"""Stripe's test cards and the `pm_card_*` tokens for them, with what each one does.

Source: docs.stripe.com/testing. A card is known by its name here; numbers are looked up once and
never stored.
"""

from dataclasses import dataclass
from enum import Enum


class Authentication(Enum):
    """When the card asks its holder (3-D Secure)."""

    NEVER = "never"
    UNLESS_SET_UP = "unless_set_up"
    ALWAYS = "always"


class RefundFate(Enum):
    SUCCEEDS = "succeeds"
    PENDING_THEN_SUCCEEDS = "pending_then_succeeds"
    SUCCEEDS_THEN_FAILS = "succeeds_then_fails"


@dataclass(frozen=True, slots=True)
class CardDecline:
    code: str
    decline_code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class TestCard:
    """One of Stripe's test cards. `dispute` is the reason of the dispute it opens."""

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    authentication: Authentication = Authentication.NEVER
    decline: CardDecline | None = None
    dispute: str | None = None
    inquiry: bool = False
    refund: RefundFate = RefundFate.SUCCEEDS
    bypass_pending: bool = False
    risk_level: str = "normal"
    risk_score: int = 20
    blocked: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _declined(decline_code: str, message: str = "Your card was declined.") -> CardDecline:
    return CardDecline("card_declined", decline_code, message)


_INSUFFICIENT = _declined("insufficient_funds", "Your card has insufficient funds.")
_GENERIC = _declined("generic_decline")

CARDS = (
    TestCard("visa", "4242424242424242"),
    TestCard("visa_debit", "4000056655665556", funding="debit"),
    TestCard("mastercard", "5555555555554444", brand="mastercard"),
    TestCard("mastercard_2series", "2223003122003222", brand="mastercard"),
    TestCard("mastercard_debit", "5200828282828210", brand="mastercard", funding="debit"),
    TestCard("mastercard_prepaid", "5105105105105100", brand="mastercard", funding="prepaid"),
    TestCard("amex", "378282246310005", brand="amex"),
    TestCard("amex_2", "371449635398431", brand="amex"),
    TestCard("discover", "6011111111111117", brand="discover"),
    TestCard("discover_2", "6011000990139424", brand="discover"),
    TestCard("diners", "3056930009020004", brand="diners"),
    TestCard("diners_14", "36227206271667", brand="diners"),
    TestCard("jcb", "3566002020360505", brand="jcb"),
    TestCard("unionpay", "6200000000000005", brand="unionpay"),
    TestCard("us", "4242424242424242"),
    TestCard("br", "4000000760000002", country="BR"),
    TestCard("ca", "4000001240000000", country="CA"),
    TestCard("mx", "4000004840008001", country="MX"),
    TestCard("gb", "4000008260000000", country="GB"),
    TestCard("de", "4000002760000016", country="DE"),
    TestCard("fr", "4000002500000003", country="FR"),
    TestCard("es", "4000007240000007", country="ES"),
    TestCard("it", "4000003800000008", country="IT"),
    TestCard("nl", "4000005280000002", country="NL"),
    TestCard("au", "4000000360000006", country="AU"),
    TestCard("jp", "4000003920000003", country="JP"),
    TestCard("in", "4000003560000008", country="IN"),
    TestCard("bypassPending", "4000000000000077", bypass_pending=True),
    TestCard("chargeDeclined", "4000000000000002", decline=_GENERIC),
    TestCard("chargeDeclinedInsufficientFunds", "4000000000009995", decline=_INSUFFICIENT),
    TestCard("chargeDeclinedLostCard", "4000000000009987", decline=_declined("lost_card")),
    TestCard("chargeDeclinedStolenCard", "4000000000009979", decline=_declined("stolen_card")),
    TestCard(
        "chargeDeclinedExpiredCard",
        "4000000000000069",
        decline=CardDecline("expired_card", "expired_card", "Your card has expired."),
    ),
    TestCard(
        "chargeDeclinedIncorrectCvc",
        "4000000000000127",
        decline=CardDecline(
            "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
        ),
    ),
    TestCard(
        "chargeDeclinedProcessingError",
        "4000000000000119",
        decline=CardDecline(
            "processing_error",
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
    ),
    TestCard(
        "chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        decline=_declined(
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding "
            "its amount limit.",
        ),
    ),
    TestCard(
        "chargeDeclinedFraudulent",
        "4100000000000019",
        decline=_declined("fraudulent"),
        risk_level="highest",
        risk_score=92,
        blocked=True,
    ),
    TestCard("chargeCustomerFail", "4000000000000341", decline=_GENERIC),
    TestCard("riskLevelHighest", "4000000000004954", risk_level="highest", risk_score=80),
    TestCard("riskLevelElevated", "4000000000009235", risk_level="elevated", risk_score=68),
    TestCard(
        "authenticationRequired",
        "4000002500003155",
        authentication=Authentication.UNLESS_SET_UP,
    ),
    TestCard(
        "authenticationRequiredOnSetup",
        "4000002500003155",
        authentication=Authentication.UNLESS_SET_UP,
    ),
    TestCard(
        "authenticationRequiredAlways",
        "4000002760003184",
        authentication=Authentication.ALWAYS,
    ),
    TestCard(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        authentication=Authentication.ALWAYS,
        decline=_INSUFFICIENT,
    ),
    TestCard("threeDSecureRequired", "4000000000003063", authentication=Authentication.ALWAYS),
    TestCard("threeDSecure2Required", "4000000000003220", authentication=Authentication.ALWAYS),
    TestCard(
        "threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        authentication=Authentication.ALWAYS,
        decline=_GENERIC,
    ),
    TestCard("threeDSecureOptional", "4000000000003055"),
    TestCard("createDispute", "4000000000000259", dispute="fraudulent"),
    TestCard("createDisputeProductNotReceived", "4000000000002685", dispute="product_not_received"),
    TestCard("createDisputeInquiry", "4000000000001976", dispute="general", inquiry=True),
    TestCard("pendingRefund", "4000000000007726", refund=RefundFate.PENDING_THEN_SUCCEEDS),
    TestCard("refundFail", "4000000000005126", refund=RefundFate.SUCCEEDS_THEN_FAILS),
)

BY_NAME = {card.name: card for card in CARDS}
BY_NUMBER = {card.number: card for card in reversed(CARDS)}

_TOKEN_ALIASES = {
    "visa_chargeDeclined": "chargeDeclined",
    "visa_chargeDeclinedInsufficientFunds": "chargeDeclinedInsufficientFunds",
    "visa_chargeDeclinedLostCard": "chargeDeclinedLostCard",
    "visa_chargeDeclinedStolenCard": "chargeDeclinedStolenCard",
    "visa_chargeDeclinedFraudulent": "chargeDeclinedFraudulent",
    "visa_chargeDeclinedExpiredCard": "chargeDeclinedExpiredCard",
    "visa_chargeDeclinedIncorrectCvc": "chargeDeclinedIncorrectCvc",
    "visa_chargeDeclinedProcessingError": "chargeDeclinedProcessingError",
    "visa_chargeDeclinedVelocityLimitExceeded": "chargeDeclinedVelocityLimitExceeded",
    "radarBlock": "chargeDeclinedFraudulent",
}


def card_for_token(token: str) -> TestCard | None:
    """The card of a `pm_card_...` token; None for a token that Stripe does not know either."""
    name = token.removeprefix("pm_card_")
    if name == token:
        return None
    return BY_NAME.get(_TOKEN_ALIASES.get(name, name))


def card_for_number(number: str) -> TestCard | None:
    """The test card of that number, spaces and dashes aside."""
    return BY_NUMBER.get(number.replace(" ", "").replace("-", ""))
