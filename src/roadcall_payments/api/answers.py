"""A command's answer as HTTP: the payment, or the problem that the answer stands for."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from starlette.responses import Response

from roadcall_payments.api.payment_views import PaymentView, told_decline, view
from roadcall_payments.api.problems import headers_of, problem_of, respond
from roadcall_payments.api.schemas import View, json_response
from roadcall_payments.api.wiring import Service, record_of
from roadcall_payments.domain.errors import CredentialsRejected, PaymentRefused, RoadcallError
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.workflows.idempotency import Answer


async def answered(
    request: Request,
    service: Service,
    caller: Actor,
    answer: Answer,
    shape: Callable[[PaymentView], View] | None = None,
) -> Response:
    """``answer`` with its own status: ``shape`` of the payment, or the bare payment.

    A repeat says so in ``Idempotency-Replayed`` (M31). A refusal by Stripe is a problem with code
    ``payment_failed`` (M34).
    """
    payment = answer.payment
    record = record_of(request)
    record.payment_id = payment.id
    places = await service.transfers.places([payment])
    body = view(payment, await service.queries.texts(payment), caller, places)
    headers = {"Location": f"/payments/{payment.id}"} if answer.status == 201 else {}
    if answer.repeated:
        headers["Idempotency-Replayed"] = "true"
    refusal = _refusal(payment, answer.status, caller)
    if refusal is not None:
        problem = problem_of(refusal, record.id).model_copy(update={"payment": body})
        return respond(problem, headers | headers_of(refusal))
    return json_response(shape(body) if shape else body, answer.status, headers)


def _refusal(payment: Payment, status: int, caller: Actor) -> RoadcallError | None:
    if status == 400:
        failure = payment.failure
        if failure is None:
            return PaymentRefused("Stripe refused.", stripe_code=None, decline_code=None)
        return PaymentRefused(
            failure.message,
            stripe_code=failure.code,
            decline_code=told_decline(failure.decline_code, caller),
        )
    if status == 503:
        return CredentialsRejected(
            "Stripe rejects the service's credentials. The payment stays as it is and goes on by "
            "itself once an operator has renewed them."
        )
    return None
