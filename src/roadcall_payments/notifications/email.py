"""E-mail over SMTP: text and HTML, one message a notice."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

from roadcall_payments.domain.errors import FinalError, InvalidInput, TransientError
from roadcall_payments.ports import Clock, Message

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_SUBJECT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out; ``scheme`` is ``smtp``, ``smtp+starttls`` or ``smtps``."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    timeout_s: int


def mail_server(url: str, timeout_s: int) -> MailServer:
    """The server that an address such as ``smtp+starttls://user:password@host:587`` names.

    Raises InvalidInput, which never repeats the address: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.scheme not in _PORTS:
        raise InvalidInput(
            "ROADCALL_SMTP_URL",
            "A mail server's address looks like smtp://host:25, smtp+starttls://host:587 or "
            "smtps://host:465.",
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return MailServer(parts.scheme, host, port or _PORTS[parts.scheme], user, password, timeout_s)


class EmailChannel:
    def __init__(self, server: MailServer, sender: str, clock: Clock) -> None:
        """Raises InvalidInput for a sender that is no address."""
        self._server = server
        self._clock = clock
        name, spec = parseaddr(sender)
        try:
            self._sender = Address(name, addr_spec=spec)
        except (ValueError, IndexError, HeaderParseError) as wrong:
            raise InvalidInput("ROADCALL_MAIL_FROM", f"{sender} is no address.") from wrong

    async def send(self, message: Message) -> str:
        """Hand the e-mail to the mail server; its Message-ID.

        A repeat of the same notice has the same Message-ID, so that mailboxes can tell.
        """
        composed = self._composed(message)
        await asyncio.to_thread(self._hand_over, composed)
        return str(composed["Message-ID"])

    def _composed(self, message: Message) -> EmailMessage:
        email = EmailMessage(policy=SMTP)
        try:
            recipient = Address(addr_spec=message.to)
            email["Subject"] = message.content.subject[:_SUBJECT_CHARS_MAX]
        except (ValueError, IndexError, HeaderParseError):
            # From None: the cause repeats the address.
            raise FinalError("The recipient's address or the subject fits no header.") from None
        email["From"] = self._sender
        email["To"] = recipient
        email["Date"] = format_datetime(self._clock.now())
        digest = hashlib.sha256(message.notice_id.encode()).hexdigest()[:40]
        email["Message-ID"] = f"<{digest}@{self._sender.domain}>"
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(message.content.text)
        if message.content.html is not None:
            email.add_alternative(message.content.html, subtype="html")
        return email

    def _hand_over(self, email: EmailMessage) -> None:
        with _failures_classified(), self._connected() as smtp:
            if self._server.scheme == "smtp+starttls":
                smtp.starttls(context=ssl.create_default_context())
            if self._server.user is not None:
                smtp.login(self._server.user, self._server.password or "")
            try:
                smtp.send_message(email)
            except smtplib.SMTPNotSupportedError:
                raise FinalError(
                    "The mail server cannot carry an address with letters beyond ASCII.",
                    code="mail_refused",
                ) from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.scheme == "smtps":
            return smtplib.SMTP_SSL(
                server.host,
                server.port,
                timeout=server.timeout_s,
                context=ssl.create_default_context(),
            )
        return smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)


@contextmanager
def _failures_classified() -> Iterator[None]:
    """SMTP's 5yz about this message or recipient is final; all else may pass (RFC 5321, 4.2.1).

    The server's own text is left out: it repeats addresses.
    """
    try:
        yield
    except smtplib.SMTPRecipientsRefused as refused:
        codes = sorted(code for code, _ in refused.recipients.values())
        raise _failure(f"The mail server refused the recipient with {codes}.", codes[0]) from None
    except smtplib.SMTPAuthenticationError as refused:
        raise TransientError(
            f"The mail server refused our login with {refused.smtp_code}: check ROADCALL_SMTP_URL.",
            code="mail_login_refused",
        ) from None
    except (smtplib.SMTPConnectError, smtplib.SMTPHeloError) as refused:
        raise TransientError(
            f"The mail server turned us away with {refused.smtp_code}.", code="mail_unavailable"
        ) from None
    except smtplib.SMTPResponseException as refused:
        code = refused.smtp_code
        raise _failure(f"The mail server refused the e-mail with {code}.", code) from None
    except (OSError, smtplib.SMTPException) as broken:
        raise TransientError(
            f"The mail server could not be used: {type(broken).__name__}.",
            code="mail_unavailable",
        ) from broken


def _failure(message: str, smtp_code: int) -> FinalError | TransientError:
    if smtp_code >= 500:
        return FinalError(message, code="mail_refused")
    return TransientError(message, code="mail_deferred")
