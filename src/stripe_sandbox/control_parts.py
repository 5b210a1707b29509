"""The control API's second half: the parts that card holders, customers, vendors and banks play."""

import msgspec

from stripe_sandbox.control_routes import Order, action, find
from stripe_sandbox.errors import invalid
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.resources.account_view import render_account
from stripe_sandbox.resources.charges import render_charge
from stripe_sandbox.resources.disputes import (
    OPEN,
    decide_dispute,
    escalate_dispute,
    open_dispute,
    render_dispute,
)
from stripe_sandbox.resources.onboarding import (
    PAYING_NUMBER,
    change_bank_account,
    finish_onboarding,
)
from stripe_sandbox.resources.payment_intent_life import authenticate
from stripe_sandbox.resources.payment_intent_view import render_payment_intent
from stripe_sandbox.resources.payouts import fail_payout, pay_payout, render_payout
from stripe_sandbox.resources.refunds import answer_refund, fail_refund, render_refund
from stripe_sandbox.resources.requirements import demand


class AuthenticateOrder(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str = "succeed"


@action("POST", "/_sandbox/payment_intents/{id}/authenticate")
def authenticate_payment_intent(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(AuthenticateOrder)
    intent = find(world.payment_intents, order.ids[0])
    if wanted.outcome not in ("succeed", "fail"):
        raise invalid("Bad control request: outcome is succeed or fail", param="outcome")
    authenticate(world, intent, approved=wanted.outcome == "succeed")
    return render_payment_intent(world, intent)


class FailureOrder(msgspec.Struct, forbid_unknown_fields=True):
    failure_code: str = "could_not_process"


@action("POST", "/_sandbox/payouts/{id}/pay")
def pay(order: Order) -> JsonObject:
    world = order.world
    payout = find(world.payouts, order.ids[0])
    pay_payout(world, payout)
    return render_payout(world, payout)


@action("POST", "/_sandbox/payouts/{id}/fail")
def fail(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(FailureOrder)
    payout = find(world.payouts, order.ids[0])
    fail_payout(world, payout, wanted.failure_code)
    return render_payout(world, payout)


class RefundOrder(msgspec.Struct, forbid_unknown_fields=True):
    failure_reason: str = "expired_or_canceled_card"


@action("POST", "/_sandbox/refunds/{id}/fail")
def fail_a_refund(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(RefundOrder)
    refund = find(world.refunds, order.ids[0])
    fail_refund(world, refund, wanted.failure_reason)
    return render_refund(world, refund)


@action("POST", "/_sandbox/refunds/{id}/answer")
def answer_a_refund(order: Order) -> JsonObject:
    world = order.world
    refund = find(world.refunds, order.ids[0])
    answer_refund(world, refund)
    return render_refund(world, refund)


@action("POST", "/_sandbox/charges/{id}/close_way_back")
def close_way_back(order: Order) -> JsonObject:
    """From now on refunds of this charge ask the customer for a bank account, as Stripe's do
    where a payment method has no refunds of its own (bank transfers, vouchers)."""
    world = order.world
    charge = find(world.charges, order.ids[0])
    charge.returnable = False
    world.charges.save(charge)
    return render_charge(world, charge)


class DisputeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`amount` in minor units; none: all that is left of the charge."""

    reason: str = "fraudulent"
    inquiry: bool = False
    amount: int | None = None


@action("POST", "/_sandbox/charges/{id}/dispute")
def dispute_charge(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(DisputeOrder)
    charge = find(world.charges, order.ids[0])
    left = charge.amount_captured - charge.amount_refunded
    if charge.status != "succeeded" or charge.card is None or left <= 0 or charge.disputed:
        raise invalid("This charge cannot be disputed: it holds no money, or it already was.")
    if wanted.amount is not None and not 1 <= wanted.amount <= left:
        raise invalid(f"Bad control request: amount is 1 to {left}", param="amount")
    dispute = open_dispute(
        world, charge, wanted.reason, inquiry=wanted.inquiry, amount=wanted.amount
    )
    return render_dispute(world, dispute)


class VerdictOrder(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str


@action("POST", "/_sandbox/disputes/{id}/decide")
def decide(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(VerdictOrder)
    dispute = find(world.disputes, order.ids[0])
    if wanted.outcome not in ("won", "lost") or dispute.status not in OPEN:
        raise invalid("An open dispute is decided as won or lost.", param="outcome")
    decide_dispute(world, dispute, won=wanted.outcome == "won")
    return render_dispute(world, dispute)


@action("POST", "/_sandbox/disputes/{id}/escalate")
def escalate(order: Order) -> JsonObject:
    world = order.world
    dispute = find(world.disputes, order.ids[0])
    escalate_dispute(world, dispute)
    return render_dispute(world, dispute)


class BankOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`bank_account` is a test number; none: one that pays, where there is none yet."""

    bank_account: str | None = None


@action("POST", "/_sandbox/accounts/{id}/onboard")
def onboard(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(BankOrder)
    account = find(world.accounts, order.ids[0])
    finish_onboarding(world, account, wanted.bank_account)
    return render_account(world, account)


@action("POST", "/_sandbox/accounts/{id}/bank_account")
def change_bank(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(BankOrder)
    account = find(world.accounts, order.ids[0])
    change_bank_account(world, account, wanted.bank_account or PAYING_NUMBER)
    return render_account(world, account)


class RequirementsOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`due` replaces what is due; `within` is in seconds; none: it is past due at once."""

    due: list[str]
    within: int | None = None


@action("POST", "/_sandbox/accounts/{id}/requirements")
def require(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(RequirementsOrder)
    account = find(world.accounts, order.ids[0])
    if account.id == world.platform:
        raise invalid("Requirements are asked of connected accounts.")
    if wanted.within is not None and wanted.within < 1:
        raise invalid("Bad control request: within is 1 or more seconds", param="within")
    due_at = None if wanted.within is None or not wanted.due else world.now + wanted.within
    demand(world, account, list(dict.fromkeys(wanted.due)), due_at)
    return render_account(world, account)
