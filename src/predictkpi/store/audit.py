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

AUDIT_ID = "audit_id"
ENTRY_COLUMNS = ["at", "actor", "action", "subject", "detail", AUDIT_ID]
"""``detail`` is JSON; ``audit_id`` rises."""


def write_entry(connection: sa.Connection, at: pd.Timestamp, action: str, subject: str, detail: Mapping[str, Any], actor: str) -> None:
    """One row; without an ``actor``, the user of this process."""
    connection.execute(
        sa.insert(AUDIT).values(
            at=at.to_pydatetime(), actor=actor or user(), action=action, subject=subject, detail=json.dumps(detail, default=str)
        )
    )


def read_entries(connection: sa.Connection, *, subject: str | None, limit: int, before: int | None = None) -> pd.DataFrame:
    """Newest first: `ENTRY_COLUMNS`; ``before`` leaves out that entry and all newer ones."""
    statement = sa.select(*(AUDIT.c[name] for name in ENTRY_COLUMNS)).order_by(AUDIT.c.audit_id.desc())
    if subject is not None:
        statement = statement.where(AUDIT.c.subject == subject)
    if before is not None:
        statement = statement.where(AUDIT.c.audit_id < before)
    return read_frame(connection, statement.limit(limit))


def user() -> str:
    """The name this process runs under; empty where the system knows none, as in a container with a bare user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
