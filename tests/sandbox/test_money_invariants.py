"""A stateful property test: whatever is done, in whatever order and under whatever fault, the
books agree with the objects, nothing exceeds what is there, and no key moves money twice."""

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stripe_sandbox import Manner
from stripe_sandbox.resources.charges import processing_fee
from stripe_sandbox.resources.disputes import can_escalate
from tests.examples import examples
from tests.sandbox.auditor import audit
from tests.sandbox.client import CoreClient
from tests.sandbox.kept_rows import KeptRows

AMOUNTS = st.one_of(st.integers(50, 3_000), st.sampled_from([50, 400_000]))
METHODS = st.sampled_from(
    [
        "pm_card_visa",
        "pm_card_bypassPending",
        "pm_card_bypassPending",
        "pm_card_chargeDeclined",
        "pm_card_createDispute",
        "pm_card_createDisputeInquiry",
        "pm_card_pendingRefund",
        "pm_card_refundFail",
        "pm_card_authenticationRequired",
    ]
)
BANKS = ("000123456789", "000111111116")
FAULTS = st.sampled_from(
    [
        "error_before",
        "error_after",
        "drop_before",
        "drop_after",
        "delay_before",
        "delay_after",
        "truncate",
        "conflict",
        "rate_limit",
    ]
)
TRIES_MAX = 6


def draw_part(data: st.DataObject, whole: int) -> dict[str, int]:
    """An amount on either side of the limit; none asks for all of it."""
    amounts = {1, whole // 2, whole - 1, whole, whole + 1, whole + 99}
    amount = data.draw(st.sampled_from([None, *sorted(amounts)]))
    return {} if amount is None else {"amount": amount}


class Money(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.storage = KeptRows()
        self.stripe = CoreClient(storage=self.storage, judged=False)
        self.opening = self.stripe.available()
        self.keys = count()
        self.accounts: list[str | None] = [None]
        for number in BANKS:
            bank = {"object": "bank_account", "country": "US", "account_number": number}
            vendor = self.stripe.post("/v1/accounts", {"external_account": bank})
            self.accounts.append(vendor["id"])
            if number == BANKS[0]:
                daily = {"settings": {"payouts": {"schedule": {"interval": "daily"}}}}
                self.stripe.post(f"/v1/accounts/{vendor['id']}", daily)
            for amount in (900, 600):
                params = {"amount": amount, "currency": "usd", "destination": vendor["id"]}
                self.stripe.post("/v1/transfers", params)
            data = {"destination": vendor["id"]}
            self.stripe.pay(2_000, "pm_card_bypassPending", transfer_data=data)
            self.stripe.pay(1_000, transfer_data=data, application_fee_amount=90)
        self.stripe.pay(800, "pm_card_bypassPending")

    def send(self, path: str, params: dict[str, Any], account: str | None = None) -> None:
        """Try with one key until there is an answer: what Stripe asks of a client."""
        key = f"key_{next(self.keys)}"
        for _ in range(TRIES_MAX):
            reply = self.stripe.request("POST", path, params, account=account, idempotency_key=key)
            if reply.answer.ticket is not None:
                self.stripe.sandbox.release(reply.answer.ticket)
            if reply.answer.manner is Manner.SEND and reply.status not in (409, 429, 500):
                assert reply.status in (200, 400, 402), (path, params, reply.body)
                return

    def pick(self, data: st.DataObject, collection: str) -> str | None:
        ids = [record.id for record in getattr(self.stripe.sandbox.world, collection)][-8:]
        return data.draw(st.sampled_from(ids)) if ids else None

    @rule(data=st.data(), amount=AMOUNTS, method=METHODS, manual=st.booleans(), sent=st.booleans())
    def pay(self, data: st.DataObject, amount: int, method: str, manual: bool, sent: bool) -> None:
        params: dict[str, Any] = {"amount": amount, "currency": "usd", "payment_method": method}
        params["capture_method"] = "manual" if manual else "automatic"
        if sent:
            parts = [{}, {"amount": amount // 2}, {"amount": amount}]
            destination = data.draw(st.sampled_from(self.accounts[1:]))
            share = data.draw(st.sampled_from(parts))
            params["transfer_data"] = {"destination": destination, **share}
            if not share:
                params["application_fee_amount"] = data.draw(st.integers(1, amount))
        self.send("/v1/payment_intents", {**params, "confirm": True})

    @rule(data=st.data(), amount=AMOUNTS)
    def pay_directly(self, data: st.DataObject, amount: int) -> None:
        """A charge of the connected account's own, with a fee that may leave it little."""
        account = data.draw(st.sampled_from(self.accounts[1:]))
        params = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa"}
        most = max(1, amount - processing_fee(self.stripe.sandbox.world, amount, "usd"))
        fee = data.draw(st.integers(1, most))
        more = {"confirm": True, "application_fee_amount": fee}
        self.send("/v1/payment_intents", {**params, **more}, account)

    @rule(data=st.data())
    def refund_fee(self, data: st.DataObject) -> None:
        named = self.pick(data, "application_fees")
        if named is not None:
            fee = self.stripe.sandbox.world.application_fees[named]
            part = draw_part(data, fee.amount - fee.amount_refunded)
            self.send(f"/v1/application_fees/{named}/refunds", part)

    @rule(data=st.data(), action=st.sampled_from(["capture", "cancel", "confirm"]))
    def move_intent(self, data: st.DataObject, action: str) -> None:
        intent = self.pick(data, "payment_intents")
        params: dict[str, Any] = {}
        if action == "capture" and data.draw(st.booleans()):
            params["amount_to_capture"] = data.draw(st.integers(1, 500))
        if intent is not None:
            account = self.stripe.sandbox.world.payment_intents[intent].account
            self.send(f"/v1/payment_intents/{intent}/{action}", params, account)

    @rule(data=st.data(), outcome=st.sampled_from(["succeed", "fail"]))
    def authenticate(self, data: st.DataObject, outcome: str) -> None:
        asking = [
            intent.id
            for intent in self.stripe.sandbox.world.payment_intents
            if intent.status == "requires_action"
        ]
        if asking:
            intent = data.draw(st.sampled_from(asking))
            path = f"payment_intents/{intent}/authenticate"
            self.stripe.control("POST", path, {"outcome": outcome})

    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        paid = [each.id for each in self.stripe.sandbox.world.charges if each.captured]
        paid = [each for each in paid if each.startswith("ch_")][-8:]
        if paid:
            named = data.draw(st.sampled_from(paid))
            charge = self.stripe.sandbox.world.charges[named]
            params = draw_part(data, charge.amount_captured - charge.amount_refunded)
            more: dict[str, Any] = {"instructions_email": "payer@example.com"}
            back = {
                "reverse_transfer": charge.transfer,
                "refund_application_fee": charge.application_fee,
            }
            for share, there in back.items():
                if there is not None and data.draw(st.booleans()):
                    more[share] = True
            self.send("/v1/refunds", {"charge": named, **more, **params}, charge.account)

    @rule(data=st.data())
    def close_way_back(self, data: st.DataObject) -> None:
        named = self.pick(data, "charges")
        if named is not None:
            self.stripe.control("POST", f"charges/{named}/close_way_back")

    @rule(data=st.data(), action=st.sampled_from(["answer", "fail", "cancel"]))
    def move_refund(self, data: st.DataObject, action: str) -> None:
        named = self.pick(data, "refunds")
        if named is None:
            return
        refund = self.stripe.sandbox.world.refunds[named]
        if action == "cancel":
            self.send(f"/v1/refunds/{named}/cancel", {}, refund.account)
        elif refund.status == "requires_action":
            self.stripe.control("POST", f"refunds/{named}/{action}", {})

    @rule(data=st.data(), amount=AMOUNTS, from_charge=st.booleans())
    def transfer(self, data: st.DataObject, amount: int, from_charge: bool) -> None:
        destination = data.draw(st.sampled_from(self.accounts[1:]))
        params: dict[str, Any] = {"amount": amount, "currency": "usd", "destination": destination}
        charge = self.pick(data, "charges") if from_charge else None
        if charge is not None:
            params["source_transaction"] = charge
        self.send("/v1/transfers", params)

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        named = self.pick(data, "transfers")
        if named is not None:
            transfer = self.stripe.sandbox.world.transfers[named]
            params: dict[str, Any] = draw_part(data, transfer.amount - transfer.amount_reversed)
            payment = self.stripe.sandbox.world.charges[transfer.destination_payment]
            if payment.application_fee is not None and data.draw(st.booleans()):
                params["refund_application_fee"] = True
            self.send(f"/v1/transfers/{named}/reversals", params)

    @rule(data=st.data())
    def pay_out(self, data: st.DataObject) -> None:
        account = data.draw(st.sampled_from(self.accounts))
        whole = self.stripe.available(account)
        part = {"amount": whole} if data.draw(st.booleans()) else draw_part(data, whole)
        self.send("/v1/payouts", {"amount": 50, "currency": "usd", **part}, account)

    @rule(data=st.data(), action=st.sampled_from(["cancel", "pay", "fail"]))
    def move_payout(self, data: st.DataObject, action: str) -> None:
        named = self.pick(data, "payouts")
        if named is None:
            return
        payout = self.stripe.sandbox.world.payouts[named]
        movable = {"cancel": ["pending"], "pay": ["pending", "in_transit"]}
        if payout.status not in movable.get(action, ["pending", "in_transit", "paid"]):
            return
        if action == "cancel":
            self.send(f"/v1/payouts/{named}/cancel", {}, payout.account)
        else:
            self.stripe.control("POST", f"payouts/{named}/{action}", {})

    @rule(data=st.data(), outcome=st.sampled_from(["won", "lost"]))
    def decide_dispute(self, data: st.DataObject, outcome: str) -> None:
        undecided = [
            dispute.id
            for dispute in self.stripe.sandbox.world.disputes
            if dispute.status in ("needs_response", "warning_needs_response")
        ]
        if undecided:
            dispute = data.draw(st.sampled_from(undecided))
            self.stripe.control("POST", f"disputes/{dispute}/decide", {"outcome": outcome})

    @rule(data=st.data())
    def escalate(self, data: st.DataObject) -> None:
        world = self.stripe.sandbox.world
        inquiries = [each.id for each in world.disputes if can_escalate(world, each)]
        if inquiries:
            dispute = data.draw(st.sampled_from(inquiries))
            self.stripe.control("POST", f"disputes/{dispute}/escalate")

    @rule(data=st.data(), within=st.sampled_from([None, 61]), due=st.booleans())
    def require(self, data: st.DataObject, within: int | None, due: bool) -> None:
        account = data.draw(st.sampled_from(self.accounts[1:]))
        order = {"due": ["individual.verification.document"] if due else [], "within": within}
        self.stripe.control("POST", f"accounts/{account}/requirements", order)

    @rule(data=st.data(), number=st.sampled_from(BANKS))
    def change_bank_account(self, data: st.DataObject, number: str) -> None:
        account = data.draw(st.sampled_from(self.accounts[1:]))
        self.stripe.control("POST", f"accounts/{account}/bank_account", {"bank_account": number})

    @rule(seconds=st.sampled_from([1, 61, 3_600, 90_000, 180_000, 700_000]))
    def time_passes(self, seconds: int) -> None:
        self.stripe.advance(seconds)

    @rule(kind=FAULTS, times=st.integers(1, 3))
    def plan_a_fault(self, kind: str, times: int) -> None:
        self.stripe.control("POST", "faults", {"kind": kind, "count": times, "route": "POST *"})

    @rule()
    def restart(self) -> None:
        before = self.stripe.control("GET", "state")
        reading = self.stripe.clock.now_ms()
        self.stripe = CoreClient(storage=self.storage, judged=False)
        self.stripe.clock.jump_to(max(reading, self.stripe.clock.now_ms()))
        assert self.stripe.control("GET", "state") == before

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "stripe"):
            audit(self.stripe.control("GET", "state"), self.opening)


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=examples(60), stateful_step_count=30)
