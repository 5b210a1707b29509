"""The words: every template in every language, text as text and HTML as HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments import notifications
from roadcall_payments.domain.errors import FinalError
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.statement import Statement
from roadcall_payments.notifications.rendering import SHORT_CHARS_MAX, FileTemplates
from roadcall_payments.ports import Channel, NoticeDetails, NoticeFunds, NoticeJob

FOLDER = Path(notifications.__file__).parent / "templates"
LANGUAGES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
NAMES = sorted(path.stem for path in (FOLDER / "en").iterdir())
# The vendor may be told by SMS and push; staff have e-mail.
TO_VENDORS = [
    "bank_account_changed",
    "dispute_lost",
    "payment_disputed",
    "payment_received",
    "payout_failed_vendor",
    "payout_on_its_way",
    "payout_paid",
    "refund_made",
    "refund_returned",
    "request_rejected",
    "requirements_due",
    "settlement_reversed",
    "settlement_sent",
    "transfer_reversed",
    "transfer_sent",
]
TEMPLATES = FileTemplates()

NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
JOB = NoticeJob(
    "in_1",
    "0199a1b2-1234-7567-8901-123456789012",
    earned=Money(10_000, "usd"),
    fee=Money(500, "usd"),
    set_off=Money(200, "usd"),
    reversed=Money(0, "usd"),
    carried=Money(4_000, "usd"),
    partly=True,
)
DETAILS = NoticeDetails(
    payment_id="0199a1b2-1234-7567-8901-123456789012",
    incident_id="in_1",
    vendor_id="ve_1",
    vendor_name="Tow & Go <b>",
    payer_type=PayerType.BACK_OFFICE,
    amount=Money(12_345, "usd"),
    code="card_declined",
    message="Your card was declined.",
    reasons=("amount_over_limit", "first_payment_to_vendor"),
    retryable=True,
    account="acct_1",
    object_id="tr_1",
    refund_id="0199a1b2-1234-7567-8901-123456789013",
    dispute_id="du_1",
    due=datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    borne_by="vendor",
    bank_before=("STRIPE TEST BANK ****6789",),
    bank_after=("STRIPE TEST BANK ****1116",),
    arrives=datetime(2026, 12, 3, tzinfo=UTC),
    jobs=(JOB,),
    other=Money(200, "usd"),
    fee=Money(1_280, "usd"),
    set_off=Money(300, "usd"),
    funds=(NoticeFunds(Money(100, "usd"), Money(0, "usd"), Money(300, "usd")),),
    statement=Statement("ve_1", "acct_1", ("acct_1",), NOVEMBER, DECEMBER, DECEMBER, 5_000, ()),
)


class Reading(HTMLParser):
    """What a mail reader shows: texts by element, and every tag met."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.paragraphs: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "p":
            self.paragraphs.append("")

    def handle_data(self, data: str) -> None:
        if self.paragraphs:
            self.paragraphs[-1] += data


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_has_words_in_every_language(name: str, language: str) -> None:
    assert (FOLDER / language / f"{name}.txt").is_file()
    mail = TEMPLATES.render(name, Channel.EMAIL, language, DETAILS)
    assert mail.subject
    assert "\n" not in mail.subject
    assert mail.html is not None
    assert f'<html lang="{language}">' in mail.html
    for shown in (mail.subject, mail.text, mail.html):
        assert "{" not in shown
        assert "None" not in shown
    if language != "en":
        assert mail.text != TEMPLATES.render(name, Channel.EMAIL, "en", DETAILS).text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TO_VENDORS)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.PUSH])
def test_vendors_notices_have_a_short_form(name: str, language: str, channel: Channel) -> None:
    short = TEMPLATES.render(name, channel, language, DETAILS)
    assert 0 < len(short.text) <= SHORT_CHARS_MAX
    assert "\n" not in short.text
    assert (short.subject, short.html) == ("", None)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TO_VENDORS)
def test_a_vendor_reads_of_its_jobs_by_one_word_in_every_notice(name: str, language: str) -> None:
    """The one that its statement and its payouts use."""
    mail = TEMPLATES.render(name, Channel.EMAIL, language, DETAILS)
    said = f"{mail.subject} {mail.text}".lower()
    for word in {"en": ("incident",), "es": ("incidencia",)}[language]:
        assert word not in said


def test_a_job_is_told_with_what_was_kept_of_it_and_each_on_a_line_of_its_own() -> None:
    two = replace(DETAILS, jobs=(JOB, JOB))
    mail = TEMPLATES.render("payout_paid", Channel.EMAIL, "en", two)
    said = (
        "Job in_1: $40.00, a part of it. Earned $100.00, our fee $5.00, "
        "kept for what you owed us $2.00."
    )
    assert mail.text.count(said) == 2
    assert "taken back" not in mail.text
    assert mail.html is not None
    assert [one.strip() for one in Reading(mail.html).paragraphs].count(said) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_banks_reason_is_told_as_a_sentence_or_as_stripe_put_it(language: str) -> None:
    for code, message, told in (
        ("account_closed", "Closed.", {"en": "has been closed", "es": "está cerrada"}[language]),
        ("new_reason", "Words of Stripe's.", "Words of Stripe's."),
        ("new_reason", None, "new_reason"),
    ):
        details = replace(DETAILS, code=code, message=message)
        assert told in TEMPLATES.render("payout_failed", Channel.EMAIL, language, details).text


def test_a_payout_has_no_payment_to_name() -> None:
    sparse = NoticeDetails(amount=Money(1, "usd"), object_id="po_1", account="acct_1", code="c")
    mail = TEMPLATES.render("payout_failed", Channel.EMAIL, "en", sparse)
    assert "None" not in mail.subject + mail.text


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("en-GB", "We have sent US$123.45 to your Stripe account"),
        ("es-MX", "Hemos enviado USD123.45 a su cuenta de Stripe"),
        ("de-DE", "We have sent 123,45\N{NO-BREAK SPACE}$ to your Stripe account"),
        ("nonsense!", "We have sent $123.45 to your Stripe account"),
    ],
)
def test_language_falls_back_to_english_and_the_amount_stays_the_readers(
    locale: str, subject: str
) -> None:
    assert TEMPLATES.render("transfer_sent", Channel.EMAIL, locale, DETAILS).subject == subject


def test_html_escapes_what_text_shows_as_it_is() -> None:
    mail = TEMPLATES.render("transfer_sent", Channel.EMAIL, "en", DETAILS)
    assert mail.html is not None
    assert "Hello Tow & Go <b>," in mail.text
    assert "Tow &amp; Go &lt;b&gt;" in mail.html
    assert "b" not in Reading(mail.html).tags


def test_a_failure_says_what_to_do_next() -> None:
    driver = NoticeDetails(
        payer_type=PayerType.DRIVER_IC, amount=Money(1, "usd"), code="insufficient_funds"
    )
    assert "another card" in TEMPLATES.render("payment_failed", Channel.EMAIL, "en", driver).text
    assert (
        "cannot pay twice" in TEMPLATES.render("payment_failed", Channel.EMAIL, "en", DETAILS).text
    )


@given(name=st.text(max_size=600), message=st.text(max_size=600))
def test_no_text_from_outside_adds_a_line_a_tag_or_a_paragraph(name: str, message: str) -> None:
    plain = TEMPLATES.render("payment_failed", Channel.EMAIL, "en", DETAILS)
    details = NoticeDetails(
        payer_type=DETAILS.payer_type,
        amount=DETAILS.amount,
        payment_id=name,
        incident_id=name,
        vendor_id=name,
        code="x",
        message=message or "x",
        retryable=True,
    )
    mail = TEMPLATES.render("payment_failed", Channel.EMAIL, "en", details)
    assert plain.html is not None
    assert mail.html is not None
    assert len(mail.subject.splitlines()) == 1
    assert Reading(mail.html).tags == Reading(plain.html).tags


def test_an_unknown_template_is_final() -> None:
    with pytest.raises(FinalError, match="nowhere"):
        TEMPLATES.render("nowhere", Channel.EMAIL, "en", DETAILS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["payout_on_its_way", "payout_paid", "payout_failed_vendor"])
def test_money_that_stripe_takes_from_a_bank_is_not_told_as_paid_out(
    name: str, language: str
) -> None:
    """A balance below zero: Stripe's payout is a negative one."""
    taken = replace(DETAILS, amount=Money(-2_500, "usd"), jobs=(), other=None)
    for channel in Channel:
        told = TEMPLATES.render(name, channel, language, taken)
        said = f"{told.subject} {told.text}"
        assert {"en": "$25.00", "es": "25,00"}[language] in said
        assert "-$25" not in said
        assert "-25" not in said
        assert {"en": "below zero", "es": "por debajo de cero"}[language] in said
