"""Events, lists and people that come in between: in whatever order, each is counted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Conflict,
    InboxEvent,
    InboxStatus,
    Unique,
    stream_of,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import DestinationMismatch, NotAllowed, StripeUnavailable
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import APPROVED_NOT_PROCESSED, Status
from roadcall_payments.domain.payout import Payout as BookedPayout
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    IntentStatus,
    Operation,
    PaymentIntent,
    Payout,
    PayoutStatus,
    StripeFailure,
    StripeObject,
    Transfer,
)
from roadcall_payments.ports import Queue
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from roadcall_payments.workflows.webhook_delivery import ATTEMPTS_MAX
from tests.fakes.gateway import GOOD_SIGNATURE, IDENTITY, Read
from tests.fakes.money_back import CREATED
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, DRIVER, Office

TRANSFER = Operation.CREATE_TRANSFER
BACK_OFFICE, DRIVER_IC = e.PayerType.BACK_OFFICE, e.PayerType.DRIVER_IC
OTHER_ACCOUNT = replace(IDENTITY, account="acct_other")
SECOND_ADMIN = Actor("us_4", Role.ADMIN)
SOON = timedelta(seconds=31)


async def deliver(
    office: Office, event_id: str, kind: str, about: StripeObject, account: str | None = None
) -> None:
    body = office.stripe.event(event_id, kind, about, account)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)


async def kept(office: Office, event_id: str) -> InboxEvent:
    event = await office.service.store.inbox_event(event_id)
    assert event is not None
    return event


async def work_inbox(office: Office, after: timedelta) -> None:
    office.clock.advance(after.total_seconds())
    await office.service.worker.work(Queue.INBOX)


async def intent_at_stripe(office: Office, payment_id: str) -> PaymentIntent:
    return office.stripe.intents[(await office.payment(payment_id)).payment_intent or ""]


async def paid_at_stripe(office: Office, payment_id: str) -> PaymentIntent:
    """The phone paid, and the service has not heard of it."""
    intent = await intent_at_stripe(office, payment_id)
    paid = replace(intent, status=IntentStatus.SUCCEEDED, latest_charge="ch_1")
    office.stripe.intents[paid.id] = paid
    return paid


async def declined_at_stripe(office: Office, payment_id: str) -> PaymentIntent:
    """The phone's card was declined, and the service has not heard of it."""
    failure = StripeFailure("card_declined", "Declined.", "generic_decline", "ch_1")
    intent = await intent_at_stripe(office, payment_id)
    declined = replace(intent, latest_charge="ch_1", failure=failure)
    office.stripe.intents[declined.id] = declined
    return declined


async def transferred(office: Office) -> tuple[str, Transfer]:
    payment_id = await office.approved(BACK_OFFICE)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    (transfer,) = office.stripe.made_transfers.values()
    return payment_id, transfer


@pytest.mark.parametrize("answer_lost", [False, True])
async def test_m16_a_reversal_heard_of_before_the_transfers_own_answer_is_booked(
    office: Office, answer_lost: bool
) -> None:
    payment_id = await office.approved(BACK_OFFICE)

    async def somebody_reverses_it() -> None:
        (made,) = office.stripe.made_transfers
        transfer = office.stripe.reverse(made, 12_500)
        await deliver(office, "evt_reversed", "transfer.reversed", transfer)
        assert (await office.payment(payment_id)).amount_reversed_cents == 12_500
        if answer_lost:
            raise StripeUnavailable("The connection was lost.")
        await deliver(office, "evt_created", "transfer.created", transfer)

    office.stripe.during(TRANSFER, somebody_reverses_it)
    if answer_lost:
        with pytest.raises(StripeUnavailable):
            await office.service.payments.process(DISPATCHER, payment_id, None)
    else:
        await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend(SOON)
    await work_inbox(office, after=timedelta(hours=1))
    payment = await office.payment(payment_id)
    assert payment.status is Status.COMPLETED
    assert payment.amount_reversed_cents == 12_500


async def test_m16_a_reversal_without_an_event_is_booked_when_the_transfer_is_found(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.lose_answer(TRANSFER)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    (made,) = office.stripe.made_transfers
    office.stripe.reverse(made, 12_500)
    await office.attend(SOON)
    payment = await office.payment(payment_id)
    assert payment.status is Status.COMPLETED
    assert payment.amount_reversed_cents == 12_500


async def test_m28_more_reversals_than_fit_in_one_commit_are_all_booked(office: Office) -> None:
    payment_id, transfer = await transferred(office)
    transfer = office.stripe.reverse(transfer.id, *[100] * 18)
    await deliver(office, "evt_1", "transfer.reversed", transfer)
    assert (await office.payment(payment_id)).amount_reversed_cents == 1_800
    assert (await kept(office, "evt_1")).status is InboxStatus.APPLIED


async def test_m17_an_objects_second_line_does_not_clear_it_again(office: Office) -> None:
    payment_id, transfer = await transferred(office)
    moved = Money(-12_500, "usd")
    office.stripe.balance_lines = [
        BalanceTransaction(
            line_id, "transfer", transfer.id, moved, Money(0, "usd"), moved, CREATED, CREATED
        )
        for line_id in ("txn_1", "txn_2")
    ]
    await office.attend(timedelta(minutes=1))
    assert (await office.payment(payment_id)).unbooked == ()
    balances = await office.service.store.balances()
    assert "stripe_clearing" not in {line.account for line in balances}


async def test_m14_a_connect_event_about_our_payment_intent_is_kept_not_applied(
    office: Office,
) -> None:
    payment_id = await office.opened()
    paid = await paid_at_stripe(office, payment_id)
    await deliver(office, "evt_1", "payment_intent.succeeded", paid, account=ACCOUNT)
    assert (await kept(office, "evt_1")).status is InboxStatus.KEPT
    assert (await office.payment(payment_id)).status is Status.PROCESSING


async def test_m14_a_connect_event_about_our_transfer_is_kept_not_applied(office: Office) -> None:
    payment_id, transfer = await transferred(office)
    transfer = office.stripe.reverse(transfer.id, 12_500)
    await deliver(office, "evt_1", "transfer.reversed", transfer, account=ACCOUNT)
    assert (await kept(office, "evt_1")).status is InboxStatus.KEPT
    assert (await office.payment(payment_id)).amount_reversed_cents == 0


async def test_m14_an_event_of_the_other_mode_is_kept_not_applied(office: Office) -> None:
    payment_id = await office.opened()
    paid = await paid_at_stripe(office, payment_id)
    body = office.stripe.event("evt_1", "payment_intent.succeeded", paid)
    office.stripe.events_by_body[body] = replace(office.stripe.events_by_body[body], livemode=True)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    assert (await kept(office, "evt_1")).status is InboxStatus.KEPT
    assert (await office.payment(payment_id)).status is Status.PROCESSING


async def test_m15_an_events_failure_is_fetched_again_when_the_payment_changed_meanwhile(
    office: Office,
) -> None:
    payment_id = await office.opened()
    declined = await declined_at_stripe(office, payment_id)

    async def the_driver_tries_another_card() -> None:
        office.stripe.ask_payer()
        await office.service.payments.confirm(DRIVER, payment_id, "pm_2")

    office.stripe.during(Read.PAYMENT_INTENT, the_driver_tries_another_card)
    await deliver(office, "evt_1", "payment_intent.payment_failed", declined)
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert payment.next_action is not None
    assert "PaymentFailed" not in await office.facts(payment_id)
    assert (await kept(office, "evt_1")).status is InboxStatus.APPLIED, "it was fetched once more"


async def test_m15_a_failure_that_recovery_fetched_before_a_change_is_not_applied(
    office: Office,
) -> None:
    payment_id = await office.opened()
    office.stripe.decline()
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")

    async def the_driver_tries_another_card() -> None:
        office.stripe.ask_payer()
        await office.service.payments.confirm(DRIVER, payment_id, "pm_2")

    office.stripe.during(Read.PAYMENT_INTENT, the_driver_tries_another_card)
    await office.attend(timedelta(days=7, minutes=1))
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert payment.next_action is not None


async def test_m16_the_platforms_own_automatic_payout_is_booked(office: Office) -> None:
    payout = Payout("po_1", PayoutStatus.PAID, Money(500, "usd"), None, None, None, CREATED)
    await deliver(office, "evt_1", "payout.paid", payout)
    assert (await kept(office, "evt_1")).status is InboxStatus.APPLIED
    booked = await office.service.store.balances()
    assert sorted(line.amount_cents for line in booked) == [-500, 500]
    payout_paid = await office.service.store.load(stream_of("payout", payout.id))
    assert payout_paid is not None
    assert isinstance(payout_paid.state, BookedPayout)
    assert payout_paid.state.account == IDENTITY.account


async def test_m18_an_event_that_came_under_another_accounts_key_is_applied_within_a_day(
    office: Office,
) -> None:
    payment_id = await office.opened()
    paid = await paid_at_stripe(office, payment_id)
    office.stripe.speaks_for = OTHER_ACCOUNT
    await deliver(office, "evt_1", "payment_intent.succeeded", paid)
    assert (await kept(office, "evt_1")).status is InboxStatus.WAITING
    office.stripe.speaks_for = IDENTITY
    for _ in range(24):
        await work_inbox(office, after=timedelta(hours=1))
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m18_a_reversal_that_came_under_another_accounts_key_is_booked_later(
    office: Office,
) -> None:
    payment_id, transfer = await transferred(office)
    office.stripe.speaks_for = OTHER_ACCOUNT
    transfer = office.stripe.reverse(transfer.id, 12_500)
    await deliver(office, "evt_1", "transfer.reversed", transfer)
    office.stripe.speaks_for = IDENTITY
    await work_inbox(office, after=timedelta(hours=1))
    assert (await office.payment(payment_id)).amount_reversed_cents == 12_500


async def test_m19_a_fault_of_ours_while_applying_keeps_the_event(office: Office) -> None:
    payment_id = await office.opened()
    declined = await declined_at_stripe(office, payment_id)

    async def fault() -> None:
        raise ValueError("a bug of ours")

    office.stripe.during(Read.PAYMENT_INTENT, fault)
    await deliver(office, "evt_1", "payment_intent.payment_failed", declined)
    event = await kept(office, "evt_1")
    assert event.status is InboxStatus.WAITING
    assert event.reason == "ValueError: a bug of ours"
    await work_inbox(office, after=timedelta(minutes=1))
    assert (await office.payment(payment_id)).status is Status.FAILED


async def test_m19_an_event_whose_ref_is_another_streams_is_no_repeat(office: Office) -> None:
    payment_id = await office.opened()
    paid = await paid_at_stripe(office, payment_id)

    def ref_is_taken(commit: Commit) -> CommitResult | None:
        if commit.refs_added and commit.inbox:
            return Conflict(Unique.REF, commit.refs_added[0].key)
        return None

    office.troubled.trouble = ref_is_taken
    await deliver(office, "evt_1", "payment_intent.succeeded", paid)
    assert (await kept(office, "evt_1")).status is InboxStatus.WAITING


async def test_m19_an_event_that_never_applies_is_left_to_a_person_in_the_end(
    office: Office,
) -> None:
    payment_id = await office.opened()
    declined = await declined_at_stripe(office, payment_id)
    office.stripe.reads_down = StripeUnavailable("Stripe does not answer.")
    await deliver(office, "evt_1", "payment_intent.payment_failed", declined)
    for _ in range(ATTEMPTS_MAX - 1):
        await work_inbox(office, after=timedelta(hours=1))
    event = await kept(office, "evt_1")
    assert (event.status, event.attempts) == (InboxStatus.WAITING, ATTEMPTS_MAX - 1)
    await work_inbox(office, after=timedelta(hours=1))
    event = await kept(office, "evt_1")
    assert (event.status, event.attempts) == (InboxStatus.REVIEW, ATTEMPTS_MAX)
    office.stripe.reads_down = None
    await work_inbox(office, after=timedelta(hours=1))
    assert (await kept(office, "evt_1")).status is InboxStatus.REVIEW, "the worker has let go"
    assert await office.service.webhook_inbox.retry_now("evt_1")
    assert (await office.payment(payment_id)).status is Status.FAILED


async def test_m10_process_names_no_other_account_than_the_one_put_on_file_since(
    office: Office,
) -> None:
    vendor_id = await office.vendor(account=None)
    payment_id = await office.created(BACK_OFFICE, vendor_id)
    await office.service.approvals.approve(APPROVER, payment_id)
    contacts = Contacts("Tow & Go", "tow@example.com", None, None)
    await office.service.vendors.put(ADMIN, vendor_id, VendorRecord(ACCOUNT, "en-US", contacts))
    with pytest.raises(DestinationMismatch):
        await office.service.payments.process(DISPATCHER, payment_id, "acct_thief")
    assert office.stripe.sent == []


async def test_m10_who_created_a_payment_of_two_approvals_does_not_say_who_gets_it(
    office: Office,
) -> None:
    vendor_id = await office.vendor(account=None)
    amount = Money(9_000_000, "usd")
    items = (NewLineItem("tow", 1, amount.amount_cents),)
    new = NewPayment("co_1", "in_big", vendor_id, None, BACK_OFFICE, amount, items)
    created = (await office.service.intake.create(DISPATCHER, new)).payment
    if created.flagged:
        await office.service.approvals.review(ADMIN, created.id, True, None)
    await office.service.approvals.approve(ADMIN, created.id)
    approved = await office.service.approvals.approve(SECOND_ADMIN, created.id)
    assert approved.payment.status is Status.APPROVED
    with pytest.raises(NotAllowed):
        await office.service.payments.process(DISPATCHER, created.id, "acct_creators_own")
    assert office.stripe.sent == []


@pytest.mark.parametrize("payer", [BACK_OFFICE, DRIVER_IC])
async def test_an_approved_payment_that_nobody_processes_is_told_once(
    office: Office, payer: e.PayerType
) -> None:
    payment_id = await office.approved(payer)
    for _ in range(3):
        await office.attend(timedelta(days=7, minutes=1))
    assert (await office.payment(payment_id)).anomalies == (APPROVED_NOT_PROCESSED,)
    assert office.stripe.sent == []
