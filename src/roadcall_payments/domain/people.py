"""Who acts: a caller with a role, or the service itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    SERVICE = "service"
    DISPATCHER = "dispatcher"
    ADMIN = "admin"
    AUDITOR = "auditor"
    VENDOR = "vendor"
    DRIVER = "driver"
    # The worker and Stripe's webhooks: never granted to a token.
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """A verified caller. ``company_id`` is None for admins, who serve all companies."""

    id: str
    role: Role
    company_id: str | None = None
    vendor_id: str | None = None
    driver_id: str | None = None

    def __str__(self) -> str:
        return f"{self.role}:{self.id}"


WORKER = Actor("worker", Role.SYSTEM)
STRIPE = Actor("stripe", Role.SYSTEM)
