"""``POST /payments/{id}/process`` as it is ordinarily written: FastAPI, SQLAlchemy's ORM, Stripe's
own client over httpx. The same duties as the service's call.

The caller's token is checked; an Idempotency-Key is kept with its answer; the payment is locked
and must be approved; the intent is committed with an audit row before Stripe is called; what
Stripe answered is committed with another one, each with an outbox row. One process of uvicorn
with uvloop. Environment: DATABASE_URL, STRIPE_API_KEY, STRIPE_API_BASE, JWT_PUBLIC_KEY (of RS256,
as PEM), JWT_ISSUER.

``python ordinary.py`` makes the tables, empty.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import jwt
import stripe
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import JSON, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

log = logging.getLogger("payments")
# SQLAlchemy names its driver in the address.
_ADDRESS = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(_ADDRESS, pool_size=16, max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)
client = stripe.StripeClient(
    os.environ["STRIPE_API_KEY"],
    base_addresses={"api": os.environ["STRIPE_API_BASE"]},
    http_client=stripe.HTTPXClient(),
)
_public_key = load_pem_public_key(os.environ["JWT_PUBLIC_KEY"].encode())


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    pass


class Payment(Base):
    __tablename__ = "payments"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    company_id: Mapped[str] = mapped_column(index=True)
    vendor_id: Mapped[str] = mapped_column(index=True)
    driver_id: Mapped[str]
    incident_id: Mapped[str] = mapped_column(index=True)
    amount_cents: Mapped[int]
    currency: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)
    line_items: Mapped[list[LineItem]] = relationship(back_populates="payment")


class LineItem(Base):
    __tablename__ = "line_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    kind: Mapped[str]
    quantity: Mapped[int]
    unit_cents: Mapped[int]
    amount_cents: Mapped[int]
    payment: Mapped[Payment] = relationship(back_populates="line_items")


class AuditEntry(Base):
    __tablename__ = "audit_entries"
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: str(uuid.uuid4()))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    at: Mapped[datetime] = mapped_column(default=_now)
    actor: Mapped[str]
    action: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class OutboxEvent(Base):
    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: str(uuid.uuid4()))
    name: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    published: Mapped[bool] = mapped_column(default=False, index=True)


class IdempotencyRecord(Base):
    __tablename__ = "idempotency"
    key: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class LineItemView(View):
    kind: str
    quantity: int
    unit_cents: int
    amount_cents: int


class PaymentView(View):
    id: str
    company_id: str
    vendor_id: str
    driver_id: str
    incident_id: str
    amount_cents: int
    currency: str
    status: str
    stripe_payment_intent_id: str | None
    created_at: datetime
    updated_at: datetime
    line_items: list[LineItemView]


class MovementView(View):
    payment: PaymentView
    stripe_payment_intent_id: str | None
    client_secret: str | None


class ProcessBody(View):
    vendor_stripe_account_id: str | None = None


app = FastAPI()


async def session() -> AsyncIterator[AsyncSession]:
    async with Session() as opened:
        yield opened


async def caller(authorization: Annotated[str, Header()]) -> dict[str, Any]:
    try:
        return jwt.decode(
            authorization.removeprefix("Bearer "),
            _public_key,
            algorithms=["RS256"],
            audience="roadcall-payments",
            issuer=os.environ["JWT_ISSUER"],
        )
    except jwt.PyJWTError as wrong:
        raise HTTPException(401, "The token does not hold.") from wrong


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"ok": True}


@app.post("/payments/{payment_id}/process")
async def process(
    payment_id: str,
    body: ProcessBody,
    who: Annotated[dict[str, Any], Depends(caller)],
    db: Annotated[AsyncSession, Depends(session)],
    idempotency_key: Annotated[str, Header()],
) -> MovementView:
    scope = f"{who['sub']} process {payment_id}"
    earlier = await db.get(IdempotencyRecord, (idempotency_key, scope))
    if earlier is not None:
        return MovementView.model_validate(earlier.answer)
    payment = await _locked(db, payment_id)
    if payment is None or payment.company_id != who["company_id"]:
        raise HTTPException(404, "There is no such payment.")
    if payment.status != "approved":
        raise HTTPException(409, f"A payment that is {payment.status} cannot be processed.")
    payment.status = "processing"
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    record = IdempotencyRecord(key=idempotency_key, scope=scope, digest=digest, answer=None)
    db.add(record)
    _tell(db, payment, who["sub"], "ProcessingStarted", {"attempt": 1})
    await db.commit()

    intent = await client.v1.payment_intents.create_async(
        {
            "amount": payment.amount_cents,
            "currency": payment.currency,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "transfer_group": payment.id,
            "metadata": {"paymentId": payment.id, "purpose": "driver_payment", "attempt": "1"},
        },
        {"idempotency_key": f"payment_{payment.id}"},
    )

    payment = await _locked(db, payment_id)
    assert payment is not None
    payment.stripe_payment_intent_id = intent.id
    _tell(db, payment, who["sub"], "PaymentIntentOpened", {"paymentIntent": intent.id})
    view = PaymentView.model_validate(payment)
    answer = MovementView(
        payment=view, stripe_payment_intent_id=intent.id, client_secret=intent.client_secret
    )
    record.answer = answer.model_dump(mode="json", exclude={"client_secret"})
    db.add(record)
    await db.commit()
    log.info("processed %s", payment.id)
    return answer


async def _locked(db: AsyncSession, payment_id: str) -> Payment | None:
    query = select(Payment).where(Payment.id == payment_id)
    query = query.options(selectinload(Payment.line_items)).with_for_update()
    return (await db.execute(query)).scalar_one_or_none()


def _tell(db: AsyncSession, payment: Payment, actor: str, name: str, data: dict[str, Any]) -> None:
    db.add(AuditEntry(payment_id=payment.id, actor=actor, action=name, data=data))
    db.add(OutboxEvent(name=name, payload={"paymentId": payment.id, **data}))


async def _make_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(_make_tables())
