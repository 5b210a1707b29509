"""Where ports are joined to adapters: it reads like a parts list, from the edge inward.

Only this file and ``bootstrap_database.py`` import adapters.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadcall_payments.bootstrap_database import open_checkpoints, open_store
from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.commit import Commit
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.events import Bearer
from roadcall_payments.event_bus import InProcessBus
from roadcall_payments.measures import Measures, count, count_missed
from roadcall_payments.ports import (
    Channel,
    Clock,
    Gateway,
    Ids,
    Notifier,
    Queue,
    SecretSource,
    Store,
)
from roadcall_payments.telemetry import traces_wanted
from roadcall_payments.worker import Duty, Handler, Worker, pace_of, retry_rules_of
from roadcall_payments.workflows.account_opening import AccountOpenings
from roadcall_payments.workflows.account_payouts import AccountPayouts
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.approvals import Approvals
from roadcall_payments.workflows.attention import Attention, in_turn
from roadcall_payments.workflows.checkpoints import Checkpoints
from roadcall_payments.workflows.debt_forgiveness import DebtForgiveness
from roadcall_payments.workflows.dispute_reading import DisputeReading
from roadcall_payments.workflows.drift_repair import DriftRepair
from roadcall_payments.workflows.inbox_dismissal import InboxDismissal
from roadcall_payments.workflows.inquiry import Inquiry
from roadcall_payments.workflows.intake import Intake, Scoring
from roadcall_payments.workflows.missed_events import MissedEvents
from roadcall_payments.workflows.missed_payouts import MissedPayouts
from roadcall_payments.workflows.movement import Movement
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.notices import EVENT_NAMES, Audience, Notices
from roadcall_payments.workflows.onboarding import Onboarding, return_addresses
from roadcall_payments.workflows.outbox_relay import OutboxRelay
from roadcall_payments.workflows.payments import Payments
from roadcall_payments.workflows.payout_parts import PayoutParts, PayoutRules, join_payouts
from roadcall_payments.workflows.payout_schedule import PayoutSchedule
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.payouts import Payouts
from roadcall_payments.workflows.queries import Queries
from roadcall_payments.workflows.reconciliation import Reconciliation
from roadcall_payments.workflows.recovery import Recovery
from roadcall_payments.workflows.refund_movement import RefundMovement
from roadcall_payments.workflows.refunds import Refunds
from roadcall_payments.workflows.restore_guard import RestoreGuard
from roadcall_payments.workflows.rules_scorer import RulesScorer
from roadcall_payments.workflows.settlement_movement import SettlementMovement
from roadcall_payments.workflows.settlements import SettlementPolicy, Settlements
from roadcall_payments.workflows.suspense import Suspense
from roadcall_payments.workflows.transfers import Transfers
from roadcall_payments.workflows.vendor_statement import VendorStatements
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.verification import Verification
from roadcall_payments.workflows.webhook_inbox import WebhookInbox
from roadcall_payments.workflows.write_path import WritePath

if TYPE_CHECKING:
    from roadcall_payments.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Service:
    """The wired parts of one process. ``worker`` is ready to run; ``bus`` takes subscribers."""

    settings: Settings
    store: Store
    gateway: Gateway
    clock: Clock
    ids: Ids
    bus: InProcessBus
    measures: Measures
    intake: Intake
    approvals: Approvals
    payments: Payments
    refunds: Refunds
    payouts: Payouts
    payout_statement: PayoutStatement
    vendor_statements: VendorStatements
    debt_forgiveness: DebtForgiveness
    transfers: Transfers
    payout_schedule: PayoutSchedule
    queries: Queries
    vendors: Vendors
    onboarding: Onboarding
    webhook_inbox: WebhookInbox
    inbox_dismissal: InboxDismissal
    missed_events: MissedEvents
    missed_payouts: MissedPayouts
    recovery: Recovery
    outbox_relay: OutboxRelay
    notices: Notices
    movements_switch: MovementsSwitch
    reconciliation: Reconciliation
    verification: Verification
    checkpoints: Checkpoints
    inquiry: Inquiry
    restore_guard: RestoreGuard
    drift_repair: DriftRepair
    worker: Worker
    tracing: Tracing | None


@asynccontextmanager
async def open_service(settings: Settings, *, migrates: bool = True) -> AsyncIterator[Service]:
    """Open everything, hand it over, and close it in reverse order.

    ``migrates``: whether a PostgreSQL database is brought to this version's schema, if need be.

    Raises StoreUnavailable, or InvalidInput naming the setting that cannot be.
    """
    clock = SystemClock(settings.clock_offset_s)
    ids = SystemIds(clock)
    secrets = _secret_source(settings)
    await _refuse_live_drills(settings, secrets)
    async with AsyncExitStack() as opened:
        store = await open_store(settings, migrates=migrates)
        opened.push_async_callback(store.close)
        gateway = _open_gateway(settings, secrets, clock, ids)
        opened.push_async_callback(gateway.close)
        notifiers = _notifiers(settings, clock)
        tracing = _open_tracing()
        if tracing is not None:
            opened.push_async_callback(tracing.close)
            store, gateway = tracing.store(store), tracing.gateway(gateway)
        yield join(settings, store, gateway, clock, ids, notifiers, tracing)


def join(
    settings: Settings,
    store: Store,
    gateway: Gateway,
    clock: Clock,
    ids: Ids,
    notifiers: Mapping[Channel, Notifier],
    tracing: Tracing | None = None,
) -> Service:
    """The service on the given adapters. Tests and simulations bring their own."""

    def committed(commit: Commit) -> None:
        count(commit)
        worker.nudge()

    patience = settings.patience
    write_path = WritePath(store, clock, ids, patience, after_commit=committed)
    switch = MovementsSwitch(write_path, store)
    scoring = Scoring(write_path, store, RulesScorer(settings.risk_rules))
    movement = Movement(write_path, gateway, switch, clock, settings.stripe_budget_s)
    transfers = Transfers(write_path, store, gateway, movement, switch, settings.transfer_terms)
    refund_movement = RefundMovement(write_path, gateway, switch, clock, settings.stripe_budget_s)
    reading = AccountReading(write_path, store, gateway)
    vendors = Vendors(write_path, store, ids, reading)
    onboarding = _onboarding(settings, write_path, gateway, reading, switch)
    payouts = _payouts(settings, write_path, gateway, ids, switch, vendors)
    disputes = DisputeReading(gateway, Bearer(settings.dispute_loss_borne_by))
    settlements = _settlements(settings, write_path, gateway, reading, switch)
    recovery = Recovery(
        write_path, gateway, movement, refund_movement, disputes, settlements, scoring, patience
    )
    of_vendors = in_turn(onboarding.attended, payouts.schedule.attended)
    care = (recovery.attended, payouts.recovery.attended, of_vendors)
    attention = Attention(store, clock, switch, *care)
    suspense = Suspense(write_path, gateway)
    webhook_inbox = WebhookInbox(
        write_path, store, gateway, disputes, suspense, reading, transfers, settlements
    )
    notices = _notices(settings, store, clock, vendors, notifiers, payouts.statement)
    moving = (write_path, store, gateway, movement, transfers, switch)
    bus = InProcessBus()
    relay = OutboxRelay(store, bus, settings.relay_batch_size)
    checkpoints = open_checkpoints(settings, store, clock)
    guard = RestoreGuard(store, checkpoints, switch)
    measures = Measures(store, clock)
    every_s = settings.missed_events_interval_s
    missed = MissedEvents(gateway, clock, webhook_inbox, switch, every_s, count_missed)
    listed = AccountPayouts(write_path, gateway)
    missed_payouts = MissedPayouts(store, gateway, clock, listed, every_s)
    handlers = _handlers(relay, webhook_inbox, attention, notices, store, tracing)
    duties = [
        Duty("checkpoint", guard.attend, guard.at_end),
        Duty("ledger_balance", measures.balance, measures.at_end),
        Duty("missed_events", missed.attend, missed.at_end),
        Duty("missed_payouts", missed_payouts.attend, missed_payouts.at_end),
        Duty("transfer_queue", transfers.attend, transfers.at_end),
    ]
    rules, pace = retry_rules_of(settings), pace_of(settings)
    worker = Worker(store, clock, ids, handlers, rules, pace, duties)
    bus.subscribe(notices.plan, *EVENT_NAMES)
    return Service(
        settings=settings,
        store=store,
        gateway=gateway,
        clock=clock,
        ids=ids,
        bus=bus,
        measures=measures,
        intake=Intake(write_path, store, gateway, scoring, ids),
        approvals=Approvals(write_path, store, ids, switch, settings.approval_policy),
        payments=Payments(*moving, reading, settings.approval_policy, settles=settings.settlement),
        transfers=transfers,
        refunds=Refunds(write_path, store, gateway, refund_movement, switch, ids),
        payouts=payouts.payouts,
        payout_statement=payouts.statement,
        vendor_statements=payouts.vendor_statements,
        debt_forgiveness=DebtForgiveness(write_path, store, ids),
        payout_schedule=payouts.schedule,
        queries=Queries(store, gateway),
        vendors=vendors,
        onboarding=onboarding,
        webhook_inbox=webhook_inbox,
        inbox_dismissal=InboxDismissal(store, webhook_inbox, switch),
        missed_events=missed,
        missed_payouts=missed_payouts,
        recovery=recovery,
        outbox_relay=relay,
        notices=notices,
        movements_switch=switch,
        reconciliation=Reconciliation(store, gateway),
        verification=Verification(store),
        checkpoints=checkpoints,
        inquiry=Inquiry(write_path, store, gateway, movement, settlements.movement),
        restore_guard=guard,
        drift_repair=DriftRepair(
            write_path,
            store,
            gateway,
            movement,
            refund_movement,
            settlements,
            webhook_inbox,
            suspense,
            switch,
            settles=settings.settlement,
        ),
        worker=worker,
        tracing=tracing,
    )


def _settlements(
    settings: Settings,
    write_path: WritePath,
    gateway: Gateway,
    reading: AccountReading,
    switch: MovementsSwitch,
) -> Settlements:
    clock, budget_s = write_path.clock, settings.stripe_budget_s
    movement = SettlementMovement(write_path, gateway, switch, clock, budget_s)
    policy = SettlementPolicy(
        settings.platform_fee, settings.returns_platform_fee, settings.debt_cap_bps
    )
    return Settlements(write_path, gateway, movement, reading, switch, policy, settings.patience)


def _payouts(
    settings: Settings,
    write_path: WritePath,
    gateway: Gateway,
    ids: Ids,
    switch: MovementsSwitch,
    vendors: Vendors,
) -> PayoutParts:
    from roadcall_payments.notifications.rendering import FileTemplates

    minimum, hour = settings.payout_minimum, settings.payout_hour_utc
    rules = PayoutRules(minimum, hour, settings.stripe_budget_s, settings.debt_cap_bps)
    return join_payouts(write_path, gateway, ids, switch, vendors, FileTemplates(), rules)


def _notices(
    settings: Settings,
    store: Store,
    clock: Clock,
    vendors: Vendors,
    notifiers: Mapping[Channel, Notifier],
    statement: PayoutStatement,
) -> Notices:
    from roadcall_payments.notifications.rendering import FileTemplates

    audience = _audience(settings)
    return Notices(store, clock, vendors, audience, FileTemplates(), notifiers, statement)


def _handlers(
    relay: OutboxRelay,
    webhook_inbox: WebhookInbox,
    attention: Attention,
    notices: Notices,
    store: Store,
    tracing: Tracing | None,
) -> Mapping[Queue, Handler]:
    handlers = {
        Queue.OUTBOX: relay.relay,
        Queue.INBOX: webhook_inbox.retry,
        Queue.ATTENTION: attention.attend,
        Queue.NOTICES: notices.send,
    }
    return tracing.handlers(handlers, store) if tracing else handlers


def _secret_source(settings: Settings) -> SecretSource:
    from roadcall_payments.stripe_gateway.secret_sources import (
        EnvironmentSecretSource,
        FileSecretSource,
    )

    if settings.stripe_secrets_file is not None:
        return FileSecretSource(settings.stripe_secrets_file)
    return EnvironmentSecretSource(os.environ)


async def _refuse_live_drills(settings: Settings, secrets: SecretSource) -> None:
    if settings.clock_offset_s and "_live_" in (await secrets.stripe_credentials()).api_key:
        raise InvalidInput(
            "ROADCALL_CLOCK_OFFSET_S", "A drill's clock never runs with live keys: unset it."
        )


def _open_gateway(settings: Settings, secrets: SecretSource, clock: Clock, ids: Ids) -> Gateway:
    from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway

    return StripeGateway(
        secrets,
        clock,
        ids,
        GatewaySettings(
            base_address=settings.stripe_api_base,
            timeout_s=settings.stripe_timeout_s,
            read_budget_s=settings.stripe_budget_s,
            return_url=settings.stripe_return_url,
        ),
    )


def _open_tracing() -> Tracing | None:
    if not traces_wanted(os.environ):
        return None
    from roadcall_payments.tracing import open_tracing

    return open_tracing()


def _onboarding(
    settings: Settings,
    write_path: WritePath,
    gateway: Gateway,
    reading: AccountReading,
    switch: MovementsSwitch,
) -> Onboarding:
    openings = AccountOpenings(write_path, gateway, switch, settings.stripe_budget_s)
    returns_to = return_addresses(settings.onboarding_return_url)
    return Onboarding(write_path, gateway, openings, reading, switch, returns_to)


def _notifiers(settings: Settings, clock: Clock) -> Mapping[Channel, Notifier]:
    from roadcall_payments.notifications.log_channel import LogChannel

    channels: dict[Channel, Notifier] = {channel: LogChannel(channel) for channel in Channel}
    if settings.smtp_url is not None:
        from roadcall_payments.notifications.email import EmailChannel, mail_server

        server = mail_server(settings.smtp_url.get_secret_value(), settings.smtp_timeout_s)
        channels[Channel.EMAIL] = EmailChannel(server, settings.mail_from, clock)
    return channels


def _audience(settings: Settings) -> Audience:
    return Audience(
        approvers=settings.approver_emails,
        reviewers=settings.reviewer_emails,
        back_office=settings.back_office_emails,
        operations=settings.operations_emails,
        locale=settings.staff_locale,
    )
