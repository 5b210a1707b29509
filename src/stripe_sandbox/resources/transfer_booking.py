"""Booking a transfer on both sides: asked for by itself, or by a destination charge."""

from stripe_sandbox.errors import invalid
from stripe_sandbox.records import Account, Charge, Transfer
from stripe_sandbox.resources.account_view import can_receive
from stripe_sandbox.resources.balance import book
from stripe_sandbox.resources.events import emit
from stripe_sandbox.resources.transfer_view import render_transfer
from stripe_sandbox.world import World


def find_destination(world: World, account_id: str, param: str) -> Account:
    """Raises StripeError where there is none, or where it cannot receive transfers."""
    account = world.accounts.get(account_id)
    if account is None:
        raise invalid(f"No such destination: '{account_id}'", code="resource_missing", param=param)
    if account.id == world.platform:
        raise invalid(
            "Cannot transfer to your own account.", code="transfers_not_allowed", param=param
        )
    if not can_receive(account):
        raise invalid(
            "Your destination account needs to have at least one of the following capabilities "
            "enabled: transfers, crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )
    return account


def make_transfer(
    world: World,
    destination: str,
    amount: int,
    currency: str,
    *,
    source: Charge | None,
    available_on: int,
    transfer_group: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    application_fee: int = 0,
) -> Transfer:
    """Send `amount` (minor units) of the platform's; everything was checked.

    `source` is the charge whose funds it waits for; `application_fee` is kept back on the
    destination's side.
    """
    stamp = world.stamp("tr_", world.platform)
    payment = Charge(
        **world.stamp("py_", destination),
        amount=amount,
        currency=currency,
        status="succeeded",
        amount_captured=amount,
        source_transfer=stamp["id"],
        application_fee_amount=application_fee or None,
    )
    world.charges.add(payment)
    group = transfer_group or (source.transfer_group if source else None)
    transfer = Transfer(
        **stamp,
        amount=amount,
        currency=currency,
        destination=destination,
        description=description,
        metadata=metadata or {},
        transfer_group=group or (f"group_{source.payment_intent}" if source else None),
        source_transaction=source.id if source else None,
        balance_transaction=book(
            world,
            world.platform,
            "transfer",
            -amount,
            currency,
            source=stamp["id"],
            available_on=available_on,
            description=description,
        ).id,
        destination_payment=payment.id,
    )
    world.transfers.add(transfer)
    if source is not None:
        source.transferred += amount
        world.charges.save(source)
    payment.balance_transaction = book(
        world,
        destination,
        "payment",
        amount,
        currency,
        source=payment.id,
        fee=application_fee,
        application_fee=application_fee,
        available_on=available_on,
    ).id
    world.charges.save(payment)
    emit(world, "transfer.created", render_transfer(world, transfer), world.platform)
    return transfer
