"""How long a share rests between two tries: bounded, and longer each time (M28)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settling, shares_seen
from roadcall_payments.domain.payment import Patience, Payment
from roadcall_payments.domain.settlement import Deferral, Settlement, ShareTransfer, Step
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from tests.builders import NOON
from tests.domain import observed
from tests.domain.settlement_world import VENDOR, SettlementWorld

PATIENCE = Patience()
HOUR = PATIENCE.settlement_again
FAILURE = StripeFailure("account_invalid", "No such account.")


def paid() -> Payment:
    world = SettlementWorld()
    world.pay("usd", 1_000, 30, True, e.Bearer.VENDOR)
    return world.p


def tried(*ends: Step, deferral: Deferral | None = None) -> Payment:
    """A payment whose share was tried, an hour apart, with these ends."""
    request = observed.request(Operation.CREATE_TRANSFER, "settlement_pay_1")
    transfers = tuple(
        ShareTransfer(
            number=number,
            amount_cents=10,
            fee_cents=0,
            set_off_cents=0,
            destination=VENDOR,
            started_at=NOON + number * HOUR,
            updated_at=NOON + number * HOUR,
            request=request,
            status=end,
        )
        for number, end in enumerate(ends, 1)
    )
    return replace(paid(), settlement=Settlement(transfers=transfers, deferral=deferral))


@pytest.mark.parametrize(
    ("refusals", "hours"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (7, 64), (8, 128), (9, 128), (100, 128)],
)
def test_m28_a_share_that_is_refused_again_rests_longer_each_time(
    refusals: int, hours: int
) -> None:
    payment = tried(*[Step.FAILED] * refusals)
    last = NOON + refusals * HOUR
    assert settling.due_at(payment, PATIENCE) == last + timedelta(hours=hours)


def test_only_refusals_in_a_row_count() -> None:
    payment = tried(Step.FAILED, Step.FAILED, Step.COMPLETED, Step.FAILED)
    assert settling.due_at(payment, PATIENCE) == NOON + 4 * HOUR + HOUR


def test_a_part_that_is_due_after_one_that_went_out_does_not_rest() -> None:
    payment = tried(Step.FAILED, Step.COMPLETED)
    assert settling.due_at(payment, PATIENCE) == payment.updated_at


def test_what_a_share_waits_for_is_looked_at_without_regard_to_earlier_refusals() -> None:
    since = NOON + timedelta(days=3)
    payment = tried(*[Step.FAILED] * 6, deferral=Deferral("no_account", "None yet.", since))
    assert settling.due_at(payment, PATIENCE) == since + HOUR


def test_the_third_refusal_in_a_row_is_told_as_stuck_and_no_other() -> None:
    told = []
    for refusals in range(5):
        payment = tried(*[Step.FAILED] * refusals, Step.OPEN)
        facts = shares_seen.transfer_refused(payment, refusals + 1, FAILURE, e.Source.ANSWER, None)
        told.append([type(one).__name__ for one in facts])
    refused, stuck = ["SettlementFailed"], ["SettlementFailed", "AnomalyRecorded"]
    assert told == [refused, refused, stuck, stuck, stuck]
    known = replace(tried(*[Step.FAILED] * 3, Step.OPEN), anomalies=(shares_seen.REFUSED_AGAIN,))
    facts = shares_seen.transfer_refused(known, 4, FAILURE, e.Source.ANSWER, None)
    assert len(facts) == 1, "said once for a payment"
