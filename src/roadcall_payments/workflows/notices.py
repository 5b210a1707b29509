"""Who is told what, once per event, channel and recipient; and the sending of it.

Planning writes rows only. The address, the reader's language and the words are looked up when a
notice is sent, so that personal data erased meanwhile stays erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from roadcall_payments.commit import Commit, Committed, NoticeInsert, stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.errors import BrokenInvariant, NotFound, StoreUnavailable
from roadcall_payments.domain.events import TextRef
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import (
    Channel,
    Claim,
    Clock,
    Message,
    NoticeDetails,
    NoticeTemplates,
    Notifier,
    OutgoingEvent,
    Store,
)
from roadcall_payments.workflows.notice_details import details_of, still_due
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.vendors import Contacts, Vendors

APPROVAL_NEEDED = "approval_needed"
REFUND_REQUESTED = "refund_requested"
EVIDENCE_DUE = "dispute_evidence_due"
REQUIREMENTS_DUE = ("requirements_due", "requirements_due_staff")
CARRIES_JOBS = ("payout_on_its_way", "payout_paid", "payout_failed", "payout_failed_vendor")
_VENDOR = "vendor"
# Whom a fact itself names: the contacts of then, also where the vendor has others by now.
_CONTACTS = "contacts"
_PER_COMMIT = 40  # a notice is two of a commit's 90 items (M28)

_log = structlog.get_logger()
_details = msgspec.json.Decoder(NoticeDetails)


@dataclass(frozen=True, slots=True)
class Audience:
    """Addresses of those who run the service, by what they are told; their ``locale``."""

    approvers: tuple[str, ...] = field(default=(), repr=False)
    reviewers: tuple[str, ...] = field(default=(), repr=False)
    back_office: tuple[str, ...] = field(default=(), repr=False)
    operations: tuple[str, ...] = field(default=(), repr=False)
    locale: str = "en"

    def address(self, recipient: str) -> str | None:
        """The address behind ``group/digest``; None once it left the settings."""
        group, _, digest = recipient.partition("/")
        return next((one for one in self._group(group) if _digest(one) == digest), None)

    def recipients(self, group: str) -> list[str]:
        return [f"{group}/{_digest(address)}" for address in self._group(group)]

    def _group(self, group: str) -> tuple[str, ...]:
        groups = {
            "approvers": self.approvers,
            "reviewers": self.reviewers,
            "back_office": self.back_office,
            "operations": self.operations,
        }
        return groups.get(group, ())


@dataclass(frozen=True, slots=True)
class _Planned:
    """One template for one audience: the vendor, its contacts of then, or a group of the
    Audience."""

    audience: str
    template: str


@dataclass(frozen=True, slots=True)
class _Reader:
    address: str = field(repr=False)
    locale: str
    name: str | None = field(default=None, repr=False)


# The facts somebody hears of, and who does: what each must then know or do.
_CONCERNING: Mapping[type[e.Fact], tuple[_Planned, ...]] = {
    e.PaymentScored: (_Planned("approvers", APPROVAL_NEEDED),),
    e.ReviewCleared: (_Planned("approvers", APPROVAL_NEEDED),),
    e.ApprovalRecorded: (_Planned("approvers", APPROVAL_NEEDED),),
    e.ApprovalExpired: (_Planned("approvers", APPROVAL_NEEDED),),
    e.PaymentFailed: (_Planned("back_office", "payment_failed"),),
    e.AttemptVoided: (_Planned("back_office", "payment_failed"),),
    e.PaymentRejected: (
        _Planned("back_office", "payment_rejected"),
        _Planned(_VENDOR, "request_rejected"),
    ),
    # The vendor is not told: a blocked payment may be somebody's fraud.
    e.ReviewBlocked: (_Planned("back_office", "payment_rejected"),),
    e.TransferReversed: (
        _Planned(_VENDOR, "transfer_reversed"),
        _Planned("back_office", "transfer_reversed_staff"),
    ),
    e.RefundRequested: (_Planned("approvers", REFUND_REQUESTED),),
    e.RefundObserved: (_Planned("back_office", "refund_observed"),),
    e.RefundSucceeded: (_Planned(_VENDOR, "refund_made"),),
    e.RefundFailed: (_Planned("back_office", "refund_failed"),),
    e.DisputeOpened: (
        _Planned("back_office", "dispute_opened"),
        _Planned(_VENDOR, "payment_disputed"),
    ),
    e.EvidenceDeadlineNeared: (_Planned("back_office", EVIDENCE_DUE),),
    e.DisputeClosed: (_Planned("back_office", "dispute_closed"),),
    s.SettlementCompleted: (_Planned(_VENDOR, "settlement_sent"),),
    s.SettlementReversed: (_Planned(_VENDOR, "settlement_reversed"),),
    s.SettlementDeferred: (_Planned("back_office", "settlement_waits"),),
    s.SettlementFailed: (_Planned("back_office", "settlement_waits"),),
    s.SetOffReduced: (_Planned("back_office", "set_off_reduced"),),
    e.PayoutInTransit: (_Planned(_VENDOR, "payout_on_its_way"),),
    e.PayoutPaid: (_Planned(_VENDOR, "payout_paid"),),
    e.PayoutFailed: (
        _Planned("back_office", "payout_failed"),
        _Planned(_VENDOR, "payout_failed_vendor"),
    ),
    e.PayoutNotMade: (_Planned("back_office", "payout_not_made"),),
    e.BankAccountChanged: (
        _Planned(_CONTACTS, "bank_account_changed"),
        _Planned("back_office", "bank_account_changed_staff"),
    ),
    e.RequirementsDeadlineNeared: (
        _Planned(_VENDOR, "requirements_due"),
        _Planned("back_office", "requirements_due_staff"),
    ),
    e.AccountDisconnected: (_Planned("back_office", "account_disconnected"),),
    e.StrayMoneyObserved: (_Planned("operations", "stray_money"),),
    e.AnomalyRecorded: (_Planned("operations", "anomaly"),),
}
_COMPLETED = {
    e.PayerType.DRIVER_IC: (_Planned(_VENDOR, "payment_received"),),
    e.PayerType.BACK_OFFICE: (_Planned(_VENDOR, "transfer_sent"),),
}
_RETURNED = (_Planned("back_office", "refund_failed"), _Planned(_VENDOR, "refund_returned"))
_LOST = (_Planned("back_office", "dispute_closed"), _Planned(_VENDOR, "dispute_lost"))
_FLAGGED = (_Planned("reviewers", "payment_flagged"),)

# What to subscribe ``Notices.plan`` to: the published names of the facts above.
EVENT_NAMES = (
    "PaymentScored",
    "FraudDetected",
    "ReviewCleared",
    "ReviewBlocked",
    "ApprovalRecorded",
    "ApprovalExpired",
    "PaymentCompleted",
    "PaymentFailed",
    "AttemptVoided",
    "PaymentRejected",
    "PaymentTransferReversed",
    "RefundRequested",
    "RefundObserved",
    "RefundCompleted",
    "RefundFailed",
    "DisputeOpened",
    "EvidenceDeadlineNeared",
    "DisputeClosed",
    "SettlementCompleted",
    "SettlementReversed",
    "SettlementDeferred",
    "SettlementFailed",
    "SetOffReduced",
    "PayoutInTransit",
    "PayoutPaid",
    "PayoutFailed",
    "PayoutNotMade",
    "BankAccountChanged",
    "RequirementsDeadlineNeared",
    "AccountDisconnected",
    "StrayMoneyObserved",
    "AnomalyRecorded",
)


class Notices:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        vendors: Vendors,
        audience: Audience,
        templates: NoticeTemplates,
        notifiers: Mapping[Channel, Notifier],
        statement: PayoutStatement,
    ) -> None:
        self._store = store
        self._clock = clock
        self._vendors = vendors
        self._audience = audience
        self._templates = templates
        self._notifiers = notifiers
        self._statement = statement

    async def plan(self, event: OutgoingEvent) -> None:
        """Write the notices this event calls for; a repeated event writes none again.

        Raises StoreUnavailable: then the event is published again.
        """
        entries = await self._store.journal(event.stream, after_seq=event.seq - 1, limit=1)
        if not entries:
            raise BrokenInvariant(f"{event.stream} has no entry {event.seq}.")
        fact = entries[0].fact
        planned = _planned(fact)
        if not planned:
            return
        loaded = await self._store.load(event.stream)
        state = loaded.state if loaded else None
        if isinstance(state, Payout):
            state = await self._statement.owned(state)
        details = details_of(fact, state)
        params = msgspec.json.encode(details).decode()
        now = self._clock.now()
        rows = [
            NoticeInsert(
                id=f"{event.event_id}:{channel}:{recipient}",
                stream=event.stream,
                channel=channel,
                recipient=recipient,
                template=one.template,
                params=params,
                due_at=now,
            )
            for one in planned
            for channel, recipient in await self._recipients(one.audience, fact, details)
        ]
        for first in range(0, len(rows), _PER_COMMIT):
            commit = Commit(notices=tuple(rows[first : first + _PER_COMMIT]))
            if not isinstance((await self._store.commit([commit]))[0], Committed):
                raise StoreUnavailable("The notices could not be written.")

    async def send(self, claim: Claim) -> None:
        """Send one notice, if it is still true and somebody is there to read it.

        Raises what the templates and the channel raise: the worker tries again or parks it. A
        crash after sending sends again, under the same notice id.
        """
        notice = await self._store.notice(claim.key)
        if notice is None or notice.sent_at is not None:
            await self._store.finish(claim)
            return
        insert = notice.insert
        log = _log.bind(notice=insert.id, template=insert.template, stream=insert.stream)
        reader = await self._reader(insert)
        if reader is None or not await self._still_true(insert):
            reason = "not_true_any_more" if reader else "recipient_has_no_address"
            log.info("notice_dropped", reason=reason)
            await self._store.finish(claim)
            return
        details = await self._filled(insert, reader)
        channel = Channel(insert.channel)
        content = self._templates.render(insert.template, channel, reader.locale, details)
        message = Message(reader.address, content, insert.id)
        provider_id = await self._notifiers[channel].send(message)
        await self._store.notice_sent(insert.id, at=self._clock.now(), provider_id=provider_id)
        await self._store.finish(claim)
        log.info("notice_sent", provider_id=provider_id)

    async def _filled(self, insert: NoticeInsert, reader: _Reader) -> NoticeDetails:
        """With what is never stored with the notice: a name, and the jobs of a payout."""
        details = replace(_details.decode(insert.params), vendor_name=reader.name)
        if insert.template not in CARRIES_JOBS:
            return details
        loaded = await self._store.load(insert.stream)
        payout = loaded.state if loaded else None
        if not isinstance(payout, Payout):
            raise BrokenInvariant(f"{insert.stream} is no payout.")
        return await self._statement.told(details, payout)

    async def _recipients(
        self, audience: str, fact: e.Fact, details: NoticeDetails
    ) -> Sequence[tuple[Channel, str]]:
        if audience == _CONTACTS:
            return await self._contacts_named(fact)
        if audience != _VENDOR:
            return [(Channel.EMAIL, one) for one in self._audience.recipients(audience)]
        if details.vendor_id is None:
            return ()
        _, contacts = await self._vendor(details.vendor_id)
        recipient = stream_of("vendor", details.vendor_id)
        return [(channel, recipient) for channel in Channel if _address(contacts, channel)]

    async def _contacts_named(self, fact: e.Fact) -> Sequence[tuple[Channel, str]]:
        """Each address once, though several of the contacts have it."""
        told: dict[tuple[Channel, str], str] = {}
        for ref in fact.told if isinstance(fact, e.BankAccountChanged) else ():
            contacts = await self._vendors.contacts_at(ref)
            for channel in Channel:
                address = _address(contacts, channel)
                if address is not None:
                    told.setdefault((channel, address), f"{_CONTACTS}/{ref.id}/{ref.digest}")
        return [(channel, recipient) for (channel, _), recipient in told.items()]

    async def _reader(self, insert: NoticeInsert) -> _Reader | None:
        kind, _, own_id = insert.recipient.partition("/")
        if kind == _CONTACTS:
            return await self._former_reader(insert, TextRef(*own_id.split("/")))
        if kind != _VENDOR:
            address = self._audience.address(insert.recipient)
            return _Reader(address, self._audience.locale) if address else None
        vendor, contacts = await self._vendor(own_id)
        address = _address(contacts, Channel(insert.channel))
        if vendor is None or contacts is None or address is None:
            return None
        return _Reader(address, vendor.locale, contacts.name)

    async def _former_reader(self, insert: NoticeInsert, ref: TextRef) -> _Reader | None:
        """Whoever the contacts were, in the language that they were written to in."""
        vendor = await self._vendors.get(insert.stream.partition("/")[2])
        contacts = await self._vendors.contacts_at(ref)
        address = _address(contacts, Channel(insert.channel))
        if contacts is None or address is None:
            return None
        former = (one.locale for one in vendor.former_contacts if one.contacts == ref)
        return _Reader(address, next(former, vendor.locale), contacts.name)

    async def _vendor(self, vendor_id: str) -> tuple[Vendor | None, Contacts | None]:
        try:
            vendor = await self._vendors.get(vendor_id)
        except NotFound:
            return None, None
        return vendor, await self._vendors.contacts(vendor)

    async def _still_true(self, insert: NoticeInsert) -> bool:
        """Nobody is asked to approve, or to answer, what has been decided meanwhile."""
        pressing = (APPROVAL_NEEDED, REFUND_REQUESTED, EVIDENCE_DUE, *REQUIREMENTS_DUE)
        if insert.template not in pressing:
            return True
        loaded = await self._store.load(insert.stream)
        payment = loaded.state if loaded else None
        if isinstance(payment, Vendor):
            return still_due(payment, _details.decode(insert.params))
        if not isinstance(payment, Payment):
            return False
        if insert.template == APPROVAL_NEEDED:
            return payment.status is Status.PENDING_APPROVAL
        about = _details.decode(insert.params)
        if insert.template == EVIDENCE_DUE:
            dispute = payment.dispute(about.dispute_id or "")
            return dispute is not None and dispute.awaits_evidence
        refund = payment.refund(about.refund_id or "")
        return refund is not None and refund.status is RefundStatus.REQUESTED


def _planned(fact: e.Fact) -> tuple[_Planned, ...]:
    match fact:
        case e.PaymentCompleted():
            return _COMPLETED[fact.payer_type]
        case e.PaymentScored(flagged=True):
            return _FLAGGED
        case e.RefundSucceeded(from_suspense=True):
            # What it gives back was nobody's: no vendor bears it.
            return ()
        case e.RefundFailed(returned=True, from_suspense=False):
            return _RETURNED
        case s.SettlementReversed(cause_id=None):
            # By hand at Stripe: whether for a refund or a dispute, nobody said.
            return _CONCERNING[e.TransferReversed]
        case e.DisputeClosed(borne_by=e.Bearer.VENDOR) if fact.loss.amount_cents > 0:
            return _LOST
    return _CONCERNING.get(type(fact), ())


def _address(contacts: Contacts | None, channel: Channel) -> str | None:
    if contacts is None:
        return None
    match channel:
        case Channel.EMAIL:
            return contacts.email
        case Channel.SMS:
            return contacts.phone
        case Channel.PUSH:
            return contacts.push_token


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:16]
