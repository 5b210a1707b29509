"""Transfers and their reversals as JSON."""

from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object
from stripe_sandbox.records import Transfer, TransferReversal
from stripe_sandbox.world import World

LISTED_REVERSALS_MAX = 10


def render_reversal(world: World, reversal: TransferReversal) -> JsonObject:
    return {
        "id": reversal.id,
        "object": "transfer_reversal",
        "amount": reversal.amount,
        "balance_transaction": reversal.balance_transaction,
        "created": reversal.created,
        "currency": reversal.currency,
        "destination_payment_refund": reversal.destination_payment_refund,
        "metadata": reversal.metadata,
        "source_refund": reversal.source_refund,
        "transfer": reversal.transfer,
    }


expandable("transfer_reversal", "transfer_reversals", render_reversal)


def render_transfer(world: World, transfer: Transfer) -> JsonObject:
    reversals = list(world.transfer_reversals.where("transfer", transfer.id))
    reversals.reverse()
    return {
        "id": transfer.id,
        "object": "transfer",
        "amount": transfer.amount,
        "amount_reversed": transfer.amount_reversed,
        "balance_transaction": transfer.balance_transaction,
        "created": transfer.created,
        "currency": transfer.currency,
        "description": transfer.description,
        "destination": transfer.destination,
        "destination_payment": transfer.destination_payment,
        "livemode": False,
        "metadata": transfer.metadata,
        "reversals": list_object(
            f"/v1/transfers/{transfer.id}/reversals",
            [render_reversal(world, each) for each in reversals[:LISTED_REVERSALS_MAX]],
            has_more=len(reversals) > LISTED_REVERSALS_MAX,
        ),
        "reversed": transfer.amount_reversed == transfer.amount,
        "source_transaction": transfer.source_transaction,
        "source_type": "card",
        "transfer_group": transfer.transfer_group,
    }


expandable("transfer", "transfers", render_transfer)
