"""API keys: what is kept of each is a hash, so that whoever reads the database cannot use them. Instants are UTC."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from predictkpi.core.access import AccessRole, RowScope, ScopeKind
from predictkpi.errors import NotFoundError
from predictkpi.store.engine import reading, writing
from predictkpi.store.schema import API_KEYS

_PLAIN = ("key_id", "key_hash", "name", "role", "per_minute", "created_at", "expires_at", "revoked_at")


@dataclass(frozen=True)
class ApiKey:
    """One key: ``key_id`` is public and begins the key itself, ``key_hash`` is the SHA-256 of the whole key in hexadecimal."""

    key_id: str
    key_hash: str
    name: str
    role: AccessRole
    rows: RowScope | None
    per_minute: int | None
    created_at: pd.Timestamp
    expires_at: pd.Timestamp | None = None
    revoked_at: pd.Timestamp | None = None

    def state(self, now: pd.Timestamp) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class Keys:
    """The keys of a store; every method raises as those of `Store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        kind, members = (key.rows.kind, sorted(key.rows.members)) if key.rows else (None, [])
        told = {name: getattr(key, name) for name in _PLAIN}
        with writing(self._engine) as connection:
            connection.execute(sa.insert(API_KEYS).values(**told, scope_kind=kind, scope_members=json.dumps(members)))

    def all(self) -> list[ApiKey]:
        """Every key there ever was, oldest first; none where the database has not been set up yet."""
        with reading(self._engine) as connection:
            if not sa.inspect(connection).has_table(API_KEYS.name):
                return []
            rows = connection.execute(sa.select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)).mappings()
            return [_key(row) for row in rows]

    def revoke(self, key_id: str, *, now: pd.Timestamp) -> ApiKey:
        """From now on it opens nothing; again, and the first time stays. Raises `NotFoundError`."""
        with writing(self._engine) as connection:
            held = API_KEYS.c
            found = connection.execute(sa.select(API_KEYS).where(held.key_id == key_id)).mappings().first()
            if found is None:
                raise NotFoundError(f"there is no key {key_id!r}; `predictkpi keys list` shows those there are")
            connection.execute(sa.update(API_KEYS).where(held.key_id == key_id, held.revoked_at.is_(None)).values(revoked_at=now))
            return _key(found)


def _key(row: sa.RowMapping) -> ApiKey:
    kind: ScopeKind | None = row["scope_kind"]
    rows = RowScope(kind, frozenset(json.loads(row["scope_members"]))) if kind else None
    plain = {name: row[name] for name in _PLAIN}
    return ApiKey(rows=rows, **plain | {"role": AccessRole(row["role"])})
