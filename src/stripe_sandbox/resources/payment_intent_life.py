"""How a PaymentIntent moves: confirmed, authenticated, declined, paid, canceled, expired."""

from stripe_sandbox.cards import BY_NAME, Authentication, CardDecline, TestCard
from stripe_sandbox.errors import StripeError, card_error, invalid
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import Decline, PaymentIntent, PaymentMethod
from stripe_sandbox.resources.charges import (
    authorize_charge,
    fail_charge,
    make_charge,
    pay_charge,
    release_charge,
)
from stripe_sandbox.resources.disputes import open_dispute
from stripe_sandbox.resources.events import emit
from stripe_sandbox.resources.payment_intent_view import render_payment_intent
from stripe_sandbox.resources.payment_methods import render_payment_method
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

AUTHORIZATION_KEPT_S = 7 * 86_400

_OFF_SESSION_DECLINE = CardDecline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = CardDecline(
    "payment_intent_authentication_failure",
    None,
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or "
    "a new PaymentMethod to attempt to fulfill this PaymentIntent again.",
)


def confirm(
    world: World, intent: PaymentIntent, method: PaymentMethod, *, error_on_action: bool = False
) -> None:
    """Try to pay. Raises StripeError (402) on a decline, after everything has been recorded."""
    card = BY_NAME[method.card]
    intent.payment_method = method.id
    intent.last_error = None
    if _needs_authentication(card, method):
        if intent.off_session:
            raise decline(world, intent, method, _OFF_SESSION_DECLINE)
        if error_on_action:
            raise decline(world, intent, method, _OFF_SESSION_DECLINE, charged=False)
        intent.status = "requires_action"
        world.payment_intents.save(intent)
        emit(
            world,
            "payment_intent.requires_action",
            render_payment_intent(world, intent),
            intent.account,
        )
        return
    settle(world, intent, method, authenticated=False)


def _needs_authentication(card: TestCard, method: PaymentMethod) -> bool:
    if card.authentication is Authentication.ALWAYS:
        return True
    return card.authentication is Authentication.UNLESS_SET_UP and not method.set_up


def settle(
    world: World, intent: PaymentIntent, method: PaymentMethod, *, authenticated: bool
) -> None:
    """Ask the bank. Raises StripeError (402) on a decline."""
    card = BY_NAME[method.card]
    if card.decline is not None:
        raise decline(world, intent, method, card.decline, authenticated=authenticated)
    charge = make_charge(world, intent, method, authenticated=authenticated)
    intent.latest_charge = charge.id
    if authenticated and intent.setup_future_usage == "off_session":
        method.set_up = True
        world.payment_methods.save(method)
    if intent.capture_method == "manual":
        intent.status = "requires_capture"
        intent.amount_capturable = intent.amount
        world.payment_intents.save(intent)
        authorize_charge(world, charge)
        emit(
            world,
            "payment_intent.amount_capturable_updated",
            render_payment_intent(world, intent),
            intent.account,
        )
        world.schedule.add(
            charge.created + AUTHORIZATION_KEPT_S, Duty.EXPIRE_AUTHORIZATION, intent.id
        )
        return
    intent.status = "succeeded"
    intent.amount_received = intent.amount
    world.payment_intents.save(intent)
    pay_charge(world, charge)
    emit(
        world,
        "payment_intent.succeeded",
        render_payment_intent(world, intent),
        intent.account,
    )
    if card.dispute is not None:
        open_dispute(world, charge, card.dispute, inquiry=card.inquiry)


def decline(
    world: World,
    intent: PaymentIntent,
    method: PaymentMethod,
    reason: CardDecline,
    *,
    charged: bool = True,
    authenticated: bool = False,
) -> StripeError:
    """Record a failed attempt and make the 402 that tells of it."""
    why = Decline(
        code=reason.code,
        message=reason.message,
        decline_code=reason.decline_code,
        payment_method=method.id,
    )
    if charged:
        charge = make_charge(world, intent, method, authenticated=authenticated)
        why.charge = charge.id
        intent.latest_charge = charge.id
        fail_charge(world, charge, why)
    intent.status = "requires_payment_method"
    intent.payment_method = None
    intent.last_error = why
    intent.failures += 1
    limit = world.config.confirmation_limit
    world.payment_intents.save(intent)
    body = render_payment_intent(world, intent)
    emit(world, "payment_intent.payment_failed", body, intent.account)
    if limit is not None and intent.failures >= limit:
        cancel_intent(world, intent, "automatic")
        body = render_payment_intent(world, intent)
    fields: JsonObject = {
        "payment_intent": body,
        "payment_method": render_payment_method(world, method),
    }
    if why.charge is not None:
        fields["charge"] = why.charge
    return card_error(
        reason.message, code=reason.code, decline_code=reason.decline_code, fields=fields
    )


def authenticate(world: World, intent: PaymentIntent, *, approved: bool) -> None:
    """The card holder approves or fails the 3-D Secure challenge.

    A decline after it is recorded on the PaymentIntent; there is no request to answer with 402.
    Raises StripeError where nothing is being asked.
    """
    if intent.status != "requires_action" or intent.payment_method is None:
        raise invalid(
            f"This PaymentIntent's status is {intent.status}: no authentication is waiting.",
            code="payment_intent_unexpected_state",
        )
    method = world.payment_methods[intent.payment_method]
    if not approved:
        decline(world, intent, method, AUTHENTICATION_FAILED, charged=False)
        return
    if intent.confirmation_method == "manual":
        method.set_up = True
        world.payment_methods.save(method)
        intent.status = "requires_confirmation"
        world.payment_intents.save(intent)
        return
    try:
        settle(world, intent, method, authenticated=True)
    except StripeError as declined:
        if declined.status != 402:
            raise


def cancel_intent(
    world: World, intent: PaymentIntent, reason: str | None, *, expired: bool = False
) -> None:
    """End it without money; an authorization goes back to the card holder."""
    held = intent.status == "requires_capture"
    intent.status = "canceled"
    intent.canceled_at = world.now
    intent.cancellation_reason = reason
    intent.amount_capturable = 0
    world.payment_intents.save(intent)
    if held and intent.latest_charge is not None:
        release_charge(world, world.charges[intent.latest_charge], expired=expired)
    emit(world, "payment_intent.canceled", render_payment_intent(world, intent), intent.account)


def expire_authorization(world: World, intent_id: str) -> None:
    """Seven days without a capture: the authorization lapses."""
    intent = world.payment_intents[intent_id]
    if intent.status == "requires_capture":
        cancel_intent(world, intent, "automatic", expired=True)
