"""The state: one record per object, as stored. Rules and rendering live in `resources/`.

Amounts are integers in minor units, times seconds since 1970. Every record knows the account it
belongs to (`account`, the platform's or a connected one's), and the request that made it.
"""

import msgspec


class Record(msgspec.Struct, kw_only=True):
    id: str
    account: str
    created: int
    sequence: int
    request: str | None = None
    """The id of the request that made it; None where time or a bank did."""
    idempotency_key: str | None = None


class Address(msgspec.Struct, kw_only=True):
    city: str | None = None
    country: str | None = None
    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    state: str | None = None


class Contact(msgspec.Struct, kw_only=True):
    """Billing details."""

    address: Address = msgspec.field(default_factory=Address)
    email: str | None = None
    name: str | None = None
    phone: str | None = None


class Shipping(msgspec.Struct, kw_only=True):
    address: Address = msgspec.field(default_factory=Address)
    carrier: str | None = None
    name: str | None = None
    phone: str | None = None
    tracking_number: str | None = None


class Account(Record, kw_only=True):
    """The platform, or an account connected to it. `account` is its own id."""

    type: str = "standard"
    country: str = "US"
    currency: str = "usd"
    email: str | None = None
    business_type: str | None = None
    business_name: str | None = None
    business_url: str | None = None
    product_description: str | None = None
    support_phone: str | None = None
    mcc: str | None = None
    metadata: dict[str, str] = {}
    capabilities: dict[str, str] = {}
    capabilities_requested_at: dict[str, int] = {}
    requirements: list[str] = []
    """What is due."""
    past_due: list[str] = []
    """What of it should have been given already, and disables what it is required for."""
    requirements_due_at: int | None = None
    """When the rest of it will be past due."""
    rejected: str | None = None
    details_submitted: bool = False
    tos_accepted_at: int | None = None
    payout_interval: str = "manual"
    statement_descriptor: str | None = None
    next_automatic_payout: int | None = None


class BankAccount(Record, kw_only=True):
    country: str
    currency: str
    routing_number: str
    last4: str
    outcome: str
    """What becomes of a payout to it: `paid`, or Stripe's failure code."""
    holder_name: str | None = None
    holder_type: str | None = None
    status: str = "new"
    default: bool = False
    metadata: dict[str, str] = {}


class AccountLink(Record, kw_only=True):
    """`account` is the one to be onboarded, or to be looked at where `type` is `login`."""

    type: str
    expires_at: int
    refresh_url: str = ""
    return_url: str = ""
    used: bool = False


class Customer(Record, kw_only=True):
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    address: Address | None = None
    shipping: Shipping | None = None
    default_payment_method: str | None = None
    invoice_prefix: str
    deleted: bool = False


class PaymentMethod(Record, kw_only=True):
    card: str
    """The name of its test card in `cards.py`; the number itself is never stored."""
    exp_month: int
    exp_year: int
    billing: Contact = msgspec.field(default_factory=Contact)
    customer: str | None = None
    metadata: dict[str, str] = {}
    set_up: bool = False
    """Set up for off-session use by an authentication."""


class Decline(msgspec.Struct, kw_only=True):
    """Why the last confirmation of a PaymentIntent failed."""

    code: str
    message: str
    decline_code: str | None = None
    charge: str | None = None
    payment_method: str | None = None


class PaymentIntent(Record, kw_only=True):
    amount: int
    currency: str
    client_secret: str
    status: str = "requires_payment_method"
    capture_method: str = "automatic_async"
    confirmation_method: str = "automatic"
    automatic: bool = True
    """Whether Stripe chooses the payment method types."""
    redirects_asked_for: bool = False
    """Whether the request itself turned automatic payment methods on."""
    allow_redirects: str = "always"
    payment_method_types: list[str]
    payment_method: str | None = None
    customer: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    transfer_group: str | None = None
    transfer_destination: str | None = None
    transfer_amount: int | None = None
    """How much of it the destination gets; None: all of it."""
    application_fee_amount: int | None = None
    on_behalf_of: str | None = None
    latest_charge: str | None = None
    amount_received: int = 0
    amount_capturable: int = 0
    last_error: Decline | None = None
    failures: int = 0
    return_url: str | None = None
    off_session: bool = False
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    receipt_email: str | None = None
    setup_future_usage: str | None = None
    shipping: Shipping | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None


class Charge(Record, kw_only=True):
    """A card's charge (`ch_`), or a connected account's side of a transfer (`py_`)."""

    amount: int
    currency: str
    status: str
    payment_intent: str | None = None
    payment_method: str | None = None
    card: str | None = None
    customer: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    transfer_group: str | None = None
    transfer_destination: str | None = None
    transfer_amount: int | None = None
    transfer: str | None = None
    """The transfer that sent it on by itself (a destination charge)."""
    application_fee_amount: int | None = None
    application_fee: str | None = None
    on_behalf_of: str | None = None
    captured: bool = True
    amount_captured: int = 0
    amount_refunded: int = 0
    """Refunded of what was captured."""
    amount_released: int = 0
    """Authorized, never captured, and given back to the card holder."""
    disputed: bool = False
    balance_transaction: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    failure_balance_transaction: str | None = None
    billing: Contact = msgspec.field(default_factory=Contact)
    shipping: Shipping | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    source_transfer: str | None = None
    authenticated: bool = False
    returnable: bool = True
    """Whether a refund finds its way back by itself; else the customer is asked."""
    transferred: int = 0
    """Sent on by transfers that name this charge as their source, less what was reversed."""


class Refund(Record, kw_only=True):
    amount: int
    currency: str
    charge: str
    payment_intent: str | None = None
    status: str
    reason: str | None = None
    metadata: dict[str, str] = {}
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    failure_reason: str | None = None
    pending_reason: str | None = None
    transfer_reversal: str | None = None
    source_transfer_reversal: str | None = None
    settles_at: int | None = None
    """When a pending refund succeeds, a failing one fails, or one that asks its customer lapses."""
    instructions_email: str | None = None
    """Where the customer was asked to say to which bank account the money shall go."""


class Dispute(Record, kw_only=True):
    amount: int
    currency: str
    charge: str
    payment_intent: str | None = None
    reason: str
    status: str
    inquiry: bool = False
    evidence: dict[str, str] = {}
    submissions: int = 0
    due_by: int | None = None
    metadata: dict[str, str] = {}
    balance_transactions: list[str] = []
    brand: str = "visa"
    reason_code: str | None = None


class BalanceTransaction(Record, kw_only=True):
    amount: int
    fee: int
    application_fee: int = 0
    """What of `fee` the platform gets; the rest is Stripe's."""
    currency: str
    type: str
    reporting_category: str
    available_on: int
    status: str
    source: str | None = None
    description: str | None = None
    fee_description: str = "Stripe processing fees"
    payout: str | None = None
    """The automatic payout that carried it to the bank."""

    @property
    def net(self) -> int:
        return self.amount - self.fee


class ApplicationFee(Record, kw_only=True):
    """What a platform takes of a charge; `account` is the platform."""

    amount: int
    currency: str
    paid_by: str
    charge: str
    """The connected account's own charge, or its side of a destination charge."""
    originating_charge: str | None = None
    amount_refunded: int = 0
    balance_transaction: str


class FeeRefund(Record, kw_only=True):
    amount: int
    currency: str
    fee: str
    metadata: dict[str, str] = {}
    balance_transaction: str


class Transfer(Record, kw_only=True):
    amount: int
    currency: str
    destination: str
    amount_reversed: int = 0
    description: str | None = None
    metadata: dict[str, str] = {}
    transfer_group: str | None = None
    source_transaction: str | None = None
    balance_transaction: str
    destination_payment: str


class TransferReversal(Record, kw_only=True):
    amount: int
    currency: str
    transfer: str
    metadata: dict[str, str] = {}
    description: str | None = None
    balance_transaction: str
    destination_payment_refund: str
    source_refund: str | None = None


class Payout(Record, kw_only=True):
    amount: int
    currency: str
    destination: str
    status: str = "pending"
    arrival_date: int
    automatic: bool = False
    description: str | None = None
    metadata: dict[str, str] = {}
    statement_descriptor: str | None = None
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    original_payout: str | None = None
    reversed_by: str | None = None
    outcome: str = "paid"
    """What its bank account will make of it: `paid`, or Stripe's failure code."""


class Event(Record, kw_only=True):
    """`account` is whose event it is; `data` is frozen when it happens."""

    type: str
    data: msgspec.Raw
    api_version: str
    connect: bool
    object_id: str


class Secret(msgspec.Struct, kw_only=True):
    value: str
    expires_at: int | None = None


class WebhookEndpoint(Record, kw_only=True):
    url: str
    connect: bool
    enabled_events: list[str]
    secrets: list[Secret]
    """The live one first; the old one after a roll, until it expires."""
    description: str | None = None
    metadata: dict[str, str] = {}
    status: str = "enabled"
    api_version: str | None = None
