"""Connected accounts followed at Stripe, asked before money goes there, and watched for thieves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.connected_account import Obstacle, cannot_receive, outlook
from roadcall_payments.domain.errors import StripeUnavailable, VendorCannotReceive
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import Requirements
from roadcall_payments.ports import Message
from tests.fakes.connected_accounts import ABLE, BANK, OTHER_BANK, TO_ONBOARD
from tests.fakes.gateway import Read
from tests.workflows.office import ACCOUNT, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.vendor_desk import OLD, THIEF, VendorDesk

DEAD = replace(ABLE, transfers="inactive", requirements=Requirements(past_due=("tos.date",)))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, back_office_emails=["office@example.com"]) as opened:
        opened.stripe.show(ACCOUNT, replace(ABLE, banks=(BANK,)))
        yield opened


@pytest.fixture
async def desk(office: Office) -> VendorDesk:
    desk = VendorDesk(office)
    await desk.put()
    return desk


async def payment_to(office: Office, vendor_id: str) -> str:
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id)
    await office.service.approvals.approve(APPROVER, payment_id)
    return payment_id


# --- what stripe shows ---------------------------------------------------------------------------


async def test_an_event_is_a_reason_to_look_and_a_fact_only_where_something_changed(
    office: Office, desk: VendorDesk
) -> None:
    before = await desk.facts()
    assert await desk.told() is InboxStatus.APPLIED
    assert await desk.facts() == before
    office.stripe.show(ACCOUNT, replace(ABLE, payouts_enabled=False, banks=(BANK,)))
    for kind in ("account.updated", "capability.updated", "account.external_account.updated"):
        assert await desk.told(kind=kind) is InboxStatus.APPLIED
    assert (await desk.facts()) == [*before, "AccountStatusChanged"]
    assert "payouts to its bank are disabled" in outlook(await desk.vendor())


async def test_a_repeated_event_is_looked_at_once(office: Office, desk: VendorDesk) -> None:
    await desk.told(event="evt_same")
    asked = len(office.stripe.accounts_asked)
    await desk.told(event="evt_same")
    assert len(office.stripe.accounts_asked) == asked


async def test_m15_what_was_fetched_before_the_vendor_changed_is_fetched_again(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.show(ACCOUNT, DEAD)

    async def it_is_mended_and_told_meanwhile() -> None:
        office.stripe.show(ACCOUNT, replace(ABLE, banks=(BANK,)))
        await desk.put(replace(OLD, phone="+15551234567"))

    office.stripe.during(Read.ACCOUNT, it_is_mended_and_told_meanwhile)
    assert await desk.told() is InboxStatus.APPLIED
    assert cannot_receive(await desk.vendor()) is None
    assert (await desk.facts()).count("AccountStatusChanged") == 1


async def test_m14_another_accounts_events_are_kept_and_change_nothing(
    office: Office, desk: VendorDesk
) -> None:
    before = await desk.facts()
    assert await desk.told("acct_nobodys") is InboxStatus.KEPT
    assert await desk.facts() == before


async def test_with_stripe_down_an_event_waits(office: Office, desk: VendorDesk) -> None:
    office.stripe.show(ACCOUNT, DEAD)
    down = StripeUnavailable("down")

    async def it_goes_down() -> None:
        raise down

    office.stripe.during(Read.ACCOUNT, it_goes_down)
    assert await desk.told() is InboxStatus.WAITING
    await office.service.webhook_inbox.retry_now("evt_1")
    assert cannot_receive(await desk.vendor()) is not None


async def test_a_withdrawn_access_ends_payments_and_a_new_one_brings_them_back(
    office: Office, desk: VendorDesk
) -> None:
    payment_id = await payment_to(office, "ve_tow")
    office.stripe.strangers.add(ACCOUNT)
    assert await desk.told(kind="account.application.deauthorized") is InboxStatus.APPLIED
    with pytest.raises(VendorCannotReceive) as refused:
        await office.service.payments.process(DISPATCHER, payment_id, None)
    assert refused.value.obstacle == Obstacle.DISCONNECTED
    assert refused.value.vendor_id is None, "no onboarding page could mend it"
    assert office.stripe.made_transfers == {}
    (mail,) = [one for one in await desk.mail() if one.to == "office@example.com"]
    assert "can no longer be paid" in mail.content.subject
    office.stripe.strangers.clear()
    await desk.told()
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.COMPLETED


# --- before money moves --------------------------------------------------------------------------


async def test_a_vendor_who_cannot_receive_is_refused_before_anything_is_written(
    office: Office, desk: VendorDesk
) -> None:
    payment_id = await payment_to(office, "ve_tow")
    office.stripe.show(ACCOUNT, TO_ONBOARD)
    await desk.told()
    with pytest.raises(VendorCannotReceive) as refused:
        await office.service.payments.process(DISPATCHER, payment_id, None)
    assert (refused.value.obstacle, refused.value.vendor_id) == ("not_onboarded", "ve_tow")
    assert "/vendors/ve_tow/onboarding-link" in refused.value.message
    assert (await office.payment(payment_id)).status is Status.APPROVED
    assert office.stripe.sent == []
    office.stripe.show(ACCOUNT, ABLE)
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.COMPLETED, "it looks again before it refuses"


async def test_an_account_that_is_known_able_costs_no_question(
    office: Office, desk: VendorDesk
) -> None:
    asked = len(office.stripe.accounts_asked)
    payment_id = await payment_to(office, "ve_tow")
    await office.service.payments.process(DISPATCHER, payment_id, None)
    assert len(office.stripe.accounts_asked) == asked


async def test_an_unknown_account_is_asked_about_once_and_503_while_it_cannot_be(
    office: Office,
) -> None:
    desk = VendorDesk(office)
    office.stripe.down = StripeUnavailable("down")
    await desk.put()
    office.stripe.down = None
    first, second = await payment_to(office, "ve_tow"), await payment_to(office, "ve_tow")

    async def it_goes_down() -> None:
        raise StripeUnavailable("down")

    office.stripe.during(Read.ACCOUNT, it_goes_down)
    with pytest.raises(StripeUnavailable):
        await office.service.payments.process(DISPATCHER, first, None)
    assert (await office.payment(first)).status is Status.APPROVED
    for payment_id in (first, second):
        await office.service.payments.process(DISPATCHER, payment_id, None)
    assert (await desk.facts()).count("AccountStatusChanged") == 1


async def test_an_account_named_in_process_is_asked_about_too(office: Office) -> None:
    payment_id = await office.created(PayerType.BACK_OFFICE, "ve_unregistered")
    await office.service.approvals.approve(APPROVER, payment_id, "acct_named")
    office.stripe.show("acct_named", DEAD)
    with pytest.raises(VendorCannotReceive) as refused:
        await office.service.payments.process(DISPATCHER, payment_id, "acct_named")
    assert refused.value.obstacle == Obstacle.TRANSFERS_INACTIVE
    office.stripe.show("acct_named", ABLE)
    answer = await office.service.payments.process(DISPATCHER, payment_id, "acct_named")
    assert answer.payment.status is Status.COMPLETED


async def test_a_drivers_payment_asks_nothing_of_the_vendor(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.show(ACCOUNT, DEAD)
    await desk.told()
    payment_id = await office.created(PayerType.DRIVER_IC, "ve_tow")
    await office.service.approvals.approve(APPROVER, payment_id)
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.PROCESSING


# --- a change of bank account --------------------------------------------------------------------


def to_contacts(mail: list[Message]) -> list[str]:
    return sorted(one.to for one in mail if "paid to has changed" in one.content.subject)


async def test_a_new_bank_account_is_told_to_the_contacts_of_before(
    office: Office, desk: VendorDesk
) -> None:
    await desk.put(THIEF)
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(OTHER_BANK,)))
    await desk.told(kind="account.external_account.created")
    mail = await desk.mail()
    assert to_contacts(mail) == ["old@example.com", "thief@example.com"]
    told = next(one for one in mail if one.to == "old@example.com")
    for words in ("****1116", "****6789", "call your dispatch contact"):
        assert words in told.content.text
    (staff,) = [one for one in mail if one.to == "office@example.com"]
    assert "****1116" in staff.content.text
    assert await office.service.verification.verify(lambda _: None) == []


async def test_nobody_who_left_long_ago_is_told(office: Office, desk: VendorDesk) -> None:
    await desk.put(THIEF)
    office.clock.advance(timedelta(days=31).total_seconds())
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(OTHER_BANK,)))
    await desk.told()
    assert to_contacts(await desk.mail()) == ["thief@example.com"]


async def test_an_address_is_told_once_though_several_contacts_have_it(
    office: Office, desk: VendorDesk
) -> None:
    await desk.put(replace(OLD, name="Tow & Gone"))
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(OTHER_BANK,)))
    await desk.told()
    assert to_contacts(await desk.mail()) == ["old@example.com"]


async def test_taking_the_bank_account_away_first_silences_nothing(
    office: Office, desk: VendorDesk
) -> None:
    for banks in ((), (OTHER_BANK,)):
        office.stripe.show(ACCOUNT, replace(ABLE, banks=banks))
        await desk.told(kind="account.external_account.deleted")
    assert to_contacts(await desk.mail()) == ["old@example.com"] * 2


async def test_a_bank_account_named_again_is_no_change(office: Office, desk: VendorDesk) -> None:
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(replace(BANK),)))
    await desk.told()
    assert to_contacts(await desk.mail()) == []


async def test_the_first_bank_account_is_no_change(office: Office) -> None:
    desk = VendorDesk(office)
    office.stripe.show(ACCOUNT, TO_ONBOARD)
    await desk.put()
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(BANK,)))
    await desk.told()
    assert to_contacts(await desk.mail()) == []


async def test_another_account_in_the_record_is_told_like_a_new_bank_account(
    office: Office, desk: VendorDesk
) -> None:
    await desk.put(THIEF, "acct_thief")
    mail = await desk.mail()
    assert to_contacts(mail) == ["old@example.com", "thief@example.com"]
    (staff,) = [one for one in mail if one.to == "office@example.com"]
    assert ACCOUNT in staff.content.text


async def test_an_old_contact_reads_it_in_its_own_language(office: Office) -> None:
    desk = VendorDesk(office)
    await desk.put(locale="es-MX")
    await desk.put(THIEF)
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(OTHER_BANK,)))
    await desk.told()
    told = {one.to: one.content.subject for one in await desk.mail()}
    assert told["old@example.com"] == "Ha cambiado la cuenta bancaria en la que usted cobra"
    assert told["thief@example.com"].startswith("The bank account")


# --- requirements --------------------------------------------------------------------------------


async def test_requirements_are_told_of_a_week_before_they_fall_due_and_once(
    office: Office, desk: VendorDesk
) -> None:
    deadline = office.clock.now() + timedelta(days=20)
    due = Requirements(("individual.verification.document",), deadline=deadline)
    office.stripe.show(ACCOUNT, replace(ABLE, requirements=due, banks=(BANK,)))
    await desk.told()
    await office.attend(timedelta(days=12))
    assert await desk.mail() == []
    for _ in range(3):
        await office.attend(timedelta(days=1, minutes=1))
    mail = await desk.mail()
    assert sorted(one.to for one in mail) == ["office@example.com", "old@example.com"]
    assert all("individual verification document" in one.content.text for one in mail)
    assert (await desk.facts()).count("RequirementsDeadlineNeared") == 1


async def test_nobody_is_reminded_of_what_was_given_though_its_event_was_lost(
    office: Office, desk: VendorDesk
) -> None:
    deadline = office.clock.now() + timedelta(days=8)
    due = Requirements(("tos_acceptance.date",), deadline=deadline)
    office.stripe.show(ACCOUNT, replace(ABLE, requirements=due, banks=(BANK,)))
    await desk.told()
    office.stripe.show(ACCOUNT, replace(ABLE, banks=(BANK,)))
    await office.attend(timedelta(days=2))
    assert await desk.mail() == []
    assert "RequirementsDeadlineNeared" not in await desk.facts()
