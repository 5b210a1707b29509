"""timeline, find: readable for a person, JSON for a script, one sentence when there is nothing."""

from __future__ import annotations

import json

from tests.cli.conftest import Typed
from tests.workflows.stories import World


def test_a_timeline_tells_when_who_what_and_the_stripe_ids(typed: Typed, world: World) -> None:
    shown = typed("timeline", world.driver_payment)
    assert shown.exit_code == 0, shown.output
    for words in (
        "completed, 1,250.00 USD",
        '"Two tyres on the I-80"',
        "dispatcher:dana",
        "Scored 20 of 100, low risk",
        "Approved by ada",
        "key payment_" + world.driver_payment,
        "pi_1 req_1",
        "Your card was declined. (card_declined, insufficient_funds)",
        "charged to the driver's card, as a webhook told",
        "1,250.00 USD, fee 36.55 USD, net 1,213.45 USD",
    ):
        assert words in shown.output


def test_a_transfer_is_told_as_one(typed: Typed, world: World) -> None:
    shown = typed("timeline", f"payment/{world.back_office_payment}")
    assert "1,250.00 USD transferred to the vendor" in shown.output
    assert "transfer.create" in shown.output


def test_payouts_and_vendors_have_a_timeline_too(typed: Typed, world: World) -> None:
    paid = typed("timeline", f"payout/{world.payout}")
    assert paid.exit_code == 0, paid.output
    assert "Payout po_1: paid, 50.00 USD" in paid.output
    assert "Paid out 50.00 USD to the bank of acct_" in paid.output
    vendor = typed("timeline", f"vendor/{world.vendor}")
    assert "Vendor ve_tow: It can be paid." in vendor.output
    assert "Registered: paid to acct_" in vendor.output
    assert "tow@example.com" not in vendor.output
    movements = json.loads(typed("timeline", "control/movements", "--json").stdout)
    assert movements["stream"] == "control/movements"
    assert [entry["words"] for entry in movements["timeline"]] == [
        "Every outgoing movement held: Stripe reports an incident",
        "Movements go again",
    ]


def test_a_timeline_for_scripts(typed: Typed, world: World) -> None:
    shown = json.loads(typed("timeline", world.driver_payment, "--json").stdout)
    assert (shown["status"], shown["amountCents"], shown["currency"]) == (
        "completed",
        125_000,
        "usd",
    )
    assert [entry["seq"] for entry in shown["timeline"]] == list(range(1, 10))
    assert shown["timeline"][0]["type"] == "PaymentCreated"


def test_nothing_found_is_one_sentence_and_exit_status_1(typed: Typed, world: World) -> None:
    for words in (("timeline", "0195ffff"), ("find", "pi_unknown"), ("find", "nonsense")):
        shown = typed(*words)
        assert shown.exit_code == 1
        assert shown.stdout == ""
        assert shown.stderr.startswith("Error: ")
        assert len(shown.stderr.splitlines()) == 1


def test_find_says_what_an_id_belongs_to_and_how_to_go_on(typed: Typed, world: World) -> None:
    for any_id in (world.driver_payment, "pi_1", "ch_1", "in_1"):
        shown = typed("find", any_id)
        assert shown.exit_code == 0, shown.output
        assert f"roadcall-payments timeline {world.driver_payment}" in shown.output
    assert typed("find", "ve_tow").stdout == (
        "vendor ve_tow  (roadcall-payments timeline vendor/ve_tow)\n"
    )
    assert json.loads(typed("find", "tr_1", "--json").stdout) == [
        f"payment/{world.back_office_payment}"
    ]
