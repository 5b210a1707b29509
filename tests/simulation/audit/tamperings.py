"""One falsehood at a time, put into a clean world, and what the auditor must say of it."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from stripe_sandbox.json_types import JsonObject
from tests.simulation.asked import Command
from tests.simulation.audit.small_world import Remains


@dataclass(frozen=True, slots=True)
class Tampering:
    """``said``: words that the violation of ``rule`` must hold."""

    name: str
    rule: str
    said: str
    apply: Callable[[Remains], None]


def _objects(remains: Remains, kind: str) -> list[JsonObject]:
    found = remains.state[kind]
    assert isinstance(found, list)
    return found


def _one(remains: Remains, kind: str, **has: object) -> JsonObject:
    for one in _objects(remains, kind):
        if all(one[name] == value for name, value in has.items()):
            return one
    raise AssertionError(f"no {kind} with {has}")


def _key(remains: Remains, fate: str) -> str:
    kind = "payment" if fate in ("card", "closed") else "transfer"
    return f"{kind}_{remains.ids[fate]}"


def _made(remains: Remains, fate: str) -> JsonObject:
    """The PaymentIntent or transfer of that payment."""
    kind = "payment_intents" if fate in ("card", "closed") else "transfers"
    return _one(remains, kind, _idempotency_key=_key(remains, fate))


def _changed(fate: str, **to: object) -> Callable[[Remains], None]:
    def apply(remains: Remains) -> None:
        _made(remains, fate).update(to)  # type: ignore[arg-type]  # plain values

    return apply


def _copied(kind: str, has: str, **to: object) -> Callable[[Remains], None]:
    """One more of the card payment's objects, changed in places."""

    def apply(remains: Remains) -> None:
        own = _made(remains, "card")["id"]
        more = copy.deepcopy(_one(remains, kind, **{has: own}))
        more.update(to)  # type: ignore[arg-type]  # plain values
        _objects(remains, kind).append(more)

    return apply


def _charge(remains: Remains) -> JsonObject:
    return _one(remains, "charges", payment_intent=_made(remains, "card")["id"])


def _no_charge(remains: Remains) -> None:
    _objects(remains, "charges").remove(_charge(remains))


def _closed_is_paid(remains: Remains) -> None:
    more = copy.deepcopy(_charge(remains))
    more["id"], more["payment_intent"] = "ch_more", _made(remains, "closed")["id"]
    _objects(remains, "charges").append(more)


def _line(remains: Remains) -> JsonObject:
    return _one(remains, "balance_transactions", source=_charge(remains)["id"])


def _no_line(remains: Remains) -> None:
    _objects(remains, "balance_transactions").remove(_line(remains))


def _other_fee(remains: Remains) -> None:
    line = _line(remains)
    fee, net = line["fee"], line["net"]
    assert isinstance(fee, int)
    assert isinstance(net, int)
    line["fee"], line["net"] = fee + 1, net - 1


def _vendor_got_less(remains: Remains) -> None:
    paid = _one(remains, "charges", source_transfer=_made(remains, "transfer")["id"])
    _one(remains, "balance_transactions", source=paid["id"])["net"] = 1


def _claims_a_payment(remains: Remains) -> None:
    stray = copy.deepcopy(_made(remains, "transfer"))
    stray["id"], stray["_idempotency_key"] = "tr_more", None
    _objects(remains, "transfers").append(stray)


def _one_more_reversal(remains: Remains) -> None:
    more = copy.deepcopy(_objects(remains, "transfer_reversals")[0])
    more["id"] = "trr_more"
    _objects(remains, "transfer_reversals").append(more)


def _payout(**to: object) -> Callable[[Remains], None]:
    def apply(remains: Remains) -> None:
        _objects(remains, "payouts")[0].update(to)  # type: ignore[arg-type]  # plain values

    return apply


def _sql(*statements: str) -> Callable[[Remains], None]:
    """``:fate`` names that payment's stream."""

    def apply(remains: Remains) -> None:
        names = {fate: f"payment/{own}" for fate, own in remains.ids.items()}
        with closing(sqlite3.connect(remains.database)) as db, db:
            kept = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for (name,) in kept:
                db.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                assert db.execute(statement, names).rowcount, statement

    return apply


def _text(old: str, new: str, fate: str) -> Callable[[Remains], None]:
    return _sql(
        f"UPDATE journal SET data = CAST(replace(CAST(data AS TEXT), '{old}', '{new}') AS BLOB)"
        f" WHERE stream = :{fate} AND instr(CAST(data AS TEXT), '{old}')"
    )


def _unpublished(*places: int) -> Callable[[Remains], None]:
    """Without the card payment's events at these places."""

    def apply(remains: Remains) -> None:
        stream = f"payment/{remains.ids['card']}"
        own = [event for event in remains.published if event.stream == stream]
        for place in places:
            remains.published.remove(own[place])

    return apply


def _other_event(remains: Remains) -> None:
    remains.published.append(replace(remains.published[0], event_id="another"))


def _said(fate: str, name: str, status: int, key: str | None) -> Callable[[Remains], None]:
    def apply(remains: Remains) -> None:
        job = next(j for j in remains.asked.jobs if remains.ids[fate] in j.payment_ids)
        job.commands.append(Command(name, job.commands[0].at, key, status))

    return apply


def _forgotten(remains: Remains) -> None:
    remains.asked.jobs[0].payment_ids.append("01900000-0000-7000-8000-000000000000")


_HEAD_AT_4: Mapping[str, str] = {
    "journal": "DELETE FROM journal WHERE stream = :transfer AND seq > 4",
    "head": "UPDATE streams SET seq = 4, hash = (SELECT hash FROM journal"
    " WHERE stream = :transfer AND seq = 4) WHERE stream = :transfer",
}
_WORK = "INSERT INTO work (queue, key, due_at, attempts, published_seq"

TAMPERINGS = [
    Tampering("charged twice", "M1", "moved 2 times", _copied("charges", "payment_intent", id="c")),
    Tampering(
        "two PaymentIntents", "M1", "2 PaymentIntents", _copied("payment_intents", "id", id="pi_2")
    ),
    Tampering("another amount", "M4", "decided was", _changed("transfer", amount=12_501)),
    Tampering("another currency", "M4", "decided was", _changed("transfer", currency="eur")),
    Tampering(
        "another vendor", "M10", "went to acct_x", _changed("transfer", destination="acct_x")
    ),
    Tampering("another account", "M18", "in acct_x", _changed("transfer", _account="acct_x")),
    Tampering("a day late", "M8", "after its intent", _changed("card", created=1_900_000_000)),
    Tampering("other metadata", "M4", "stored was", _changed("transfer", metadata={})),
    Tampering("another key", "M4", "no intent explains", _changed("card", _idempotency_key="k")),
    Tampering("not its own", "M13", "for its own", _changed("card", _idempotency_key="k")),
    Tampering("no money moved", "M5", "no money moved", _no_charge),
    Tampering(
        "cancelled, not closed", "M2", "is cancelled, and", _changed("closed", status="succeeded")
    ),
    Tampering("cancelled, and paid", "M16", "moved its money", _closed_is_paid),
    Tampering("a line gone", "M17", "no line of its own", _no_line),
    Tampering("another fee", "M17", "booked was", _other_fee),
    Tampering("fees that differ", "M38", "our stripe_fees", _other_fee),
    Tampering("the vendor got less", "M38", "our earnings", _vendor_got_less),
    Tampering("a stranger's claim", "M4", "no intent explains", _claims_a_payment),
    Tampering("a reversal unbooked", "M17", "booked 0 times", _one_more_reversal),
    Tampering("a payout failed", "M15", "failed at Stripe", _payout(status="failed")),
    Tampering("another payout", "M17", "paid out", _payout(amount=1)),
    Tampering("a payout elsewhere", "M14", "it left acct_x", _payout(_account="acct_x")),
    Tampering("a fact rewritten", "M29", "hash was made of", _text("dispatcher:us_1", "e", "card")),
    Tampering(
        "a fact taken out",
        "M27",
        "stands where 3 should",
        _sql("DELETE FROM journal WHERE stream = :card AND seq = 3"),
    ),
    Tampering("a secret kept", "M33", "client secret", _text("pi_", "pi_secret_", "card")),
    Tampering("its end taken off", "M33", "still waits for Stripe", _sql(*_HEAD_AT_4.values())),
    Tampering("forgotten money", "M16", "moved its money", _sql(*_HEAD_AT_4.values())),
    Tampering(
        "postings doubled",
        "books",
        "expected",
        _sql("UPDATE postings SET amount_cents = amount_cents * 2 WHERE stream = :transfer"),
    ),
    Tampering(
        "half a posting",
        "books",
        "off by",
        _sql(
            "UPDATE postings SET amount_cents = amount_cents + 1"
            " WHERE stream = :transfer AND account = 'earnings'"
        ),
    ),
    Tampering(
        "a balance that is not Stripe's",
        "M38",
        "our stripe_balance",
        _sql(
            "UPDATE postings SET amount_cents = amount_cents + 1"
            " WHERE stream = :transfer AND account = 'stripe_balance'"
        ),
    ),
    Tampering(
        "a job paid twice", "M11", "2 live payments", _text("in_transfer", "in_card", "transfer")
    ),
    Tampering("the end unpublished", "M27", "never published", _unpublished(-1)),
    Tampering("a gap published", "M27", "published after", _unpublished(3)),
    Tampering("two events of one place", "M27", "two different events", _other_event),
    Tampering(
        "work left over",
        "M27",
        "left",
        _sql(f"{_WORK}) VALUES ('outbox', :card, 0, 0, 0)"),
    ),
    Tampering(
        "overdue attention",
        "M27",
        "left",
        _sql(f"{_WORK}) VALUES ('attention', :transfer, 0, 0, 0)"),
    ),
    Tampering(
        "a dead letter",
        "M27",
        "dead letter",
        _sql(f"{_WORK}, parked_at) VALUES ('outbox', :card, 0, 0, 0, 1)"),
    ),
    Tampering("an event that waits", "M19", "waiting", _sql("UPDATE inbox SET status = 'waiting'")),
    Tampering(
        "an event without its effect",
        "M19",
        "left no trace",
        _sql("UPDATE inbox SET stream = :rejected WHERE type = 'payment_intent.succeeded'"),
    ),
    Tampering(
        "an event kept without its effect",
        "M16",
        "kept without effect",
        _sql(
            "UPDATE inbox SET status = 'kept', stream = NULL, type = 'refund.created'"
            " WHERE type = 'payment_intent.succeeded'"
        ),
    ),
    Tampering("a promise", "M31", "nothing shows it", _said("rejected", "approve", 200, None)),
    Tampering("two answers", "M31", "was answered", _said("card", "create", 200, "card:create")),
    Tampering("a payment lost", "M31", "and is gone", _forgotten),
]
