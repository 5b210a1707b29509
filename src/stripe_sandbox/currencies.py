"""Currencies as Stripe has them: which there are, and the smallest charge in each.

Source: docs.stripe.com/currencies. Stripe's exponents are not always ISO 4217's.
"""

from stripe_sandbox.errors import RequestRefused, StripeError, invalid, refused

CURRENCIES = frozenset(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp "
    "byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip "
    "gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt "
    "lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mro mur mvr mwk mxn myr mzn nad ngn nio nok "
    "npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos "
    "srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer "
    "zar zmw usdc btn ghs eek lvl svc vef ltl".split()
)

THREE_DECIMALS = frozenset("bhd jod kwd omr tnd".split())
"""Their amounts are multiples of ten."""

MULTIPLES_OF_HUNDRED = frozenset("isk ugx".split())
"""Sent with two decimals that must be zero."""

MINIMUM = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""The smallest charge, minor units, where Stripe documents one."""

AMOUNT_MAX = 99_999_999


def check_currency(currency: str) -> str:
    """The currency in lower case. Raises RequestRefused for one that Stripe does not know."""
    lower = currency.lower()
    if lower not in CURRENCIES:
        raise refused(
            f"Invalid currency: {lower}. Stripe currently supports these currencies: "
            f"{', '.join(sorted(CURRENCIES))}",
            param="currency",
        )
    return lower


def check_amount(amount: int, currency: str, *, charge: bool = False) -> int:
    """Raises for amounts that Stripe cannot carry; `charge` asks for the minimum charge too."""
    if amount < 1:
        raise _invalid_integer(amount)
    if amount > AMOUNT_MAX:
        raise invalid(
            "Amount must be no more than $999,999.99"
            if currency == "usd"
            else f"Amount must be no more than {AMOUNT_MAX} {currency}",
            code="amount_too_large",
            param="amount",
        )
    if currency in THREE_DECIMALS and amount % 10:
        raise refused(
            f"Invalid amount: amounts in {currency} must be a multiple of 10.", param="amount"
        )
    if currency in MULTIPLES_OF_HUNDRED and amount % 100:
        raise refused(
            f"Invalid amount: amounts in {currency} must be a multiple of 100.", param="amount"
        )
    if charge and amount < MINIMUM.get(currency, 1):
        raise _too_small(currency)
    return amount


def _invalid_integer(amount: int) -> RequestRefused:
    if amount < 0:
        return refused(
            "Invalid non-negative integer", code="parameter_invalid_integer", param="amount"
        )
    return refused(
        "This value must be greater than or equal to 1.",
        code="parameter_invalid_integer",
        param="amount",
    )


def _too_small(currency: str) -> StripeError:
    return invalid(
        f"Amount must be at least {MINIMUM[currency]} {currency} in minor units",
        code="amount_too_small",
        param="amount",
    )
