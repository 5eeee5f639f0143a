"""What the newest watch found, by subject: a predictor or a table. A watch of some of them leaves what was found of the others."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.store.engine import reading, writing
from predictkpi.store.frames import read_frame
from predictkpi.store.schema import WATCHED

SUBJECT, MADE_AT, CONTENT = "subject", "made_at", "content"
WATCHED_COLUMNS = [SUBJECT, c.AS_OF, MADE_AT, CONTENT]


class Watched:
    """See the module. May be shared by threads, as the store it belongs to."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def write(self, found: Mapping[str, str], *, as_of: pd.Timestamp, now: pd.Timestamp) -> None:
        """Keep what was found of each subject, as JSON, in place of what was found of it before."""
        with writing(self._engine) as connection:
            for subject, content in found.items():
                connection.execute(sa.delete(WATCHED).where(WATCHED.c[SUBJECT] == subject))
                connection.execute(sa.insert(WATCHED).values(subject=subject, as_of=as_of, made_at=now, content=content))

    def read(self) -> pd.DataFrame:
        """`WATCHED_COLUMNS`, one row a subject."""
        with reading(self._engine) as connection:
            return read_frame(connection, sa.select(*(WATCHED.c[name] for name in WATCHED_COLUMNS)).order_by(WATCHED.c[SUBJECT]))
