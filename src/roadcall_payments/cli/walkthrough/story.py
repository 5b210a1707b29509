"""Two payments, told while they happen: a driver pays by card, a back office pays a vendor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from roadcall_payments.bootstrap import Service
from roadcall_payments.cli.service import Failed
from roadcall_payments.cli.tables import amount
from roadcall_payments.cli.walkthrough.client import (
    ApiClient,
    Json,
    JsonPart,
    SandboxClient,
    text_in,
    until,
)
from roadcall_payments.cli.walkthrough.mailbox import Mailbox, words_of
from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.events import PaymentCompleted
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Role
from roadcall_payments.ports import Channel, Notice
from roadcall_payments.workflows.reconciliation import Comparison

VENDOR = "v_example"
DRIVER = "d_example"
VENDOR_EMAIL = "dispatch@sierra-tow.example"


@dataclass(slots=True)
class Storyteller:
    """Acts over HTTP alone; ``service`` is asked only where the API has no call for it: which
    webhooks came in, whether a notice went out, and whether the books agree with Stripe's."""

    api: ApiClient
    sandbox: SandboxClient
    service: Service
    mailbox: Mailbox
    say: Callable[[str], None]
    started_at: float = field(default_factory=time.monotonic)

    async def tell(self) -> list[str]:
        """Both payments; their ids. Raises Failed with the step that did not happen."""
        account = await self._vendor()
        self.say(f"\nA driver pays {VENDOR} by card")
        driver_payment = await self._driver_payment()
        self.say(f"\nA back office pays {VENDOR}")
        back_office_payment = await self._back_office_payment(account)
        self.say("\nThe books")
        await self._books()
        return [driver_payment, back_office_payment]

    def step(self, what: str, detail: str) -> None:
        elapsed = time.monotonic() - self.started_at
        self.say(f"  {elapsed:5.1f} s  {what:<16}  {detail}")

    async def _vendor(self) -> str:
        """Yesterday's vendor, or a new one with an account at the sandbox; the account."""
        try:
            known = (await self.service.vendors.get(VENDOR)).stripe_account
        except NotFound:
            known = None
        account = known or await self.sandbox.create_express_account(VENDOR_EMAIL)
        contacts: Json = {"name": "Sierra Tow", "email": VENDOR_EMAIL, "phone": "+15305550142"}
        body: Json = {"stripeAccountId": account, "locale": "en-US", "contacts": contacts}
        await self.api.put(Role.ADMIN, f"/vendors/{VENDOR}", body)
        self.step("vendor on file", f"{VENDOR}, paid to {account}, reached at {VENDOR_EMAIL}")
        return account

    async def _driver_payment(self) -> str:
        tow: Json = {"kind": "tow", "quantity": 1, "unitCents": 12_500}
        mileage: Json = {"kind": "mileage", "quantity": 20, "unitCents": 300}
        payment_id = await self._created_and_approved(
            {
                "payerType": "driver_ic",
                "driverId": DRIVER,
                "amountCents": 18_500,
                "lineItems": [tow, mileage],
                "description": "Flatbed tow, I-80 mile 322",
            }
        )
        path = f"/payments/{payment_id}"
        opened = await self.api.post(Role.SERVICE, f"{path}/process", {})
        self.step("processed", f"PaymentIntent {opened['stripePaymentIntentId']} waits for a card")
        card: Json = {"paymentMethodId": "pm_card_visa"}
        confirmed = await self.api.post(Role.DRIVER, f"{path}/confirm", card)
        intent = str(confirmed["stripePaymentIntentId"])
        self.step("card confirmed", "by the driver, with pm_card_visa")
        await self._finished(payment_id, intent, "payment_intent.succeeded")
        await self._settled(path)
        return payment_id

    async def _back_office_payment(self, account: str) -> str:
        payment_id = await self._created_and_approved(
            {
                "payerType": "back_office",
                "amountCents": 42_000,
                "lineItems": [{"kind": "tyre", "quantity": 2, "unitCents": 21_000}],
                "description": "Two steer tyres, I-80 mile 322",
            }
        )
        path = f"/payments/{payment_id}"
        moved = await self.api.post(Role.SERVICE, f"{path}/process", {})
        transfer = str(moved["stripeTransferId"])
        self.step("processed", f"transfer {transfer} to {account}")
        await self._finished(payment_id, transfer, "transfer.created")
        return payment_id

    async def _created_and_approved(self, new: Json) -> str:
        incident = f"i_{self.service.ids.salt()[:8]}"
        body: Json = {"incidentId": incident, "vendorId": VENDOR, "currency": "usd", **new}
        payment = await self.api.post(Role.SERVICE, "/payments", body)
        payment_id = text_in(payment, "id")
        self.step("created", f"{_amount(payment, payment['amountCents'])}, payment {payment_id}")

        async def scored() -> Json | None:
            seen = await self.api.get(Role.SERVICE, f"/payments/{payment_id}")
            risk = seen["risk"]
            return risk if isinstance(risk, dict) else None

        risk = await until("the payment is scored", scored)
        held = ", held for review" if risk["flagged"] else ""
        self.step("scored", f"{risk['level']} risk, {risk['score']}{held}")
        approved = await self.api.post(Role.DISPATCHER, f"/payments/{payment_id}/approve", {})
        self.step("approved", f"by a dispatcher who did not create it: {approved['status']}")
        return payment_id

    async def _finished(self, payment_id: str, object_id: str, event_type: str) -> None:
        """The webhook, the completion and the vendor's notice: all three must truly be there."""
        path = f"/payments/{payment_id}"

        async def webhook() -> str | None:
            page = await self.service.store.inbox_events(None, None, 50)
            for event in page.items:
                if (event.stream, event.type) == (stream_of("payment", payment_id), event_type):
                    return f"{event.type}, {event.event_id}, {event.status}"
            return None

        async def completed() -> Json | None:
            seen = await self.api.get(Role.SERVICE, path)
            if seen["status"] in ("failed", "cancelled"):
                raise Failed(f"The payment is {seen['status']}: {seen['failure']}")
            return seen if seen["status"] == "completed" else None

        self.step("webhook received", await until(f"a webhook for {object_id}", webhook))
        payment = await until("the payment is completed", completed)
        self.step("completed", f"{_amount(payment, payment['amountCents'])}, {object_id}")
        notice = await until("the vendor is notified", lambda: self._vendors_notice(payment_id))
        template = notice.insert.template
        if self.mailbox.url is None:
            self.step("vendor notified", f"in the service's log, for want of aiosmtpd: {template}")
            return
        self.step("vendor notified", f"by e-mail: {template}")
        mail = self.mailbox.naming(payment_id)
        if mail is not None:
            self.say(f"           To: {mail['To']}\n           Subject: {mail['Subject']}")
            for line in words_of(mail).strip().splitlines():
                self.say(f"           | {line}".rstrip())

    async def _settled(self, path: str) -> None:
        """The vendor's share, transferred out of what the card brought in, where that is on."""

        async def settled() -> Json | None:
            seen = await self.api.get(Role.SERVICE, path)
            settlement = seen["settlement"]
            is_settled = isinstance(settlement, dict) and settlement["status"] == "settled"
            return seen if settlement is None or is_settled else None

        payment = await until("the vendor's share is settled", settled)
        settlement = payment["settlement"]
        if isinstance(settlement, dict):
            share = _amount(payment, settlement["settledCents"])
            fee = _amount(payment, settlement["platformFeeCents"])
            self.step("share settled", f"{share} transferred to the vendor, a fee of {fee} kept")

    async def _vendors_notice(self, payment_id: str) -> Notice | None:
        for entry in await self.service.queries.timeline(payment_id):
            if isinstance(entry.fact, PaymentCompleted):
                recipient = stream_of("vendor", VENDOR)
                notice = await self.service.store.notice(
                    f"{entry.event_id}:{Channel.EMAIL}:{recipient}"
                )
                if notice is not None and notice.sent_at is not None:
                    return notice
        return None

    async def _books(self) -> None:
        async def agreed() -> Comparison | None:
            comparison = await self.service.reconciliation.compare()
            return comparison if comparison.agrees else None

        comparison = await until("our ledger agrees with Stripe's books", agreed)
        for line in comparison.balances:
            money = amount(Money(line.amount_cents, line.currency))
            self.say(f"           {line.book:<24}  {line.account:<28}  {money:>16}")
        self.step(
            "books balanced",
            f"every line sums to zero; {comparison.lines_booked} balance transactions of "
            "Stripe's agree, fees included",
        )
        faults = await self.service.verification.verify(lambda _: None)
        if faults:
            raise Failed("The journal does not verify: " + "; ".join(faults))
        self.step("journal verified", "every hash, row and balance follows from it")


def _amount(payment: Json, cents: JsonPart) -> str:
    """``cents`` in the payment's currency."""
    return amount(Money(cents if isinstance(cents, int) else 0, text_in(payment, "currency")))
