"""Starting: the stored state read back, or a first day with a platform and its opening balance."""

from dataclasses import replace

from stripe_sandbox.clock import ClockReading, SandboxClock
from stripe_sandbox.ids import IdSource
from stripe_sandbox.own_records import AccessRecord, ClockRecord, StartRecord
from stripe_sandbox.records import Account, BankAccount, Secret
from stripe_sandbox.resources.balance import book, recall
from stripe_sandbox.resources.disputes import schedule_dispute
from stripe_sandbox.resources.payment_intent_life import AUTHORIZATION_KEPT_S
from stripe_sandbox.resources.payouts import schedule_payout
from stripe_sandbox.resources.requirements import schedule_deadline
from stripe_sandbox.resources.webhook_endpoints import add_endpoint
from stripe_sandbox.schedule import Duty
from stripe_sandbox.storage import Storage
from stripe_sandbox.world import World

# The records that are no object of Stripe's come before all others.
START_SEQUENCE, ACCESS_SEQUENCE, CLOCK_SEQUENCE = -3, -2, -1


def start(world: World, clock: SandboxClock, storage: Storage) -> None:
    """Fill an empty world. What it adds is left unsaved, for the first commit."""
    loaders = world.loaders()
    for row in storage.load():
        if row.body is not None:
            loaders[row.kind](row.body)
    stored = world.starts.get("start")
    if stored is None:
        _tell_time(world, clock)
        _first_day(world)
    else:
        _next_start(world, clock, stored)
    _add_configured_endpoints(world)


def _tell_time(world: World, clock: SandboxClock) -> None:
    world.now_ms = clock.now_ms()
    world.now = world.now_ms // 1000


def _first_day(world: World) -> None:
    config = world.config
    world.starts.add(
        StartRecord(
            id="start",
            sequence=START_SEQUENCE,
            seed=config.seed,
            boots=0,
            account=config.platform_account,
            created=world.now,
            platform_account=config.platform_account,
        )
    )
    world.access.add(
        AccessRecord(
            id="access",
            sequence=ACCESS_SEQUENCE,
            accepted=list(config.api_keys),
            revoked=[],
            account=config.platform_account,
            created=world.now,
        )
    )
    world.accounts.add(
        Account(
            id=config.platform_account,
            account=config.platform_account,
            created=world.now,
            sequence=world.ids.sequence(),
            country=config.country,
            currency=config.currency,
            business_name="Sandbox platform",
            business_type="company",
            capabilities={"card_payments": "active", "transfers": "active"},
            details_submitted=True,
        )
    )
    world.bank_accounts.add(
        BankAccount(
            **world.stamp("ba_", config.platform_account),
            country=config.country,
            currency=config.currency,
            routing_number="110000000",
            last4="6789",
            outcome="paid",
            default=True,
        )
    )
    if config.opening_balance:
        book(
            world,
            config.platform_account,
            "adjustment",
            config.opening_balance,
            config.currency,
            source=None,
            description="Opening balance of the sandbox",
            category="other_adjustment",
        )


def _next_start(world: World, clock: SandboxClock, stored: StartRecord) -> None:
    stored.boots += 1
    world.starts.save(stored)
    world.config = replace(world.config, seed=stored.seed, platform_account=stored.platform_account)
    world.ids = IdSource(stored.seed, stored.boots)
    world.faults.reseed(f"{stored.seed}/{stored.boots}")
    reading = world.clocks.get("clock")
    if reading is not None:
        clock.restore(ClockReading(reading.mode, reading.standing_at_ms, reading.offset_ms))
    _tell_time(world, clock)
    if world.config.api_keys:
        access = world.access["access"]
        access.accepted = [
            key for key in {*access.accepted, *world.config.api_keys} if key not in access.revoked
        ]
        world.access.save(access)
    _schedule_what_is_open(world)


def _schedule_what_is_open(world: World) -> None:
    for transaction in world.balance_transactions:
        recall(world, transaction)
    for payout in world.payouts:
        schedule_payout(world, payout)
    for refund in world.refunds:
        if refund.settles_at is not None:
            world.schedule.add(refund.settles_at, Duty.SETTLE_REFUND, refund.id)
    for dispute in world.disputes:
        schedule_dispute(world, dispute)
    for intent in world.payment_intents:
        if intent.status == "requires_capture" and intent.latest_charge is not None:
            charge = world.charges[intent.latest_charge]
            world.schedule.add(
                charge.created + AUTHORIZATION_KEPT_S, Duty.EXPIRE_AUTHORIZATION, intent.id
            )
    for account in world.accounts:
        schedule_deadline(world, account)
        if account.payout_interval == "daily" and account.next_automatic_payout is not None:
            world.schedule.add(account.next_automatic_payout, Duty.PAY_AUTOMATICALLY, account.id)
    for delivery in world.deliveries:
        if delivery.state == "pending":
            world.outgoing.push(delivery)


def _add_configured_endpoints(world: World) -> None:
    """Those of the command line, unless they are there from an earlier start."""
    for wanted in world.config.endpoints:
        for endpoint in world.webhook_endpoints:
            if endpoint.url == wanted.url and endpoint.connect == wanted.connect:
                if endpoint.secrets[0].value != wanted.secret:
                    endpoint.secrets = [Secret(value=wanted.secret), endpoint.secrets[0]]
                    endpoint.secrets[1].expires_at = world.now
                    world.webhook_endpoints.save(endpoint)
                break
        else:
            add_endpoint(world, wanted.url, connect=wanted.connect, secret=wanted.secret)


def keep_clock(world: World, clock: SandboxClock) -> None:
    """Note the clock's setting for the next start."""
    reading = clock.reading()
    record = world.clocks.get("clock")
    if record is not None:
        world.clocks.remove(record)
    world.clocks.add(
        ClockRecord(
            id="clock",
            account=world.platform,
            created=world.now,
            sequence=CLOCK_SEQUENCE,
            mode=reading.mode,
            standing_at_ms=reading.standing_at_ms,
            offset_ms=reading.offset_ms,
        )
    )
