"""Who may see what: roles, what each may do, and the rows that a caller may be held to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Permission(StrEnum):
    """What a route asks for. Every route of the service asks for one; see `service.access`."""

    NUMBERS = "numbers"
    """The company's numbers: KPIs, forecasts, targets, outlook, groups of customers."""
    ROWS = "rows"
    """Single deals and customers: what they are, and what is predicted of them."""
    PREDICT = "predict"
    """Predictions of what the request itself describes."""
    TRUST = "trust"
    """How good predictions have been, and which models serve."""
    REJECTS = "rejects"
    """Rows that were kept aside, as the source gave them."""
    TARGETS = "targets"
    """To set targets."""
    PROMOTE = "promote"
    """To let another model version serve."""
    AUDIT = "audit"
    """Who saw and changed what."""
    METRICS = "metrics"
    """How the service itself does: requests, latency, age of the data."""


class AccessRole(StrEnum):
    """What an API key or a person is for."""

    VIEWER = "viewer"
    MANAGER = "manager"
    CRM = "crm"
    SCIENTIST = "scientist"
    ADMIN = "admin"


_READING = frozenset({Permission.NUMBERS, Permission.ROWS, Permission.TRUST, Permission.METRICS})
PERMISSIONS: Mapping[AccessRole, frozenset[Permission]] = {
    AccessRole.VIEWER: _READING,
    AccessRole.MANAGER: _READING | {Permission.PREDICT, Permission.TARGETS},
    AccessRole.CRM: frozenset({Permission.ROWS, Permission.PREDICT}),
    AccessRole.SCIENTIST: _READING | {Permission.PREDICT, Permission.REJECTS, Permission.PROMOTE},
    AccessRole.ADMIN: frozenset(Permission),
}

ScopeKind = Literal["team", "owner"]
NARROWABLE = frozenset({AccessRole.VIEWER, AccessRole.MANAGER, AccessRole.CRM})
"""Roles that can be held to rows: whoever sees models and rejects sees everybody's."""
OF_COMPANY = frozenset({Permission.NUMBERS, Permission.TRUST, Permission.METRICS})
"""What is about the whole company, and therefore for nobody who is held to rows."""


@dataclass(frozen=True)
class RowScope:
    """The deals of these teams or owners, and the customers whose newest deal is one of them."""

    kind: ScopeKind
    members: frozenset[str]

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(sorted(self.members))}"

    @property
    def key(self) -> str:
        """Stands for these rows and no others, whatever the members are called; ``str`` is for people."""
        return f"{self.kind} {sorted(self.members)!r}"


@dataclass(frozen=True)
class Caller:
    """Who asks: an API key, a person with a token of the company's identity provider, or anybody on this machine.

    ``id`` is unique and fit for logs, ``name`` is for people; ``rows`` is None where all rows may be seen. ``per_minute`` requests are
    answered; None means as many as there are.
    """

    id: str
    name: str
    role: AccessRole
    rows: RowScope | None = None
    per_minute: int | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role allows it, and the rows that the caller is held to do not stand in the way."""
        return permission in PERMISSIONS[self.role] and (self.rows is None or permission not in OF_COMPANY)


ANYBODY_HERE = Caller("open", "anybody on this machine", AccessRole.ADMIN)
"""Whoever reaches a service that listens on the loopback address only and for which no key was ever made."""


def roles_with(permission: Permission) -> Collection[AccessRole]:
    """The roles that may do it, in their usual order."""
    return [role for role in AccessRole if permission in PERMISSIONS[role]]
