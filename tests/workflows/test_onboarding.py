"""A vendor's one connected account: opened once, whatever is lost, repeated or restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.connected_account import Obstacle, cannot_receive
from roadcall_payments.domain.errors import (
    AccountRefused,
    AccountTaken,
    InvalidInput,
    MovementsPaused,
    NotAllowed,
    NotFound,
    StatusForbids,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from roadcall_payments.workflows.vendors import VendorRecord
from tests.fakes.connected_accounts import ABLE
from tests.workflows.office import ACCOUNT, ADMIN, Office, open_office
from tests.workflows.test_drift_repair import backed_up, repaired, restored
from tests.workflows.vendor_desk import OLD, VendorDesk

CREATE = Operation.CREATE_ACCOUNT
TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
REFUSED = Refused(
    StripeFailure("country_unsupported", "Country 'AQ' is unknown."), 400, "req_1", replayed=False
)
RETURN_URL = "https://roadcall.example/vendors?tab=bank"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, onboarding_return_url=RETURN_URL) as opened:
        yield opened


@pytest.fixture
async def desk(office: Office) -> VendorDesk:
    desk = VendorDesk(office)
    await desk.put(account=None)
    return desk


def keys_sent(office: Office) -> list[str]:
    return [one.idempotency_key for one in office.stripe.sent]


async def test_the_first_link_opens_the_account_and_the_next_is_a_fresh_one(
    office: Office, desk: VendorDesk
) -> None:
    first = await office.service.onboarding.page(ADMIN, "ve_tow", "US")
    again = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert first.page is not None
    assert again.page is not None
    assert first.page.url != again.page.url
    assert keys_sent(office) == ["account_ve_tow"]
    assert '"country":"US"' in office.stripe.sent[0].params
    assert '"vendorId":"ve_tow"' in office.stripe.sent[0].params
    vendor = await desk.vendor()
    assert vendor.stripe_account == first.vendor.stripe_account == "acct_1Opened1"
    reason = cannot_receive(vendor)
    assert reason is not None
    assert reason.code is Obstacle.NOT_ONBOARDED
    (_, returns_to), _ = office.stripe.pages_made
    assert returns_to is not None
    assert returns_to.done == f"{RETURN_URL}&onboarding=done"
    assert returns_to.expired == f"{RETURN_URL}&onboarding=expired"
    assert await office.service.verification.verify(lambda _: None) == []


async def test_a_link_is_stored_nowhere(office: Office, desk: VendorDesk) -> None:
    onboarded = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert onboarded.page is not None
    assert onboarded.page.url not in repr(onboarded)
    entries = await office.service.store.journal("vendor/ve_tow")
    assert not any(onboarded.page.url.encode() in entry.data for entry in entries)


async def test_an_account_whose_answer_was_lost_is_found_and_never_opened_twice(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.lose_answer(CREATE)
    asked = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert asked.page is None
    reason = cannot_receive(asked.vendor)
    assert reason is not None
    assert reason.code is Obstacle.ACCOUNT_OPENING
    await office.attend(timedelta(minutes=1))
    assert (await desk.vendor()).stripe_account == "acct_1Opened1"
    assert keys_sent(office) == ["account_ve_tow"], "it was found in the list, not sent again"
    assert (await office.service.onboarding.page(ADMIN, "ve_tow")).page is not None


async def test_a_second_asking_finishes_what_the_first_left_open(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.lose_answer(CREATE)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    again = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert again.page is not None
    assert len(office.stripe.accounts_shown) == 1


async def test_an_unreceived_request_is_sent_again_under_its_key(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.script(CREATE, TIMEOUT)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    await office.attend(timedelta(minutes=1))
    assert keys_sent(office) == ["account_ve_tow"] * 2
    assert (await desk.vendor()).stripe_account is not None


async def test_m8_past_its_deadline_the_key_is_dead_and_two_empty_lists_end_it(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.script(CREATE, TIMEOUT)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    await office.attend(timedelta(hours=23, minutes=1))
    assert keys_sent(office) == ["account_ve_tow"], "no POST after 23 h"
    await office.attend(timedelta(hours=2, minutes=1))
    vendor = await desk.vendor()
    assert vendor.opening is not None
    assert not vendor.opening.open
    assert vendor.opening.refusal_code == "account_not_received"
    assert (await office.service.onboarding.page(ADMIN, "ve_tow")).page is not None
    assert keys_sent(office)[-1] == "account_ve_tow_2"


async def test_m8_one_empty_list_ends_nothing_however_late_it_comes(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.script(CREATE, TIMEOUT)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    await office.attend(timedelta(hours=26))
    opening = (await desk.vendor()).opening
    assert opening is not None
    assert opening.open
    await office.attend(timedelta(hours=1, minutes=1))
    opening = (await desk.vendor()).opening
    assert opening is not None
    assert not opening.open


async def test_a_refusal_is_told_and_the_next_asking_takes_a_new_key(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.script(CREATE, REFUSED)
    with pytest.raises(AccountRefused, match="AQ") as refused:
        await office.service.onboarding.page(ADMIN, "ve_tow", "AQ")
    assert refused.value.stripe_code == "country_unsupported"
    assert (await desk.facts())[-2:] == ["AccountRequested", "AccountRefused"]
    assert (await office.service.onboarding.page(ADMIN, "ve_tow", "US")).page is not None
    assert keys_sent(office) == ["account_ve_tow", "account_ve_tow_2"]


async def test_m6_an_account_removed_from_the_record_is_found_again_not_opened_twice(
    office: Office, desk: VendorDesk
) -> None:
    await office.service.onboarding.page(ADMIN, "ve_tow")
    await desk.put(account=None)
    again = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert again.vendor.stripe_account == "acct_1Opened1"
    assert keys_sent(office) == ["account_ve_tow"]


async def test_an_account_named_meanwhile_stays_and_the_opened_one_is_noted(
    office: Office, desk: VendorDesk
) -> None:
    async def an_admin_names_one() -> None:
        await desk.put(account=ACCOUNT)

    office.stripe.during(CREATE, an_admin_names_one)
    onboarded = await office.service.onboarding.page(ADMIN, "ve_tow")
    assert onboarded.vendor.stripe_account == ACCOUNT
    opening = onboarded.vendor.opening
    assert opening is not None
    assert (opening.open, opening.refusal_code) == (False, "account_superseded")


async def test_two_who_ask_at_once_open_one(office: Office, desk: VendorDesk) -> None:
    async def another_asks() -> None:
        await office.service.onboarding.page(ADMIN, "ve_tow")

    office.stripe.during(CREATE, another_asks)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    assert len(office.stripe.accounts_shown) == 1
    assert (await desk.facts()).count("VendorAccountOpened") == 1


async def test_an_event_of_the_account_being_opened_waits_for_whose_it_is(
    office: Office, desk: VendorDesk
) -> None:
    statuses = []

    async def it_is_told_first() -> None:
        statuses.append(await desk.told("acct_1Opened1"))

    office.stripe.during(CREATE, it_is_told_first)
    await office.service.onboarding.page(ADMIN, "ve_tow")
    assert statuses == ["waiting"]
    assert await office.service.webhook_inbox.retry_now("evt_1")
    kept = await office.service.store.inbox_event("evt_1")
    assert kept is not None
    assert kept.status == "applied"


async def test_nothing_is_written_while_stripe_or_a_restore_forbids_it(
    office: Office, desk: VendorDesk
) -> None:
    before = await desk.facts()
    office.stripe.down = StripeUnavailable("down")
    with pytest.raises(StripeUnavailable):
        await office.service.onboarding.page(ADMIN, "ve_tow")
    office.stripe.down = None
    await office.service.movements_switch.hold(ADMIN, "restored", office.clock.now())
    with pytest.raises(MovementsPaused):
        await office.service.onboarding.page(ADMIN, "ve_tow")
    assert await desk.facts() == before
    assert office.stripe.sent == []


@pytest.mark.parametrize("asked_before", [False, True])
async def test_m18_an_account_that_a_restore_lost_is_adopted_and_no_second_one_opened(
    office: Office, desk: VendorDesk, tmp_path: Path, asked_before: bool
) -> None:
    if asked_before:
        # The backup knows that it was asked for, and not that Stripe opened it.
        office.stripe.script(CREATE, TIMEOUT)
        await office.service.onboarding.page(ADMIN, "ve_tow")
    backup = backed_up(tmp_path)
    if asked_before:
        office.stripe.opened_account(office.stripe.sent[0])
    else:
        await office.service.onboarding.page(ADMIN, "ve_tow")
    opened = office.stripe.accounts_shown["acct_1Opened1"]
    office.stripe.accounts_shown["acct_theirs"] = replace(opened, id="acct_theirs", metadata={})
    lost = replace(opened, id="acct_lost", metadata={**opened.metadata, "vendorId": "ve_lost"})
    office.stripe.accounts_shown[lost.id] = lost
    posts = len(office.stripe.sent)
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert [one.object_id for one in report.adopted] == [opened.id]
        (warning,) = report.warnings
        assert "acct_lost was opened for vendor ve_lost, which is not in the books" in warning
        assert (await later.service.vendors.get("ve_tow")).stripe_account == opened.id
        assert (await repaired(later)).adopted == [], "once"
        await later.service.restore_guard.release(ADMIN)
        assert await later.service.verification.verify(lambda _: None) == []
        assert len(later.stripe.sent) == posts


async def test_m18_an_account_beside_the_one_on_file_is_a_persons_case(
    office: Office, desk: VendorDesk, tmp_path: Path
) -> None:
    await office.service.onboarding.page(ADMIN, "ve_tow")
    backup = backed_up(tmp_path)
    opened = office.stripe.accounts_shown["acct_1Opened1"]
    office.stripe.accounts_shown["acct_second"] = replace(opened, id="acct_second")
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert (report.passed, report.adopted) == (True, [])
        (warning,) = report.warnings
        assert "acct_second" in warning
        assert "acct_1Opened1" in warning
        later.stripe.connect = False
        assert (await repaired(later)).warnings == []


async def test_what_cannot_be_asked_is_refused(office: Office, desk: VendorDesk) -> None:
    with pytest.raises(NotFound):
        await office.service.onboarding.page(ADMIN, "ve_nobody")
    with pytest.raises(InvalidInput):
        await office.service.onboarding.page(ADMIN, "ve_tow", "usa")
    with pytest.raises(StatusForbids):
        await office.service.onboarding.dashboard("ve_tow")
    office.stripe.connect = False
    with pytest.raises(NotAllowed):
        await office.service.onboarding.page(ADMIN, "ve_tow")


async def test_without_an_address_to_return_to_there_is_no_link(tmp_path: Path) -> None:
    async with open_office(tmp_path / "unset") as office:
        await VendorDesk(office).put()
        with pytest.raises(NotAllowed, match="ROADCALL_ONBOARDING_RETURN_URL"):
            await office.service.onboarding.page(ADMIN, "ve_tow")


async def test_the_dashboard_is_the_accounts_own(office: Office, desk: VendorDesk) -> None:
    await desk.put(account=ACCOUNT)
    await office.service.onboarding.dashboard("ve_tow")
    assert office.stripe.pages_made == [(ACCOUNT, None)]


async def test_an_account_is_one_vendors(office: Office, desk: VendorDesk) -> None:
    await desk.put(account=ACCOUNT)
    with pytest.raises(AccountTaken):
        await office.service.vendors.put(ADMIN, "ve_other", paid_to(ACCOUNT))
    with pytest.raises(NotFound):
        await office.service.vendors.get("ve_other")
    await desk.put(account="acct_another")
    other = await office.service.vendors.put(ADMIN, "ve_other", paid_to(ACCOUNT))
    assert other.stripe_account == ACCOUNT, "it was free again"
    assert await office.service.verification.verify(lambda _: None) == []


async def test_an_account_that_is_not_ours_is_refused_by_name(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.strangers.add("acct_stranger")
    with pytest.raises(InvalidInput) as refused:
        await desk.put(account="acct_stranger")
    assert (refused.value.field, refused.value.code) == (
        "stripeAccountId",
        "account_not_connected",
    )
    assert (await desk.vendor()).stripe_account is None


async def test_with_stripe_down_a_record_is_taken_as_it_is_named(
    office: Office, desk: VendorDesk
) -> None:
    office.stripe.down = StripeUnavailable("down")
    vendor = await desk.put(account=ACCOUNT)
    assert vendor.stripe_account == ACCOUNT
    reason = cannot_receive(vendor)
    assert reason is not None
    assert reason.code is Obstacle.NOT_SEEN
    office.stripe.down = None
    office.stripe.show(ACCOUNT, ABLE)
    assert cannot_receive(await desk.put(account=ACCOUNT)) is None


async def test_nobody_is_let_into_an_account_that_another_vendor_has(
    office: Office, desk: VendorDesk
) -> None:
    await desk.put(account=ACCOUNT)
    office.stripe.down = StripeUnavailable("down")
    await office.service.vendors.put(ADMIN, "ve_other", paid_to(ACCOUNT))
    office.stripe.down = None
    for asked in (
        office.service.onboarding.dashboard("ve_other"),
        office.service.onboarding.page(ADMIN, "ve_other"),
        office.service.payout_statement.balance("ve_other"),
        office.service.payouts.request(ADMIN, "ve_other", Money(5_000, "usd")),
    ):
        with pytest.raises(AccountTaken):
            await asked
    assert office.stripe.pages_made == []


def paid_to(account: str) -> VendorRecord:
    return VendorRecord(account, "en-US", OLD)
