"""A mail server on the loopback that keeps what it gets: there the vendor's e-mail arrives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path

from roadcall_payments.cli.listening import free_port


@dataclass(slots=True)
class Mailbox:
    """``url`` is None where no mail server can be had; then notices go to the service's log."""

    directory: Path
    url: str | None = None
    mails: list[EmailMessage] = field(default_factory=list)

    def keep(self, content: bytes) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        mail = message_from_bytes(content, policy=policy.default)
        number = len(list(self.directory.glob("*.eml"))) + 1
        (self.directory / f"{number:04d}.eml").write_bytes(content)
        self.mails.append(mail)

    def naming(self, text: str) -> EmailMessage | None:
        """The mail whose words contain ``text``."""
        return next((mail for mail in self.mails if text in words_of(mail)), None)


def words_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


@contextmanager
def open_mailbox(directory: Path) -> Iterator[Mailbox]:
    """Listen on a free loopback port while the context lasts.

    The mail server is a tool of development (aiosmtpd): a plain installation goes without.
    """
    mailbox = Mailbox(directory)
    if find_spec("aiosmtpd") is None:
        yield mailbox
        return
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, Envelope, Session

    class Keeper:
        async def handle_DATA(  # noqa: N802  # the name that aiosmtpd calls
            self, server: SMTP, session: Session, envelope: Envelope
        ) -> str:
            mailbox.keep(envelope.original_content or b"")
            return "250 kept"

    controller = Controller(Keeper(), hostname="127.0.0.1", port=free_port())
    controller.start()
    mailbox.url = f"smtp://127.0.0.1:{controller.port}"
    try:
        yield mailbox
    finally:
        controller.stop()
