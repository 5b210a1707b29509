"""E-mail to a real SMTP server on this machine: parts, headers, repeats, refusals."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from roadcall_payments.domain.errors import FinalError, InvalidInput, TransientError
from roadcall_payments.notifications.email import EmailChannel, MailServer, mail_server
from roadcall_payments.ports import Message, Rendered
from tests.fakes.manual_clock import ManualClock

SENDER = "Roadcall Payments <payments@roadcall.example>"
CONTENT = Rendered("We have sent ¥1,250.\n", "¥1,250 sent", "<p>We have sent ¥1,250.</p>")


class Mailbox:
    """Keeps what arrives; ``refusals`` are answered first, one for each recipient."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.refusals: list[str] = []

    async def handle_RCPT(  # noqa: N802  # the server calls it by this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # as above
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.received.append(BytesParser(policy=default).parsebytes(content))
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[MailServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mail_server(f"smtp://127.0.0.1:{port}", timeout_s=10)
    controller.stop()


def channel_to(server: MailServer) -> EmailChannel:
    return EmailChannel(server, SENDER, ManualClock())


def message(to: str = "tow@example.com", notice_id: str = "n_1", subject: str = "") -> Message:
    content = Rendered(CONTENT.text, subject or CONTENT.subject, CONTENT.html)
    return Message(to, content, notice_id)


async def test_an_email_arrives_with_both_parts(server: MailServer, mailbox: Mailbox) -> None:
    provider_id = await channel_to(server).send(message())
    (mail,) = mailbox.received
    assert mail["To"] == "tow@example.com"
    assert mail["From"] == SENDER
    assert mail["Subject"] == "¥1,250 sent"
    assert mail["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    assert mail["Message-ID"] == provider_id
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().strip() == "We have sent ¥1,250."
    assert html.get_content().strip() == "<p>We have sent ¥1,250.</p>"


async def test_a_repeat_is_recognisable(server: MailServer, mailbox: Mailbox) -> None:
    channel = channel_to(server)
    first = await channel.send(message(notice_id="n_1"))
    assert await channel.send(message(notice_id="n_1")) == first
    assert await channel.send(message(notice_id="n_2")) != first
    assert first.endswith("@roadcall.example>")
    assert len(mailbox.received) == 3


@pytest.mark.parametrize(
    "to",
    [
        "tow@example.com\r\nBcc: all@example.com",
        "tow@example.com\nBcc: all@example.com",
        "tow@example.com, all@example.com",
        "Tow <tow@example.com>",
        "tow@example.com\u2028Bcc: all@example.com",
        "nobody",
        "",
    ],
)
async def test_an_address_cannot_add_headers_or_recipients(
    to: str, server: MailServer, mailbox: Mailbox
) -> None:
    with pytest.raises(FinalError):
        await channel_to(server).send(message(to=to))
    assert mailbox.received == []


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b"])
async def test_a_subject_cannot_add_headers(
    break_: str, server: MailServer, mailbox: Mailbox
) -> None:
    with pytest.raises(FinalError):
        await channel_to(server).send(message(subject=f"Paid{break_}Bcc: all@example.com"))
    assert mailbox.received == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("550 5.1.1 no such mailbox for tow@example.com", FinalError),
        ("452 4.2.2 mailbox full of tow@example.com", TransientError),
        ("451 4.7.1 greylisted, tow@example.com", TransientError),
    ],
)
async def test_refusals_are_final_or_may_pass_and_never_repeat_the_address(
    answer: str, kind: type[Exception], server: MailServer, mailbox: Mailbox
) -> None:
    mailbox.refusals = [answer]
    with pytest.raises(kind) as refusal:
        await channel_to(server).send(message())
    assert "tow@example.com" not in str(refusal.value)
    assert answer[:3] in str(refusal.value)


async def test_no_server_may_pass() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    away = mail_server(f"smtp://127.0.0.1:{port}", timeout_s=2)
    with pytest.raises(TransientError, match="could not be used"):
        await channel_to(away).send(message())


async def test_a_server_without_encryption_gets_no_password(
    server: MailServer, mailbox: Mailbox
) -> None:
    strict = mail_server(f"smtp+starttls://ann:hunter2@127.0.0.1:{server.port}", timeout_s=5)
    with pytest.raises(TransientError, match="SMTPNotSupportedError"):
        await channel_to(strict).send(message())
    assert mailbox.received == []


def test_server_addresses() -> None:
    full = mail_server("smtp+starttls://ann%40x:pa%3Ass@mail.example", 20)
    assert full == MailServer("smtp+starttls", "mail.example", 587, "ann@x", "pa:ss", 20)
    assert "pa:ss" not in repr(full)
    assert mail_server("smtps://mail.example", 20).port == 465
    assert mail_server("smtp://mail.example", 20).port == 25


@pytest.mark.parametrize("url", ["mail.example:25", "http://ann:hunter2@x", "smtp://", "smtp://[x"])
def test_a_wrong_server_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        mail_server(url, 20)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("sender", ["nobody", "", "Payments"])
def test_a_sender_must_be_an_address(sender: str) -> None:
    server = mail_server("smtp://mail.example", 20)
    with pytest.raises(InvalidInput, match="address"):
        EmailChannel(server, sender, ManualClock())
