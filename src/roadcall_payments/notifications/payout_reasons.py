"""Why a bank sent a payout back, as a sentence: Stripe gives a code.

Source of the codes: docs.stripe.com/api/payouts/failures.
"""

from __future__ import annotations

from collections.abc import Mapping

_EN: Mapping[str, str] = {
    "account_closed": "The bank account has been closed.",
    "account_frozen": "The bank account is frozen.",
    "bank_account_restricted": "The bank account does not allow this kind of payment.",
    "bank_account_unusable": "Stripe no longer pays to this bank account since a payout came back.",
    "bank_ownership_changed": "The bank account belongs to another bank now.",
    "balance_insufficient": "The Stripe balance did not cover it.",
    "could_not_process": "The bank could not process it.",
    "debit_not_authorized": "The bank account does not allow debits.",
    "declined": "The bank declined it.",
    "incorrect_account_holder_name": "The account holder's name is not the one the bank knows.",
    "insufficient_funds": "The Stripe balance did not cover it.",
    "invalid_account_number": "The routing number fits no bank, or not this account number.",
    "invalid_currency": "The bank account cannot take this currency.",
    "no_account": "The bank has no account with these details: the number is probably wrong.",
    "payouts_not_allowed": "Stripe still needs something from the account's owner.",
    "payout_voided": "It never reached Stripe, and no money moved.",
}
_ES: Mapping[str, str] = {
    "account_closed": "La cuenta bancaria está cerrada.",
    "account_frozen": "La cuenta bancaria está bloqueada.",
    "bank_account_restricted": "La cuenta bancaria no admite este tipo de pago.",
    "bank_account_unusable": "Stripe ya no paga a esta cuenta desde que un pago volvió.",
    "bank_ownership_changed": "La cuenta bancaria pertenece ahora a otro banco.",
    "balance_insufficient": "El saldo de Stripe no alcanzaba.",
    "could_not_process": "El banco no pudo procesarlo.",
    "debit_not_authorized": "La cuenta bancaria no admite cargos.",
    "declined": "El banco lo rechazó.",
    "incorrect_account_holder_name": "El nombre del titular no es el que conoce el banco.",
    "insufficient_funds": "El saldo de Stripe no alcanzaba.",
    "invalid_account_number": "El número de ruta o de cuenta no es correcto.",
    "invalid_currency": "La cuenta bancaria no acepta esta moneda.",
    "no_account": "El banco no tiene una cuenta con esos datos: el número parece incorrecto.",
    "payouts_not_allowed": "Stripe aún necesita algo del titular de la cuenta.",
    "payout_voided": "Nunca llegó a Stripe y no se movió dinero.",
}
_BY_LANGUAGE: Mapping[str, Mapping[str, str]] = {"en": _EN, "es": _ES}


def payout_reason(code: str | None, message: str | None, language: str) -> str | None:
    """The sentence for a code; Stripe's own message, or the code, where we have none."""
    known = _BY_LANGUAGE.get(language, _EN)
    return known.get(code or "") or message or code
