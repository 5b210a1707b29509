"""The stories of money back and money out once more, on PostgreSQL.

What the stores share, the contracts hold; these show that each capability as a whole comes to the
same end there: what it lists, claims, locks by commits in two streams, and wakes up for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roadcall_payments.stores.postgres import open_postgres
from tests.contracts.postgres_database import emptied
from tests.fakes.connected_accounts import ABLE, BANK
from tests.postgres_server import PostgresServer
from tests.workflows import (
    test_disputes,
    test_onboarding,
    test_payout_cancellation,
    test_payout_schedule,
    test_payouts,
    test_payouts_at_stripe,
    test_refunds,
    test_refunds_at_stripe,
    test_remittance,
    test_set_off,
    test_settlements,
    test_settlements_money_back,
    test_transfer_queue,
    test_vendor_accounts,
    test_vendor_statement,
)
from tests.workflows.office import ACCOUNT, Office, TroubledStore, office_on
from tests.workflows.test_onboarding import RETURN_URL
from tests.workflows.vendor_desk import VendorDesk

Story = Callable[[Office], Awaitable[None]]
VendorStory = Callable[[Office, VendorDesk], Awaitable[None]]

STORIES: list[Story] = [
    test_refunds.test_a_full_refund_from_request_to_books,
    test_refunds.test_a_double_clicked_refund_is_one_and_two_equal_ones_are_two,
    test_refunds.test_requests_at_once_never_reserve_more_than_there_is,
    test_refunds_at_stripe.test_m21_a_refund_that_fails_after_it_succeeded_is_booked_back,
    test_refunds_at_stripe.test_m16_m17_a_dashboard_refund_is_booked_once_by_its_id,
    test_disputes.test_an_opened_dispute_takes_the_money_out_of_the_books_once,
    test_disputes.test_a_lost_dispute_is_taken_off_what_the_vendor_is_owed,
    test_disputes.test_a_refund_on_a_disputed_charge_is_refused,
    test_disputes.test_somebody_is_told_before_evidence_is_due_once,
    test_set_off.test_m22_an_unknown_transfer_holds_what_it_reserved,
    test_set_off.test_m22_a_definite_failure_releases_what_was_reserved,
    test_set_off.test_m22_two_payments_at_once_never_set_off_one_debt,
    test_transfer_queue.test_what_the_funds_do_not_cover_waits_and_goes_when_they_come,
    test_transfer_queue.test_the_order_is_priority_then_age_and_nobody_overtakes,
    test_transfer_queue.test_two_workers_release_no_more_than_the_funds_cover,
    test_transfer_queue.test_stripes_word_of_new_funds_releases_at_once,
    test_payouts.test_m31_a_double_click_is_one_payout_and_two_equal_ones_are_two,
    test_payouts.test_m7_a_payout_whose_answer_was_lost_is_found_by_listing,
    test_payouts_at_stripe.test_an_event_before_the_answer_claims_the_open_payout,
    test_payouts_at_stripe.test_m16_an_automatic_payout_is_followed_in_a_stream_of_its_own,
    test_payouts_at_stripe.test_events_in_any_order_move_a_payout_forwards_only,
    test_payout_cancellation.test_a_pending_payout_is_cancelled_under_a_key_of_its_own,
    test_payout_schedule.test_a_balance_is_paid_out_once_a_day_at_the_hour,
    test_payout_schedule.test_two_workers_make_one_payout,
    test_remittance.test_what_came_first_is_paid_out_first_and_a_job_may_be_split,
    test_remittance.test_a_payout_that_came_back_gives_its_jobs_to_the_next,
    test_remittance.test_payouts_are_listed_newest_first_page_by_page,
]

SETTLING: list[Story] = [
    test_settlements.test_m20_the_vendors_share_follows_its_payment,
    test_settlements.test_a_lost_answer_is_found_and_never_sent_again,
    test_settlements.test_two_workers_make_one_transfer,
    test_settlements_money_back.test_m21_the_share_comes_back_after_the_refund_succeeded,
    test_settlements_money_back.test_m22_what_cannot_be_taken_back_becomes_a_debt,
    test_settlements_money_back.test_m22_a_debt_is_set_off_against_the_next_share,
    test_settlements_money_back.test_a_lost_dispute_is_taken_back_from_the_vendor_that_bears_it,
    test_vendor_statement.test_a_month_tells_fees_take_backs_and_payouts_and_the_next_begins_where_it_ended,
]

ONBOARDING: list[VendorStory] = [
    test_onboarding.test_the_first_link_opens_the_account_and_the_next_is_a_fresh_one,
    test_onboarding.test_an_account_whose_answer_was_lost_is_found_and_never_opened_twice,
    test_onboarding.test_two_who_ask_at_once_open_one,
    test_onboarding.test_an_account_is_one_vendors,
]

ACCOUNTS: list[VendorStory] = [
    test_vendor_accounts.test_a_repeated_event_is_looked_at_once,
    test_vendor_accounts.test_a_new_bank_account_is_told_to_the_contacts_of_before,
    test_vendor_accounts.test_requirements_are_told_of_a_week_before_they_fall_due_and_once,
]


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.url(postgres.create_database())


@asynccontextmanager
async def open_on(url: str, directory: Path, **changed: object) -> AsyncIterator[Office]:
    await emptied(url)
    store = await open_postgres(url)
    try:
        yield office_on(TroubledStore(store), directory, None, changed)
    finally:
        await store.close()


def _named(story: Callable[..., object]) -> str:
    return story.__name__.removeprefix("test_")


@pytest.mark.parametrize("story", STORIES, ids=_named)
async def test_on_postgresql(story: Story, database: str, tmp_path: Path) -> None:
    async with open_on(database, tmp_path) as office:
        await story(office)


@pytest.mark.parametrize("story", SETTLING, ids=_named)
async def test_settled_on_postgresql(story: Story, database: str, tmp_path: Path) -> None:
    terms: dict[str, object] = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    async with open_on(database, tmp_path, settlement=True, **terms) as office:
        await story(office)


@pytest.mark.parametrize("story", ONBOARDING, ids=_named)
async def test_onboarded_on_postgresql(story: VendorStory, database: str, tmp_path: Path) -> None:
    async with open_on(database, tmp_path, onboarding_return_url=RETURN_URL) as office:
        desk = VendorDesk(office)
        await desk.put(account=None)
        await story(office, desk)


@pytest.mark.parametrize("story", ACCOUNTS, ids=_named)
async def test_vendors_on_postgresql(story: VendorStory, database: str, tmp_path: Path) -> None:
    async with open_on(database, tmp_path, back_office_emails="office@example.com") as office:
        office.stripe.show(ACCOUNT, replace(ABLE, banks=(BANK,)))
        desk = VendorDesk(office)
        await desk.put()
        await story(office, desk)
