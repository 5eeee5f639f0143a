"""How it stands with the data: enough of it, how fresh, what is amiss in the books, what was kept aside. For the API and for pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pandas as pd

from predictkpi.pipelines.doctor import Diagnosis, diagnose
from predictkpi.pipelines.findings import MONITOR, Finding, MonitorRule
from predictkpi.pipelines.readiness import readiness
from predictkpi.pipelines.rules import read_rule
from predictkpi.pipelines.watch_sources import Rhythm, freshness, rhythms
from predictkpi.service.data_schemas import PredictorReadiness, ReadinessCount, Reject, RejectPage
from predictkpi.service.paging import pack, unpack
from predictkpi.service.view import View
from predictkpi.store import Store


def readiness_of(view: View, models_dir: Path) -> list[PredictorReadiness]:
    """By predictor: what there is, what is needed, and the rung that gives."""
    table = cast(pd.DataFrame, view.page("readiness", lambda view: readiness(view.snapshot, models_dir=models_dir)))
    counts = list(ReadinessCount.model_fields)
    return [
        PredictorReadiness(
            predictor=str(name),
            status=rows["status"].iloc[0],
            reason=rows["reason"].iloc[0],
            counts=[ReadinessCount(**row) for row in rows[counts].to_dict("records")],
        )
        for name, rows in table.groupby("predictor", sort=False)
    ]


def freshness_of(view: View, models_dir: Path) -> list[tuple[str, Rhythm, Finding]]:
    """By table, at this moment: its rhythm, and what `predictkpi monitor` would say of it."""
    rule = read_rule(MonitorRule, models_dir / MONITOR)
    now = pd.Timestamp(view.now())
    found = cast(dict[str, Rhythm], view.page("rhythms", lambda view: rhythms(view.snapshot)))
    return [(name, rhythm, freshness(name, rhythm, now, rule)) for name, rhythm in found.items()]


def diagnosis_of(view: View) -> Diagnosis:
    """What the checks of the books find."""
    return cast(Diagnosis, view.page("diagnosis", lambda view: diagnose(view.snapshot)))


def reject_page(
    store: Store,
    *,
    limit: int,
    table: str | None = None,
    file: str | None = None,
    load_id: int | None = None,
    cursor: str | None = None,
) -> RejectPage:
    """Rows that were kept aside and that no replay has settled: the newest load first, the rows of one load in file order."""
    after = None if cursor is None else cast(tuple[int, int], unpack(cursor, int, int))
    found = store.rejects(limit + 1, load_id=load_id, table=table, file=file, with_records=True, after=after)
    rows = found.head(limit).to_dict("records")
    following = pack(int(rows[-1]["load_id"]), int(rows[-1]["reject_id"])) if len(found) > limit else None
    return RejectPage(total=store.count_rejects(), next=following, items=[_reject(row) for row in rows])


def _reject(row: dict[Any, Any]) -> Reject:
    record = row["record"]
    return Reject(
        **{name: row[name] for name in Reject.model_fields if name != "record"},
        record=json.loads(record) if isinstance(record, str) and record else None,
    )
