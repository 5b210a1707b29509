"""The ordinary handler's payments, and the calls that process them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import asyncpg

from benchmarks import issuer
from benchmarks.contenders import HttpContender
from benchmarks.identifiers import payment_id
from benchmarks.load import http_post
from benchmarks.prepared import COMPANY
from benchmarks.processes import Process
from benchmarks.references import Reference
from benchmarks.stripe_events import AMOUNT
from tests.postgres_server import PostgresServer

_PAYMENT = (
    "id company_id vendor_id driver_id incident_id amount_cents currency status"
    " stripe_payment_intent_id created_at updated_at"
).split()
_LINE_ITEM = "payment_id kind quantity unit_cents amount_cents".split()


def process_calls_to_ordinary(
    reference: Reference,
    server: PostgresServer,
    database: str,
    processes: Callable[[], list[Process]],
) -> HttpContender:
    token = issuer.token()

    def prepare(first: int, count: int) -> Sequence[bytes]:
        asyncio.run(_fill(server.url(database), range(first, first + count)))
        server.sql("CHECKPOINT")
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        return [
            http_post(
                reference.url,
                f"/payments/{payment_id(number)}/process",
                {**headers, "Idempotency-Key": f"bench-{number:012d}"},
                b"{}",
            )
            for number in range(first, first + count)
        ]

    def done() -> int:
        opened = "SELECT count(*) FROM audit_entries WHERE action = 'PaymentIntentOpened'"
        return int(server.sql(opened, database)[0][0])

    return HttpContender(
        "FastAPI + SQLAlchemy ORM + StripeClient",
        reference.url,
        prepare=prepare,
        done=done,
        processes=lambda: reference.process.tree,
        database=processes,
        first_guess=600,
    )


async def _fill(url: str, numbers: range) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    payments = [
        (
            payment_id(number),
            COMPANY,
            "v_example",
            "d_example",
            f"in_{number:012d}",
            AMOUNT,
            "usd",
            "approved",
            None,
            now,
            now,
        )
        for number in numbers
    ]
    items = [
        (payment_id(number), *item)
        for number in numbers
        for item in (("tow", 1, 9_500, 9_500), ("mileage", 20, 150, 3_000))
    ]
    db = await asyncpg.connect(url)
    try:
        await db.copy_records_to_table("payments", columns=_PAYMENT, records=payments)
        await db.copy_records_to_table("line_items", columns=_LINE_ITEM, records=items)
        await db.execute("ANALYZE")
    finally:
        await db.close()
