"""What a vendor owes us: listed, and forgiven."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.idempotency import Idempotency
from roadcall_payments.api.schemas import (
    ID_PATTERN,
    REFUND_ID,
    AmountCents,
    RequestBody,
    Text,
    View,
    json_response,
    with_example,
)
from roadcall_payments.api.statement_views import DEBT_EXAMPLE, DebtView, debt_view
from roadcall_payments.api.vendors import VendorId
from roadcall_payments.api.wiring import Caller, Wired
from roadcall_payments.domain.debt import Debts

router = APIRouter(route_class=GuardedRoute, tags=["vendors"])

DebtId = Annotated[
    str,
    Path(
        alias="debtId",
        pattern=ID_PATTERN,
        description="The debt's id: its refund's or dispute's.",
        examples=[REFUND_ID],
    ),
]


class ForgiveBody(RequestBody):
    model_config = with_example({"amountCents": 5000, "reason": "The refund was our mistake."})

    amount_cents: AmountCents | None = None
    reason: Text


class DebtList(View):
    """The oldest first; of those that are paid in full, the last ones."""

    model_config = with_example({"items": [DEBT_EXAMPLE]})

    items: list[DebtView]


_NO_VENDOR = documented.missing("There is no vendor v_7.")


@router.get(
    "/vendors/{vendorId}/debts",
    operation_id="listDebts",
    summary="List what a vendor owes us",
    responses=documented.reads(_NO_VENDOR),
)
async def list_debts(vendor_id: VendorId, service: Wired, caller: Caller) -> DebtList:
    """Each with the refund or lost dispute that it is for. A vendor reads its own."""
    access.require_vendor(caller, Action.READ_PAYOUT, vendor_id)
    return _listed(await service.debt_forgiveness.debts(vendor_id))


@router.post(
    "/vendors/{vendorId}/debts/{debtId}/forgive",
    operation_id="forgiveDebt",
    summary="Give up collecting a debt",
    response_model=DebtList,
    responses=documented.decides(
        documented.invalid("amountCents", "Between 1 and 13750 can be forgiven of this debt."),
        documented.missing("The vendor v_7 has no debt r_1."),
        documented.refused(
            "Nothing of this debt can be forgiven: it is paid, or a transfer is under way that "
            "will set it off."
        ),
    ),
)
async def forgive(
    vendor_id: VendorId,
    debt_id: DebtId,
    body: ForgiveBody,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
) -> Response:
    """Some of it, or without `amountCents` all that no transfer has reserved: it becomes our
    loss. What transfers have set off already stays paid. Send an `Idempotency-Key`, so that a
    repeat forgives nothing more."""
    answer = await service.debt_forgiveness.forgive(
        caller, vendor_id, debt_id, body.amount_cents, body.reason, idem
    )
    headers = {"Idempotency-Replayed": "true"} if answer.repeated else {}
    return json_response(_listed(answer.debts), headers=headers)


def _listed(debts: Debts) -> DebtList:
    return DebtList(items=[debt_view(one) for one in debts.owed])
