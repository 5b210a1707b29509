"""Texts that a person wrote, or that tell of one: kept beside the journal, to be erased (M29)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Final, get_args

from roadcall_payments.commit import TextWrite, text_digest
from roadcall_payments.domain.events import Fact, PaymentCreated, TextRef
from roadcall_payments.ports import Ids

# The fields of each fact that may hold such a reference.
_NAMES: Final[Mapping[type[Fact], Sequence[str]]] = {
    kind: [one.name for one in fields(kind) if TextRef.__name__ in str(one.type)]
    for kind in get_args(Fact)
}


def erasable_text(ids: Ids, stream: str, body: str) -> tuple[TextRef, TextWrite]:
    """The reference for a fact, and the text to write in the same commit."""
    text_id, salt = ids.uuid7(), ids.salt()
    return TextRef(text_id, text_digest(salt, body)), TextWrite(text_id, stream, body, salt)


def text_refs(fact: Fact) -> Iterator[TextRef]:
    """The texts that a fact refers to."""
    values = [getattr(fact, name) for name in _NAMES[type(fact)]]
    if isinstance(fact, PaymentCreated):
        values += [item.description for item in fact.line_items]
    return (value for value in values if isinstance(value, TextRef))
