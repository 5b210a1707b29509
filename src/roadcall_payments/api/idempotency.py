"""The ``Idempotency-Key`` header: a repeat of the same request gets the first answer (M31)."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from fastapi import Depends, Header, Request

from roadcall_payments.api.request_headers import first_header
from roadcall_payments.api.wiring import Caller
from roadcall_payments.workflows.idempotency import IdempotencyKey

KEY_LENGTH_MAX = 255

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


async def idempotency_key(
    request: Request,
    caller: Caller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=KEY_LENGTH_MAX,
            pattern=r"^[\x21-\x7e]+$",
            description="Any name for this request, up to 255 visible ASCII characters. The same "
            "key with the same body gets the first answer again.",
            examples=["i_9001-process-1"],
        ),
    ] = None,
) -> IdempotencyKey | None:
    """Scoped to the caller and the address with its ids; the payer acted for is part of what the
    request says."""
    if key is None:
        return None
    scope = f"{caller} {request.method} {request.scope['path']}"
    canonical = _canonical([await request.json(), first_header(request.scope, b"on-behalf-of")])
    return IdempotencyKey(scope, key, hashlib.sha256(canonical.encode()).hexdigest())


Idempotency = Annotated[IdempotencyKey | None, Depends(idempotency_key)]
