"""API keys: made once, shown once, kept as a hash. Whoever makes or revokes one is in the audit log."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.access import NARROWABLE, AccessRole, RowScope
from predictkpi.errors import SettingsError
from predictkpi.store.keys import ApiKey

if TYPE_CHECKING:
    from predictkpi.store import Store

PREFIX = "pkpi_"
"""What every key begins with, so that a scanner for leaked secrets knows one."""
_ID_BYTES, _SECRET_BYTES = 5, 32


def make_key(
    store: Store,
    name: str,
    role: AccessRole,
    *,
    now: pd.Timestamp,
    rows: RowScope | None = None,
    per_minute: int | None = None,
    expires_at: pd.Timestamp | None = None,
    actor: str = "",
) -> tuple[ApiKey, str]:
    """Make a key and say it this once: what is kept of it, and the key itself.

    ``now`` and ``expires_at`` are UTC. The key has 256 random bits, so that a plain SHA-256 of it cannot be turned back. Raises
    `SettingsError` for a scope of a role that sees everybody's rows, and for an expiry that has passed.
    """
    if rows is not None and role not in NARROWABLE:
        roles = ", ".join(role.value for role in AccessRole if role in NARROWABLE)
        raise SettingsError(f"a key of the role {role.value} sees all rows; only {roles} can be held to those of a team or owner")
    if expires_at is not None and expires_at <= now:
        raise SettingsError(f"the key would be expired already: {expires_at:%Y-%m-%d %H:%M} UTC has passed")
    key_id = PREFIX + secrets.token_hex(_ID_BYTES)
    secret = f"{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    key = ApiKey(key_id, hash_of(secret), name, role, rows, per_minute, created_at=now, expires_at=expires_at)
    told = {"name": name, "role": role.value, "rows": str(rows or "all"), "expires_at": expires_at}
    store.write_audit(now, "make key", key_id, told, actor=actor)
    store.keys.add(key)
    return key, secret


def revoke_key(store: Store, key_id: str, *, now: pd.Timestamp, actor: str = "") -> ApiKey:
    """Every running service refuses it within seconds; raises `NotFoundError`."""
    key = store.keys.revoke(key_id, now=now)
    store.write_audit(now, "revoke key", key_id, {"name": key.name}, actor=actor)
    return key


def hash_of(secret: str) -> str:
    """SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
