"""The whole of Stripe in one object: requests in, answers and due deliveries out.

Synchronous and deterministic: no sockets, no threads, no wall clock. Whoever carries it (the HTTP
server, or a simulation) sends answers in the manner they ask for, posts what `due_parcels` gives,
reports back, and writes what `take_writes` gives before answering.
"""

import re
from collections.abc import Callable

from stripe_sandbox import control, startup, webhooks
from stripe_sandbox.authentication import authenticate
from stripe_sandbox.clock import SandboxClock
from stripe_sandbox.config import SandboxConfig
from stripe_sandbox.errors import RequestRefused, StripeError, not_modelled, refused
from stripe_sandbox.expansion import check_expansions, expand, kind_of_answer
from stripe_sandbox.faults import Fault, FaultKind
from stripe_sandbox.forms import decode_form
from stripe_sandbox.idempotency import IdempotencyKeys, fingerprint
from stripe_sandbox.json_types import encode_json
from stripe_sandbox.messages import Answer, Manner, Request, Response
from stripe_sandbox.parameters import check_parameters
from stripe_sandbox.resources.account_lookup import no_access
from stripe_sandbox.resources.balance import release
from stripe_sandbox.resources.disputes import close_unanswered
from stripe_sandbox.resources.events import render_event
from stripe_sandbox.resources.payment_intent_life import expire_authorization
from stripe_sandbox.resources.payouts import move_payout, pay_out_automatically
from stripe_sandbox.resources.refunds import settle_refund
from stripe_sandbox.resources.requirements import expire_requirements
from stripe_sandbox.routes import Call, Router
from stripe_sandbox.schedule import Duty
from stripe_sandbox.storage import MemoryStorage, Row, Storage
from stripe_sandbox.world import Origin, World

_DUTIES: dict[str, Callable[[World, str], None]] = {
    Duty.RELEASE_FUNDS.value: release,
    Duty.MOVE_PAYOUT.value: move_payout,
    Duty.SETTLE_REFUND.value: settle_refund,
    Duty.PAY_AUTOMATICALLY.value: pay_out_automatically,
    Duty.EXPIRE_AUTHORIZATION.value: expire_authorization,
    Duty.EXPIRE_REQUIREMENTS.value: expire_requirements,
    Duty.CLOSE_DISPUTE.value: close_unanswered,
}

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")

_BEFORE = {FaultKind.DROP_BEFORE, FaultKind.DELAY_BEFORE, FaultKind.RATE_LIMIT, FaultKind.CONFLICT}


class Sandbox:
    """A Stripe of one's own. The seed is the configuration's, unless the storage knows another."""

    def __init__(
        self,
        clock: SandboxClock,
        storage: Storage | None = None,
        config: SandboxConfig | None = None,
    ) -> None:
        self.clock = clock
        self.storage: Storage = storage or MemoryStorage()
        self.world = World(config or SandboxConfig())
        self.keys = IdempotencyKeys(self.world)
        self._router = Router()
        self._waiting: dict[str, Request] = {}
        self._flying: dict[str, tuple[str, str]] = {}
        startup.start(self.world, self.clock, self.storage)
        self._tell_time()

    def handle(self, request: Request) -> Answer:
        """Carry one request out."""
        self.run_due()
        if request.path == "/" or request.path.startswith("/_sandbox"):
            self.world.origin = Origin()
            return Answer(control.respond(self.world, self.clock, self.run_due, request))
        return self._answer(request, resumed=False)

    def resume(self, ticket: str) -> Answer:
        """The wait of a `Manner.WAIT` answer is over: carry the request out now."""
        self.run_due()
        self.release(ticket)
        return self._answer(self._waiting.pop(ticket), resumed=True)

    def release(self, ticket: str) -> None:
        """The request is no longer in flight."""
        account_and_key = self._flying.pop(ticket, None)
        if account_and_key is not None:
            self.keys.finish(*account_and_key)

    def run_due(self) -> None:
        """Let everything happen that time has brought, each at its own time, then tell the time."""
        world = self.world
        now_ms = self.clock.now_ms()
        while (due := world.schedule.pop(now_ms // 1000)) is not None:
            if due.at > world.now:
                world.now, world.now_ms = due.at, due.at * 1000
            world.origin = Origin()
            _DUTIES[due.duty](world, due.object_id)
        self._tell_time()
        for delivery_id in world.outgoing.take_early():
            world.outgoing.push(world.deliveries[delivery_id])

    def _tell_time(self) -> None:
        self.world.now_ms = self.clock.now_ms()
        self.world.now = self.world.now_ms // 1000

    def next_due_ms(self) -> int | None:
        """When something happens by itself next: a duty, or a delivery."""
        duty_at = self.world.schedule.next_at()
        times = [self.world.outgoing.next_ms(), None if duty_at is None else duty_at * 1000]
        return min((at for at in times if at is not None), default=None)

    def due_parcels(self) -> list[webhooks.Parcel]:
        """The deliveries due now, in order; each must be reported."""
        self.run_due()
        parcels = []
        while (delivery_id := self.world.outgoing.pop(self.world.now_ms)) is not None:
            parcel = self.parcel(delivery_id)
            if parcel is not None:
                parcels.append(parcel)
        return parcels

    def parcel(self, delivery_id: str) -> webhooks.Parcel | None:
        """One delivery, ready to be posted; None where it is over or its endpoint is gone."""
        world = self.world
        delivery = world.deliveries[delivery_id]
        if delivery.state != "pending":
            return None
        body = encode_json(render_event(world, world.events[delivery.event]))
        parcel = webhooks.parcel(world, delivery, body, world.now_ms)
        if parcel is None:
            delivery.state = "failed"
            world.deliveries.save(delivery)
        return parcel

    def report_delivery(
        self, delivery_id: str, status: int | None, error: str | None = None, duration_ms: int = 0
    ) -> None:
        """What came of posting a parcel: the HTTP status, or None and the error."""
        self._tell_time()
        delivery = self.world.deliveries[delivery_id]
        webhooks.report(self.world, delivery, status, error, duration_ms)

    def take_writes(self) -> list[Row]:
        """What has changed since the last call, to be committed to the storage before answering."""
        return self.world.unsaved.take()

    def commit(self) -> None:
        """`take_writes` and commit, for carriers that do one thing at a time."""
        rows = self.take_writes()
        if rows:
            self.storage.commit(rows)

    def _answer(self, request: Request, *, resumed: bool) -> Answer:
        world = self.world
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        request_id = world.ids.new("req_", 14)
        world.origin = Origin(request_id, key)
        fault = None if resumed else world.faults.for_request(request.method, request.path, key)
        headers = {
            "Content-Type": "application/json",
            "Request-Id": request_id,
            "Stripe-Version": request.headers.get("stripe-version", world.config.api_versions[0]),
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            caller = authenticate(request.headers, next(iter(world.access)))
            account = self._acting_account(request)
            if fault is not None and fault.kind in _BEFORE:
                return self._before(request, fault, account, key)
            response = self._execute(request, account, key, fault, caller.publishable)
        except StripeError as error:
            response = _error_response(error)
        headers.update(response.headers)
        whole = Response(response.status, response.body, headers)
        return self._carried(whole, fault, request, key)

    def _acting_account(self, request: Request) -> str:
        version = request.headers.get("stripe-version")
        if version is not None and version not in self.world.config.api_versions:
            if not _VERSION.fullmatch(version):
                raise refused(f"Invalid Stripe API version: {version}")
            raise not_modelled(f"the API version {version}")
        named = request.headers.get("stripe-account")
        if named is None:
            return self.world.platform
        if named not in self.world.accounts:
            raise no_access(named)
        return named

    def _before(self, request: Request, fault: Fault, account: str, key: str | None) -> Answer:
        """The faults that strike before anything has happened."""
        if fault.kind is FaultKind.DROP_BEFORE:
            return Answer(Response(500, b""), Manner.DROP)
        if fault.kind is FaultKind.DELAY_BEFORE:
            ticket = self._fly(account, key)
            self._waiting[ticket] = request
            return Answer(Response(500, b""), Manner.WAIT, fault.seconds, ticket)
        headers = _should_retry(fault)
        if fault.kind is FaultKind.CONFLICT:
            raise RequestRefused(
                409,
                "invalid_request_error",
                "This object cannot be accessed right now because another API request or Stripe "
                "process is currently accessing it.",
                code="lock_timeout",
                headers=headers,
            )
        raise RequestRefused(
            429,
            "invalid_request_error",
            "Request rate limit exceeded. You can learn more about rate limits here "
            "https://stripe.com/docs/rate-limits.",
            code="rate_limit",
            headers=headers,
        )

    def _fly(self, account: str, key: str | None) -> str:
        ticket = self.world.ids.new("ticket_")
        if key is not None:
            self.keys.begin(account, key, ticket)
            self._flying[ticket] = (account, key)
        return ticket

    def _execute(
        self,
        request: Request,
        account: str,
        key: str | None,
        fault: Fault | None,
        publishable: bool,
    ) -> Response:
        route, ids = self._router.find(request.method, request.path)
        if publishable and not route.publishable:
            raise RequestRefused(
                403,
                "invalid_request_error",
                "This API call cannot be made with a publishable API key. Please use a secret API "
                "key. You can find a list of your API keys at https://dashboard.stripe.com/account"
                "/apikeys.",
                code="secret_key_required",
            )
        params = check_parameters(route.name, decode_form(_parameter_text(request)))
        expansions = params.texts("expand")
        check_expansions(kind_of_answer(route.method, route.template), expansions)
        path = request.path
        printed = fingerprint(path, request.query, request.body)
        if key is not None:
            saved = self.keys.check(account, key, path, printed)
            if saved is not None:
                return saved
        call = Call(self.world, account, params, ids, path, publishable)
        remembered = True
        try:
            if fault is not None and fault.kind is FaultKind.ERROR_BEFORE:
                raise _unknown_error(fault)
            body = expand(self.world, route.action(call), expansions)
            if fault is not None and fault.kind is FaultKind.ERROR_AFTER:
                raise _unknown_error(fault)
            response = Response(200, encode_json(body))
        except StripeError as error:
            remembered = error.saved
            response = _error_response(error)
        if key is not None and remembered:
            self.keys.save(account, key, path, printed, response)
        return response

    def _carried(
        self, response: Response, fault: Fault | None, request: Request, key: str | None
    ) -> Answer:
        """The answer in the manner that the fault asks for, once it has happened."""
        early = self.world.outgoing.take_early()
        kind = None if fault is None else fault.kind
        if kind is FaultKind.DROP_AFTER:
            return Answer(response, Manner.DROP, deliver_first=early)
        if kind is FaultKind.TRUNCATE:
            return Answer(response, Manner.TRUNCATE, deliver_first=early)
        if fault is not None and kind is FaultKind.DELAY_AFTER:
            account = request.headers.get("stripe-account", self.world.platform)
            ticket = self._fly(account, key)
            return Answer(response, Manner.SEND, fault.seconds, ticket, early)
        return Answer(response, deliver_first=early)


def _parameter_text(request: Request) -> bytes:
    """A GET's parameters are in its query, a POST's in its form; a DELETE has them in either."""
    query = request.query.encode("ascii", "replace")
    if request.method == "GET":
        return query
    kind = request.headers.get("content-type", "")
    if request.body and not kind.startswith("application/x-www-form-urlencoded"):
        if kind.startswith("multipart/form-data"):
            raise not_modelled("multipart/form-data")
        raise refused(
            "Invalid request (check that your POST content type is "
            f"application/x-www-form-urlencoded, not {kind or 'missing'})."
        )
    return b"&".join(part for part in (query, request.body) if part)


def _error_response(error: StripeError) -> Response:
    return Response(error.status, encode_json(error.body()), error.headers)


def _should_retry(fault: Fault) -> dict[str, str]:
    if fault.should_retry is None:
        return {}
    return {"Stripe-Should-Retry": "true" if fault.should_retry else "false"}


def _unknown_error(fault: Fault) -> StripeError:
    kind = StripeError if fault.saved else RequestRefused
    return kind(
        500,
        "api_error",
        "An unknown error occurred. If you see this error, a fault asked for it.",
        headers=_should_retry(fault),
    )
