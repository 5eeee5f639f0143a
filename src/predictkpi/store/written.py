"""What was last written to a CRM, so that the next write-back sends only what has changed since, and goes on where one was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.store.engine import reading, writing
from predictkpi.store.frames import in_chunks
from predictkpi.store.schema import WRITTEN_BACK

Fields = Mapping[str, str | float | None]
_ROW = WRITTEN_BACK.c


class Written:
    """See the module. ``target`` is the CRM's account, ``object`` the kind of its records; values are as they were sent."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def read(self, target: str, object_: str) -> dict[str, dict[str, str | float | None]]:
        """By record and field, what it was last set to."""
        statement = sa.select(_ROW.record_id, _ROW.field, _ROW.value).where(_ROW.target == target, _ROW["object"] == object_)
        found: dict[str, dict[str, str | float | None]] = {}
        with reading(self._engine) as connection:
            for record_id, field, value in connection.execute(statement):
                found.setdefault(record_id, {})[field] = json.loads(value)
        return found

    def keep(
        self, target: str, object_: str, records: Mapping[str, Fields], *, as_of: pd.Timestamp, model_version: str, now: pd.Timestamp
    ) -> None:
        """Note what a batch has set, in one transaction; ``now`` is UTC."""
        about = {"target": target, "object": object_, c.AS_OF: as_of, c.MODEL_VERSION: model_version, "written_at": now}
        rows = [
            about | {"record_id": record_id, "field": field, "value": json.dumps(value)}
            for record_id, fields in records.items()
            for field, value in fields.items()
        ]
        with writing(self._engine) as connection:
            old = sa.delete(WRITTEN_BACK).where(
                _ROW.target == target, _ROW["object"] == object_, _ROW.field.in_({row["field"] for row in rows})
            )
            for ids in in_chunks(list(records)):
                connection.execute(old.where(_ROW.record_id.in_(ids)))
            if rows:
                connection.execute(sa.insert(WRITTEN_BACK), rows)
