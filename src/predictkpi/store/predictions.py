"""What was predicted: batches of a version as of an instant, each in one role, and single answers as they were served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.store.erased import of_erased
from predictkpi.store.frames import in_chunks, insert_frame, read_frame
from predictkpi.store.schema import ANSWERS, PREDICTIONS, SCORINGS


def write_predictions(
    connection: sa.Connection, frame: pd.DataFrame, *, role: Role, inputs_digest: str | None, now: pd.Timestamp | None
) -> None:
    """See `Store.write_predictions`."""
    rows = frame[c.PREDICTION_COLUMNS]
    rows = rows[~of_erased(connection, rows[c.PREDICTOR], rows[c.ENTITY_ID])]
    for key, group in rows.groupby([c.PREDICTOR, c.MODEL_VERSION, c.AS_OF], sort=False):
        statement = cast(tuple[str, str, pd.Timestamp], key)
        for entity_ids in in_chunks(group[c.ENTITY_ID].unique().tolist()):
            of_these = PREDICTIONS.c[c.ENTITY_ID].in_(entity_ids)
            connection.execute(sa.delete(PREDICTIONS).where(*_of(PREDICTIONS, *statement), of_these))
        was = connection.execute(sa.select(SCORINGS.c[c.ROLE]).where(*_of(SCORINGS, *statement))).scalar()
        connection.execute(sa.delete(SCORINGS).where(*_of(SCORINGS, *statement)))
        told = dict(zip((c.PREDICTOR, c.MODEL_VERSION, c.AS_OF), statement, strict=True))
        kept = Role.CHAMPION if was == Role.CHAMPION else role
        connection.execute(sa.insert(SCORINGS).values(**told, role=kept.value, inputs_digest=inputs_digest, scored_at=now))
    insert_frame(connection, PREDICTIONS, rows)


def read_predictions(
    connection: sa.Connection, predictor: str, model_version: str, as_of: pd.Timestamp, entity_ids: Sequence[str] | None
) -> pd.DataFrame:
    """See `Store.read_predictions`."""
    statement = sa.select(*(PREDICTIONS.c[name] for name in c.PREDICTION_COLUMNS)).where(*_of(PREDICTIONS, predictor, model_version, as_of))
    statement = statement.order_by(PREDICTIONS.c[c.PREDICTION_ID])
    if entity_ids is None:
        return read_frame(connection, statement)
    chunks = in_chunks(list(entity_ids)) if len(entity_ids) else iter([[]])
    found = [read_frame(connection, statement.where(PREDICTIONS.c[c.ENTITY_ID].in_(chunk))) for chunk in chunks]
    return pd.concat(found, ignore_index=True)


def newest_scoring(connection: sa.Connection, predictor: str, *, until: pd.Timestamp | None) -> tuple[str, pd.Timestamp] | None:
    """See `Store.newest_scoring`."""
    held = SCORINGS.c
    statement = sa.select(held[c.MODEL_VERSION], held[c.AS_OF]).where(held[c.PREDICTOR] == predictor, held[c.ROLE] == Role.CHAMPION.value)
    if until is not None:
        statement = statement.where(held[c.AS_OF] <= until)
    found = connection.execute(statement.order_by(held[c.AS_OF].desc(), held["scoring_id"].desc()).limit(1)).first()
    return None if found is None else (str(found[0]), found[1])


def predicted_days(connection: sa.Connection, predictor: str) -> pd.DataFrame:
    """See `Store.predicted_days`."""
    names = [c.MODEL_VERSION, c.ROLE, c.AS_OF]
    held = sa.select(*(SCORINGS.c[name] for name in names)).where(SCORINGS.c[c.PREDICTOR] == predictor)
    batches = read_frame(connection, held.order_by(SCORINGS.c["scoring_id"]))
    days = sa.select(ANSWERS.c[c.MODEL_VERSION], ANSWERS.c[c.AS_OF]).where(ANSWERS.c[c.PREDICTOR] == predictor)
    served = read_frame(connection, days.distinct().order_by(ANSWERS.c[c.AS_OF])).assign(**{c.ROLE: Role.SERVED.value})[names]
    return pd.concat([batches, served], ignore_index=True)


def log_answers(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """See `Store.log_answers`."""
    predictors, ids = (pd.Series([str(row[name]) for row in rows]) for name in (c.PREDICTOR, c.ENTITY_ID))
    rows = [row for row, is_gone in zip(rows, of_erased(connection, predictors, ids), strict=True) if not is_gone]
    if not rows:
        return
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insert = make(ANSWERS)
    seen = {"times": ANSWERS.c["times"] + insert.excluded["times"], "last_served_at": insert.excluded["last_served_at"]}
    connection.execute(insert.on_conflict_do_update(index_elements=[c.PREDICTION_ID], set_=seen), [dict(row) for row in rows])


def read_answers(connection: sa.Connection, predictor: str, model_version: str | None, as_of: pd.Timestamp | None) -> pd.DataFrame:
    """See `Store.read_answers`."""
    held = ANSWERS.c
    statement = sa.select(ANSWERS).where(held[c.PREDICTOR] == predictor)
    if model_version is not None:
        statement = statement.where(held[c.MODEL_VERSION] == model_version)
    if as_of is not None:
        statement = statement.where(held[c.AS_OF] == as_of)
    return read_frame(connection, statement.order_by(held["last_served_at"], held[c.PREDICTION_ID]))


def _of(table: sa.Table, predictor: str, version: str, as_of: pd.Timestamp) -> tuple[sa.ColumnElement[bool], ...]:
    held = table.c
    return (held[c.PREDICTOR] == predictor, held[c.MODEL_VERSION] == version, held[c.AS_OF] == pd.Timestamp(as_of))
