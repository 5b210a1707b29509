"""What can go wrong before a caller is known; the rest of the tree is in ``domain/errors.py``.

FinalError
└── Unauthenticated             no token, or one that proves nothing
TransientError
└── IssuerUnavailable           the token issuer's keys cannot be fetched
"""

from __future__ import annotations

from roadcall_payments.domain.errors import FinalError, TransientError


class Unauthenticated(FinalError):
    code = "unauthenticated"


class IssuerUnavailable(TransientError):
    code = "issuer_unavailable"
