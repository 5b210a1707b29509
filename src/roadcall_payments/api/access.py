"""Who may do what: the roles table of the design, and whose payments a caller may touch.

A caller whose role lacks an action gets 403, whatever it asks for. A caller whose role has the
action, but not on this company's, vendor's or driver's things, gets the 404 of a thing that is not
there: its existence is none of the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from roadcall_payments.domain.errors import InvalidInput, NotAllowed, NotFound
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import PaymentQuery


class Action(StrEnum):
    """What a route does, as the roles table names it."""

    CREATE_PAYMENT = "create payments"
    READ_PAYMENT = "read payments"
    READ_TIMELINE = "read timelines"
    APPROVE = "approve payments"
    REJECT = "reject payments"
    REVIEW = "review flagged payments"
    PROCESS = "process payments"
    CONFIRM = "confirm payments"
    READ_CLIENT_SECRET = "fetch client secrets"
    CANCEL = "cancel payments"
    RETRY = "retry payments"
    SETTLE = "have Stripe asked about unknown outcomes"
    READ_REFUND = "read refunds"
    READ_PENDING_REFUNDS = "read all refunds that wait for approval"
    REQUEST_REFUND = "ask for refunds"
    DECIDE_REFUND = "approve and reject refunds"
    TAKE_EVENT = "deliver events"
    WRITE_VENDOR = "change vendors"
    READ_VENDOR = "read vendors"
    ONBOARD_VENDOR = "onboard vendors"
    PAY_OUT = "pay vendors' balances out"
    READ_PAYOUT = "read payouts and balances"
    FORGIVE_DEBT = "forgive vendors' debts"
    LOG_IN_VENDOR = "open a vendor's dashboard"
    READ_REVIEWS = "read the review list"
    DISMISS_EVENT = "put events aside"
    READ_MOVEMENTS = "read the pause switch"
    SWITCH_MOVEMENTS = "pause and resume movements"
    READ_METRICS = "read metrics"


class Reach(StrEnum):
    """Whose things an action reaches."""

    ALL = "every company's"
    COMPANY = "its own company's"
    VENDOR = "its own, as the vendor"
    DRIVER = "its own, as the driver"
    # The service acts for a payer of its company, and names that payer (M33).
    PAYER = "its own company's, in the payer's name"


RIGHTS: Mapping[Action, Mapping[Role, Reach]] = {
    Action.CREATE_PAYMENT: {
        Role.SERVICE: Reach.COMPANY,
        Role.DISPATCHER: Reach.COMPANY,
        Role.ADMIN: Reach.ALL,
    },
    Action.READ_PAYMENT: {
        Role.SERVICE: Reach.COMPANY,
        Role.DISPATCHER: Reach.COMPANY,
        Role.ADMIN: Reach.ALL,
        Role.AUDITOR: Reach.ALL,
        Role.VENDOR: Reach.VENDOR,
        Role.DRIVER: Reach.DRIVER,
    },
    Action.READ_TIMELINE: {
        Role.SERVICE: Reach.COMPANY,
        Role.DISPATCHER: Reach.COMPANY,
        Role.ADMIN: Reach.ALL,
        Role.AUDITOR: Reach.ALL,
    },
    Action.APPROVE: {Role.DISPATCHER: Reach.COMPANY, Role.ADMIN: Reach.ALL},
    Action.REJECT: {Role.DISPATCHER: Reach.COMPANY, Role.ADMIN: Reach.ALL},
    Action.REVIEW: {Role.ADMIN: Reach.ALL},
    Action.PROCESS: {
        Role.SERVICE: Reach.COMPANY,
        Role.DISPATCHER: Reach.COMPANY,
        Role.ADMIN: Reach.ALL,
    },
    Action.CONFIRM: {
        Role.SERVICE: Reach.PAYER,
        Role.ADMIN: Reach.ALL,
        Role.DRIVER: Reach.DRIVER,
    },
    Action.READ_CLIENT_SECRET: {Role.SERVICE: Reach.PAYER, Role.DRIVER: Reach.DRIVER},
    Action.CANCEL: {Role.DISPATCHER: Reach.COMPANY, Role.ADMIN: Reach.ALL},
    Action.RETRY: {Role.DISPATCHER: Reach.COMPANY, Role.ADMIN: Reach.ALL},
    Action.SETTLE: {Role.ADMIN: Reach.ALL},
    Action.READ_REFUND: {
        Role.SERVICE: Reach.COMPANY,
        Role.DISPATCHER: Reach.COMPANY,
        Role.ADMIN: Reach.ALL,
        Role.AUDITOR: Reach.ALL,
        Role.VENDOR: Reach.VENDOR,
        Role.DRIVER: Reach.DRIVER,
    },
    Action.READ_PENDING_REFUNDS: {Role.ADMIN: Reach.ALL, Role.AUDITOR: Reach.ALL},
    Action.REQUEST_REFUND: {Role.DISPATCHER: Reach.COMPANY, Role.ADMIN: Reach.ALL},
    Action.DECIDE_REFUND: {Role.ADMIN: Reach.ALL},
    Action.TAKE_EVENT: {Role.SERVICE: Reach.COMPANY},
    Action.WRITE_VENDOR: {Role.ADMIN: Reach.ALL},
    Action.READ_VENDOR: {
        Role.SERVICE: Reach.ALL,
        Role.DISPATCHER: Reach.ALL,
        Role.ADMIN: Reach.ALL,
        Role.AUDITOR: Reach.ALL,
        Role.VENDOR: Reach.VENDOR,
    },
    Action.PAY_OUT: {Role.ADMIN: Reach.ALL},
    Action.FORGIVE_DEBT: {Role.ADMIN: Reach.ALL},
    Action.READ_PAYOUT: {
        Role.ADMIN: Reach.ALL,
        Role.AUDITOR: Reach.ALL,
        Role.VENDOR: Reach.VENDOR,
    },
    Action.ONBOARD_VENDOR: {Role.ADMIN: Reach.ALL, Role.VENDOR: Reach.VENDOR},
    # Who opens it can change the bank account, so the platform's own people cannot.
    Action.LOG_IN_VENDOR: {Role.VENDOR: Reach.VENDOR},
    Action.READ_REVIEWS: {Role.ADMIN: Reach.ALL, Role.AUDITOR: Reach.ALL},
    Action.DISMISS_EVENT: {Role.ADMIN: Reach.ALL},
    Action.READ_MOVEMENTS: {Role.ADMIN: Reach.ALL, Role.AUDITOR: Reach.ALL},
    Action.SWITCH_MOVEMENTS: {Role.ADMIN: Reach.ALL},
    Action.READ_METRICS: {Role.ADMIN: Reach.ALL, Role.AUDITOR: Reach.ALL},
}

# What a vendor or a driver is shown of a payment leaves out scoring, approvals and who did what.
OUTSIDERS = frozenset({Role.VENDOR, Role.DRIVER})


@dataclass(frozen=True, slots=True)
class Guarded:
    """One route: the action it needs, and whether the small limit for sensitive calls applies."""

    action: Action
    sensitive: bool = False


# Every documented route that wants a caller. A route without a line here does not start.
ROUTES: Mapping[tuple[str, str], Guarded] = {
    ("POST", "/payments"): Guarded(Action.CREATE_PAYMENT),
    ("GET", "/payments"): Guarded(Action.READ_PAYMENT),
    ("GET", "/payments/pending"): Guarded(Action.READ_PAYMENT),
    ("GET", "/payments/flagged"): Guarded(Action.READ_PAYMENT),
    ("GET", "/payments/{paymentId}"): Guarded(Action.READ_PAYMENT),
    ("GET", "/payments/{paymentId}/timeline"): Guarded(Action.READ_TIMELINE),
    ("POST", "/payments/{paymentId}/approve"): Guarded(Action.APPROVE, sensitive=True),
    ("POST", "/payments/{paymentId}/reject"): Guarded(Action.REJECT, sensitive=True),
    ("POST", "/payments/{paymentId}/review"): Guarded(Action.REVIEW, sensitive=True),
    ("POST", "/payments/{paymentId}/process"): Guarded(Action.PROCESS, sensitive=True),
    ("POST", "/payments/{paymentId}/confirm"): Guarded(Action.CONFIRM, sensitive=True),
    ("POST", "/payments/{paymentId}/cancel"): Guarded(Action.CANCEL, sensitive=True),
    ("POST", "/payments/{paymentId}/retry"): Guarded(Action.RETRY, sensitive=True),
    ("POST", "/payments/{paymentId}/settle"): Guarded(Action.SETTLE, sensitive=True),
    ("GET", "/payments/{paymentId}/client-secret"): Guarded(
        Action.READ_CLIENT_SECRET, sensitive=True
    ),
    ("POST", "/payments/{paymentId}/refunds"): Guarded(Action.REQUEST_REFUND, sensitive=True),
    ("GET", "/payments/{paymentId}/refunds"): Guarded(Action.READ_REFUND),
    ("GET", "/refunds/pending"): Guarded(Action.READ_PENDING_REFUNDS),
    ("GET", "/refunds/{refundId}"): Guarded(Action.READ_REFUND),
    ("POST", "/refunds/{refundId}/approve"): Guarded(Action.DECIDE_REFUND, sensitive=True),
    ("POST", "/refunds/{refundId}/reject"): Guarded(Action.DECIDE_REFUND, sensitive=True),
    ("PUT", "/vendors/{vendorId}"): Guarded(Action.WRITE_VENDOR),
    ("GET", "/vendors/{vendorId}"): Guarded(Action.READ_VENDOR),
    ("POST", "/vendors/{vendorId}/onboarding-link"): Guarded(Action.ONBOARD_VENDOR, sensitive=True),
    ("POST", "/vendors/{vendorId}/login-link"): Guarded(Action.LOG_IN_VENDOR, sensitive=True),
    ("POST", "/vendors/{vendorId}/payouts"): Guarded(Action.PAY_OUT, sensitive=True),
    ("GET", "/vendors/{vendorId}/payouts"): Guarded(Action.READ_PAYOUT),
    ("GET", "/vendors/{vendorId}/balance"): Guarded(Action.READ_PAYOUT),
    ("GET", "/vendors/{vendorId}/statement"): Guarded(Action.READ_PAYOUT),
    ("GET", "/vendors/{vendorId}/debts"): Guarded(Action.READ_PAYOUT),
    ("POST", "/vendors/{vendorId}/debts/{debtId}/forgive"): Guarded(
        Action.FORGIVE_DEBT, sensitive=True
    ),
    ("GET", "/payouts/{payoutId}"): Guarded(Action.READ_PAYOUT),
    ("GET", "/payouts/{payoutId}/remittance"): Guarded(Action.READ_PAYOUT),
    ("POST", "/payouts/{payoutId}/cancel"): Guarded(Action.PAY_OUT, sensitive=True),
    ("POST", "/events"): Guarded(Action.TAKE_EVENT),
    ("GET", "/reviews"): Guarded(Action.READ_REVIEWS),
    ("POST", "/inbox-events/{eventId}/dismiss"): Guarded(Action.DISMISS_EVENT, sensitive=True),
    ("GET", "/movements"): Guarded(Action.READ_MOVEMENTS),
    ("POST", "/movements/pause"): Guarded(Action.SWITCH_MOVEMENTS, sensitive=True),
    ("POST", "/movements/resume"): Guarded(Action.SWITCH_MOVEMENTS, sensitive=True),
}


def require_role(caller: Actor, action: Action) -> None:
    """Raises NotAllowed when the caller's role never has this action."""
    if caller.role not in RIGHTS[action]:
        raise NotAllowed(
            f"The role {caller.role} may not {action}. Call with a token of another role."
        )


def require_company(caller: Actor, action: Action, company_id: str | None) -> str:
    """The company that a new thing belongs to: the caller's own, or the one an admin names.

    Raises InvalidInput when none is named, NotAllowed when it is another one's.
    """
    if RIGHTS[action][caller.role] is Reach.ALL:
        if company_id is None:
            raise InvalidInput("companyId", "Name the company: your token serves all of them.")
        return company_id
    own = caller.company_id
    if own is None or company_id not in (None, own):
        raise NotAllowed(f"You may {action} for your own company only. Leave companyId out.")
    return own


def require_payment(caller: Actor, action: Action, payment: Payment) -> None:
    """Raises NotFound when this payment is none of the caller's business."""
    if not _reaches(caller, RIGHTS[action][caller.role], payment):
        raise NotFound(f"There is no payment {payment.id}.")


def require_refund(caller: Actor, action: Action, payment: Payment, refund_id: str) -> None:
    """The same for a refund of that payment."""
    if not _reaches(caller, RIGHTS[action][caller.role], payment):
        raise NotFound(f"There is no refund {refund_id}.")


def may_read(caller: Actor, payment: Payment) -> bool:
    reach = RIGHTS[Action.READ_PAYMENT].get(caller.role)
    return reach is not None and _reaches(caller, reach, payment)


def _reaches(caller: Actor, reach: Reach, payment: Payment) -> bool:
    match reach:
        case Reach.ALL:
            return True
        case Reach.COMPANY | Reach.PAYER:
            return caller.company_id == payment.company_id
        case Reach.VENDOR:
            return caller.vendor_id == payment.vendor_id
        case Reach.DRIVER:
            return caller.driver_id is not None and caller.driver_id == payment.driver_id


def for_payer(caller: Actor, payment: Payment, payer_id: str | None) -> Actor:
    """The caller; a service in the name of the payer whom it names, or without one (M33).

    Raises NotAllowed when a service names somebody who is not this payment's payer.
    """
    if caller.role is not Role.SERVICE or payer_id is None:
        return caller
    if not is_payer(caller, payment, payer_id):
        raise NotAllowed("On-Behalf-Of names somebody who is not this payment's payer.")
    return replace(caller, driver_id=payer_id)


def as_payer(caller: Actor, action: Action, payment: Payment, payer_id: str | None) -> Actor:
    """``for_payer``, where a service must name one. Raises InvalidInput when it does not."""
    if RIGHTS[action][caller.role] is Reach.PAYER and payer_id is None:
        raise InvalidInput(
            "On-Behalf-Of", "Name the payer you act for: send its driver id as On-Behalf-Of."
        )
    return for_payer(caller, payment, payer_id)


def is_payer(caller: Actor, payment: Payment, payer_id: str | None) -> bool:
    """Whether the caller is the payer, or the payer's company's service acting for it (M33)."""
    if payment.driver_id is None:
        return False
    if caller.role is Role.SERVICE:
        return caller.company_id == payment.company_id and payer_id == payment.driver_id
    return caller.role is Role.DRIVER and caller.driver_id == payment.driver_id


def require_vendor(caller: Actor, action: Action, vendor_id: str) -> None:
    """Raises NotFound when this vendor is none of the caller's business."""
    if RIGHTS[action][caller.role] is Reach.VENDOR and caller.vendor_id != vendor_id:
        raise NotFound(f"There is no vendor {vendor_id}.")


def require_payout(caller: Actor, action: Action, vendor_id: str | None, payout_id: str) -> None:
    """The same for a payout, whose vendor is ``vendor_id`` where it has one."""
    if RIGHTS[action][caller.role] is Reach.VENDOR and caller.vendor_id != vendor_id:
        raise NotFound(f"There is no payout {payout_id}.")


def narrowed(caller: Actor, query: PaymentQuery) -> PaymentQuery | None:
    """The query within the caller's reach; None when it asks for others' things only."""
    match RIGHTS[Action.READ_PAYMENT][caller.role]:
        case Reach.COMPANY | Reach.PAYER:
            if query.company_id not in (None, caller.company_id):
                return None
            return replace(query, company_id=caller.company_id)
        case Reach.VENDOR:
            if query.vendor_id not in (None, caller.vendor_id):
                return None
            return replace(query, vendor_id=caller.vendor_id)
        case Reach.DRIVER:
            if query.driver_id not in (None, caller.driver_id):
                return None
            return replace(query, driver_id=caller.driver_id)
        case Reach.ALL:
            return query
