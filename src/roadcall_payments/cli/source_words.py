"""How we came to know of a fact, in words."""

from __future__ import annotations

from collections.abc import Mapping

from roadcall_payments.domain.fact_parts import Source

_LEARNED: Mapping[Source | None, str] = {
    Source.ANSWER: "",
    Source.WEBHOOK: ", as a webhook told",
    Source.LOOKUP: ", as a look at Stripe showed",
    None: "",
}


def learned(source: Source | None) -> str:
    """The end of a sentence; nothing where Stripe's answer to our call told it."""
    return _LEARNED[source]


def absence(absent: bool) -> str:
    """The end of a sentence about an outcome that is not known."""
    return "; nothing found at Stripe" if absent else ""
