"""How it stands with the data: is it fresh, is there enough of it, what is amiss in the books, and what was kept aside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import pandas as pd

from predictkpi.core.types import Status
from predictkpi.hygiene import get_check
from predictkpi.pipelines.findings import Finding
from predictkpi.pipelines.watch_sources import Rhythm
from predictkpi.predictors import predictor_class
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, marked
from predictkpi.service.data_schemas import PredictorReadiness, Reject, RejectPage
from predictkpi.service.data_state import diagnosis_of
from predictkpi.service.view import View

TABLE_TITLES = {
    "customers": marked("Customers"),
    "orders": marked("Orders"),
    "deals": marked("Deals"),
    "deal_events": marked("Deal changes"),
    "activities": marked("Activities"),
    "spend": marked("Spend"),
    "targets": marked("Targets"),
    "fx_rates": marked("Exchange rates"),
    "attributes": marked("Own fields"),
}
_COUNTS = {
    "months": marked("months of revenue"),
    "closed_deals": marked("closed deals"),
    "deals": marked("deals"),
    "customers_with_purchase": marked("customers with a purchase"),
    "repeat_customers": marked("customers who came again"),
    "history_days": marked("days of history"),
}
_RUNGS = {
    Status.FULL: marked("full model"),
    Status.LIMITED: marked("limited"),
    Status.BASELINE: marked("baseline"),
    Status.PRIOR: marked("prior"),
    Status.INSUFFICIENT_DATA: marked("too little data"),
}


@dataclass(frozen=True)
class Freshness:
    """One table. ``state``: late, fresh, or unknown where no usual gap can be told."""

    table: str
    newest: str
    known: str
    age: str
    usual: str
    state: str
    reason: str
    way_out: str


@dataclass(frozen=True)
class NewestLoad:
    """The load that was made last."""

    number: str
    at: str
    source: str
    accepted: str
    unchanged: str
    rejected: str
    is_refused: bool


@dataclass(frozen=True)
class Count:
    """One thing a predictor needs; ``percent`` of what is needed, 100 at most."""

    title: str
    have: str
    need: str
    percent: float


@dataclass(frozen=True)
class Enough:
    """How far the data carries one predictor."""

    title: str
    status: str
    rung: str
    reason: str
    counts: list[Count]


@dataclass(frozen=True)
class Hygiene:
    """What one check of the books has found."""

    title: str
    count: str
    examined: str
    money: str
    at_stake: str
    way_out: str


@dataclass(frozen=True)
class RejectGroup:
    """Rows that were kept aside for the same reason; ``href`` shows them."""

    file: str
    table: str
    field: str
    reason: str
    count: str
    example: str
    href: str


@dataclass(frozen=True)
class RejectRow:
    """One row that was kept aside, as the source gave it."""

    place: str
    table: str
    field: str
    value: str
    reason: str
    load: str
    record: str


@dataclass(frozen=True)
class Rejects:
    """``next`` is the address of the next page, empty on the last; ``files`` and ``tables`` can be chosen."""

    total: int
    groups: list[RejectGroup]
    rows: list[RejectRow]
    next: str
    is_first: bool
    file: str
    table: str
    files: list[str]
    tables: list[tuple[str, str]]


def table_title(name: str) -> str:
    """A table of the store in words."""
    return _(TABLE_TITLES[name]) if name in TABLE_TITLES else name


def freshness_rows(found: Sequence[tuple[str, Rhythm, Finding]], now: pd.Timestamp) -> list[Freshness]:
    """By table, as `predictkpi monitor` judges it."""
    rows = []
    for name, rhythm, finding in found:
        state = "late" if finding.is_wrong else "fresh" if finding.threshold is not None else "unknown"
        rows.append(
            Freshness(
                table=table_title(name),
                newest=f.date(rhythm.newest),
                known=f.date(rhythm.known_at),
                age=f.days((now - rhythm.newest) / pd.Timedelta(days=1)),
                usual=f.days(rhythm.longest) if state != "unknown" else f.MISSING,
                state=state,
                reason=finding.reason if state != "fresh" else "",
                way_out=finding.way_out,
            )
        )
    return rows


def newest_load(loads: pd.DataFrame) -> NewestLoad | None:
    """From the book of loads, newest first; None where nothing was loaded."""
    if loads.empty:
        return None
    row = loads.iloc[0]
    counts = {name: f.number(row[name]) for name in ("accepted", "unchanged", "rejected")}
    return NewestLoad(str(row["load_id"]), f.moment(row["loaded_at"]), str(row["source"]), is_refused=bool(row["is_refused"]), **counts)


def enough(items: Sequence[PredictorReadiness]) -> list[Enough]:
    """By predictor: what there is, what is needed, and the rung that gives."""
    return [
        Enough(
            title=in_words(predictor_class(item.predictor).spec.title),
            status=item.status.value,
            rung=_(_RUNGS[item.status]),
            reason=item.reason,
            counts=[
                Count(
                    _(_COUNTS[one.count]) if one.count in _COUNTS else one.count.replace("_", " "),
                    f.number(one.have),
                    f.number(one.need),
                    round(min(one.have / one.need, 1.0) * 100, 1) if one.need else 100.0,
                )
                for one in item.counts
            ],
        )
        for item in items
    ]


def hygiene(view: View) -> list[Hygiene]:
    """Checks that have found something, in catalogue order."""
    rows = []
    for row in diagnosis_of(view).summary().to_dict("records"):
        if row["count"]:
            title, money = in_words(get_check(row["check"]).title), f.money(row["money"], view.company.currency)
            rows.append(Hygiene(title, f.number(row["count"]), f.number(row["examined"]), money, row["at_stake"], row["way_out"]))
    return rows


def rejects(groups: pd.DataFrame, page: RejectPage, *, file: str, table: str, is_first: bool) -> Rejects:
    """What was kept aside: by reason, and row by row."""
    following = {"file": file, "table": table, "cursor": page.next or ""}
    return Rejects(
        total=page.total,
        groups=[_group(row) for row in groups.to_dict("records")],
        rows=[_reject(item) for item in page.items],
        next=f"/trust?{urlencode({name: value for name, value in following.items() if value})}#rejects" if page.next else "",
        is_first=is_first,
        file=file,
        table=table,
        files=sorted({*groups["file"], *([file] if file else [])}),
        tables=[(name, table_title(name)) for name in sorted({*groups["table"], *([table] if table else [])})],
    )


def _group(row: dict[str, object]) -> RejectGroup:
    texts = {name: str(row[name]) for name in ("file", "field", "reason", "example")}
    href = f"/trust?{urlencode({'file': row['file'], 'table': row['table']})}#rejects"
    return RejectGroup(table=table_title(str(row["table"])), count=f.number(int(str(row["n"]))), href=href, **texts)


def _reject(item: Reject) -> RejectRow:
    record = json.dumps(item.record, ensure_ascii=False, indent=1) if item.record is not None else ""
    place = _("{file}, row {row}").format(file=item.file, row=item.row)
    return RejectRow(place, table_title(item.table), item.field, item.value, item.reason, str(item.load_id), record)
