from datetime import timedelta

import pytest

from roadcall_payments.domain import approval
from roadcall_payments.domain import events as e
from roadcall_payments.domain.approval import ApprovalPolicy
from roadcall_payments.domain.errors import DestinationMismatch, NotAllowed, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.people import Actor, Role
from tests.builders import NOON, payment_created, scored

DISPATCHER = Actor("us_2", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
SECOND_ADMIN = Actor("us_4", Role.ADMIN)
POLICY = ApprovalPolicy()
LARGE = Money(500_001, "usd")


def pending(
    amount: Money = Money(12_500, "usd"),  # noqa: B008  # frozen, so it can be shared
    *facts: e.PaymentFact,
) -> Payment:
    created = payment_created("pay_1", amount=amount, created_by="dispatcher:us_1")
    payment = apply(None, created, NOON)
    for fact in facts:
        payment = apply(payment, fact, NOON)
    return payment


def approve(payment: Payment, actor: Actor, account: str | None = "acct_v") -> Payment:
    for fact in approval.approve(payment, actor, account, POLICY):
        payment = apply(payment, fact, NOON)
    return payment


def test_one_dispatcher_approves_a_small_amount_and_binds_the_account() -> None:
    after = approve(pending(Money(500_000, "usd"), scored()), DISPATCHER)
    assert after.status is Status.APPROVED
    assert after.destination == "acct_v"


def test_m12_not_yet_scored_is_not_approvable() -> None:
    with pytest.raises(StatusForbids) as refused:
        approve(pending(), DISPATCHER)
    assert refused.value.code == "not_scored"


def test_m12_flagged_is_not_approvable_until_cleared() -> None:
    flagged = pending(Money(1, "usd"), scored(flagged=True))
    with pytest.raises(StatusForbids):
        approve(flagged, ADMIN)
    cleared = apply(flagged, e.ReviewCleared("admin:us_3", None), NOON)
    assert approve(cleared, ADMIN).status is Status.APPROVED


@pytest.mark.parametrize("role", [Role.DISPATCHER, Role.ADMIN])
def test_nobody_approves_what_they_created_in_whatever_role(role: Role) -> None:
    with pytest.raises(NotAllowed):
        approve(pending(Money(1, "usd"), scored()), Actor("us_1", role))


@pytest.mark.parametrize("role", [Role.SERVICE, Role.AUDITOR, Role.VENDOR, Role.DRIVER])
def test_other_roles_do_not_approve(role: Role) -> None:
    with pytest.raises(NotAllowed):
        approve(pending(Money(1, "usd"), scored()), Actor("us_9", role))


def test_a_large_amount_needs_two_people_one_of_them_an_admin() -> None:
    once = approve(pending(LARGE, scored()), DISPATCHER)
    assert once.status is Status.PENDING_APPROVAL
    with pytest.raises(NotAllowed):
        approve(once, DISPATCHER)
    assert approve(once, Actor("us_8", Role.DISPATCHER)).status is Status.PENDING_APPROVAL
    assert approve(once, ADMIN).status is Status.APPROVED


def test_two_people_who_name_two_accounts_have_not_agreed() -> None:
    once = approve(pending(LARGE, scored()), ADMIN, "acct_v")
    twice = approve(once, SECOND_ADMIN, "acct_other")
    assert twice.status is Status.PENDING_APPROVAL
    assert [a.by for a in twice.approvals] == ["admin:us_4"]


def test_recorded_approvals_expire() -> None:
    once = approve(pending(LARGE, scored()), ADMIN)
    week = timedelta(days=7)
    assert not approval.expire(once, NOON + week - timedelta(seconds=1), week)
    (expired,) = approval.expire(once, NOON + week, week)
    after = apply(once, expired, NOON + week)
    assert after.approvals == ()
    assert after.status is Status.PENDING_APPROVAL


def test_m10_the_approved_account_is_the_one_paid_whatever_stands_on_file_later() -> None:
    approved = approve(pending(Money(1, "usd"), scored()), DISPATCHER, "acct_v")
    paid = approval.destination_to_pay(approved, DISPATCHER, None, "acct_new", POLICY)
    assert paid == "acct_v"
    with pytest.raises(DestinationMismatch):
        approval.destination_to_pay(approved, DISPATCHER, "acct_new", "acct_new", POLICY)


def unbound(amount: Money) -> Payment:
    """Approved while the vendor had no account on file."""
    payment = pending(amount, scored())
    for actor in (ADMIN, SECOND_ADMIN):
        if payment.status is not Status.APPROVED:
            payment = approve(payment, actor, None)
    return payment


def test_m10_naming_the_account_at_process_needs_who_could_approve_the_payment_alone() -> None:
    small, large = unbound(Money(1, "usd")), unbound(LARGE)
    service = Actor("svc", Role.SERVICE, "co_1")
    creator = Actor("us_1", Role.ADMIN)
    for payment, actor in ((small, service), (small, creator), (large, ADMIN)):
        with pytest.raises(NotAllowed):
            approval.destination_to_pay(payment, actor, "acct_x", None, POLICY)
    assert approval.destination_to_pay(small, DISPATCHER, "acct_x", None, POLICY) == "acct_x"
    assert approval.destination_to_pay(small, service, None, None, POLICY) is None


def test_m10_no_other_account_than_the_one_on_file_can_be_named() -> None:
    with pytest.raises(DestinationMismatch):
        approval.destination_to_pay(
            unbound(Money(1, "usd")), DISPATCHER, "acct_thief", "acct_real", POLICY
        )
