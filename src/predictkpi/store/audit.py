"""The audit log: who changed what, when, and why. Rows are only ever added."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from predictkpi.store.frames import read_frame
from predictkpi.store.schema import AUDIT


def write_entry(connection: sa.Connection, at: pd.Timestamp, action: str, subject: str, detail: Mapping[str, Any], actor: str) -> None:
    """One row; without an ``actor``, the user of this process."""
    connection.execute(
        sa.insert(AUDIT).values(
            at=at.to_pydatetime(), actor=actor or user(), action=action, subject=subject, detail=json.dumps(detail, default=str)
        )
    )


def read_entries(connection: sa.Connection, *, subject: str | None, limit: int) -> pd.DataFrame:
    """Newest first: ``at, actor, action, subject, detail`` (JSON)."""
    statement = sa.select(*(AUDIT.c[name] for name in ("at", "actor", "action", "subject", "detail"))).order_by(AUDIT.c.audit_id.desc())
    if subject is not None:
        statement = statement.where(AUDIT.c.subject == subject)
    return read_frame(connection, statement.limit(limit))


def user() -> str:
    """The name this process runs under; empty where the system knows none, as in a container with a bare user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
