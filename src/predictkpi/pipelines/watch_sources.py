"""Do the sources still deliver? Days since the newest row of a table against its own longest gap, and rows a week against its own past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from predictkpi.core import columns as c
from predictkpi.pipelines.findings import Finding, MonitorRule, Severity
from predictkpi.snapshot import Snapshot
from predictkpi.tables import TABLES, TableSchema

FRESHNESS, VOLUME = "freshness", "volume"
HAPPENED, KNOWN = "happened_at", "known_at"

_DAY = pd.Timedelta(days=1)
_WEEK = 7 * _DAY
_YEAR = 365 * _DAY
_FEWEST_GAPS = 8
_WEEKS_BEFORE, _FEWEST_WEEKS, _MOST_WEEKS = 13, 26, 104
# A row recorded later than this came with an old stock of records.
_RECORDED_LATE = 31 * _DAY


def watch_sources(snapshot: Snapshot, *, now: pd.Timestamp, rule: MonitorRule) -> list[Finding]:
    """Freshness and volume of every table that holds what happened; a table without a row is passed over."""
    tables = {name: rows for name, schema in TABLES.items() if len(rows := arrivals(snapshot, schema))}
    found = []
    for name, rows in tables.items():
        fresh = freshness(name, Rhythm.of(rows), now, rule)
        found.append(fresh)
        if not fresh.is_wrong:  # what has stopped altogether is told once
            found.append(volume(name, rows, snapshot.as_of, rule, level=rule.volume_level / len(tables)))
    return found


def arrivals(snapshot: Snapshot, schema: TableSchema) -> pd.DataFrame:
    """When each row of a table happened and when it first became known; none for a table of plans or of states."""
    if schema.happened_at is None or schema.planned:
        return pd.DataFrame(columns=[HAPPENED, KNOWN])
    first = snapshot.living(schema.name).drop_duplicates(list(schema.key), keep="first")
    rows = pd.DataFrame({HAPPENED: first[schema.happened_at].to_numpy(), KNOWN: first[c.KNOWN_AT].to_numpy()}).dropna()
    return rows[rows[HAPPENED] < snapshot.as_of]


@dataclass(frozen=True)
class Rhythm:
    """When the newest row of a table happened and became known, and the longest of its waits for a row within a year, in days."""

    newest: pd.Timestamp
    known_at: pd.Timestamp
    waits: int
    longest: float

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Rhythm:
        """Of `arrivals` that hold a row."""
        newest = rows[HAPPENED].max()
        waits = longest_waits(rows, newest)
        return cls(newest, rows[KNOWN].max(), len(waits), float(waits.max()) if len(waits) else 0.0)


def rhythms(snapshot: Snapshot) -> dict[str, Rhythm]:
    """Of every table that holds what happened; a table without a row is passed over."""
    return {name: Rhythm.of(rows) for name, schema in TABLES.items() if len(rows := arrivals(snapshot, schema))}


def freshness(name: str, rhythm: Rhythm, now: pd.Timestamp, rule: MonitorRule) -> Finding:
    """Is the newest row older than its table was ever found to be within a year?"""
    newest, usual = rhythm.newest, rhythm.longest
    age = (now - newest) / _DAY
    if rhythm.waits < _FEWEST_GAPS:
        return Finding(FRESHNESS, name, Severity.NOTE, f"rows of {rhythm.waits + 1} days in the last year: too few to tell a usual gap")
    limit = max(usual * rule.freshness_slack, 1.0)
    figures: dict[str, float | str] = {"days": age, "longest_usual_gap": usual, "newest": newest.isoformat()}
    if age <= limit:
        return Finding(FRESHNESS, name, Severity.NOTE, f"newest row {age:.1f} days old", figures=figures, threshold=limit)
    reason = f"no new row for {age:.1f} days, since {newest:%Y-%m-%d}; in the year before it was never more than {usual:.1f}"
    way_out = "look whether the export or `predictkpi sync` still runs, and `predictkpi rejects` whether its rows were refused"
    return Finding(FRESHNESS, name, Severity.ALARM, reason, way_out, figures, limit)


def longest_waits(rows: pd.DataFrame, until: pd.Timestamp) -> npt.NDArray[np.float64]:
    """Days without a row, within a year: between days with one, and, of rows that came in several loads, until a newer one was known."""
    recent = rows[rows[HAPPENED] >= until - _YEAR]
    days = np.sort(recent[HAPPENED].dt.normalize().unique())
    newest = rows.groupby(KNOWN)[HAPPENED].max().sort_index().cummax()
    newest = newest[~newest.duplicated()]
    waits = (newest.index[1:].to_numpy() - newest.to_numpy()[:-1])[newest.index[1:] >= until - _YEAR]
    return np.concatenate([np.diff(days), waits]) / np.timedelta64(1, "D")


def volume(name: str, rows: pd.DataFrame, as_of: pd.Timestamp, rule: MonitorRule, *, level: float) -> Finding:
    """Do the rows of the newest seven days fit in with the weeks before?"""
    counts = weekly_counts(rows, as_of)
    # Square roots of counts vary alike, few or many (Anscombe, 1948); each week is held against the mean of the quarter before it.
    roots = 2 * np.sqrt(counts + 0.375)
    expected = np.array([roots[week + 1 : week + 1 + _WEEKS_BEFORE].mean() for week in range(len(roots) - _WEEKS_BEFORE)])[
        : _MOST_WEEKS + 1
    ]
    errors = roots[: len(expected)] - expected
    if len(errors) <= _FEWEST_WEEKS:
        return Finding(VOLUME, name, Severity.NOTE, f"{len(counts)} weeks: too few to tell a usual week")
    past = errors[1:]
    reach = float(stats.t.ppf(1 - level / 2, len(past) - 1) * np.sqrt(past.var(ddof=1) + 1 / len(past)))
    middle = float(expected[0] + past.mean())
    low, high = (max(edge, 0.0) ** 2 / 4 - 0.375 for edge in (middle - reach, middle + reach))
    figures: dict[str, float | str] = {"rows": float(counts[0]), "low": max(low, 0.0), "high": high}
    if low <= counts[0] <= high:
        return Finding(VOLUME, name, Severity.NOTE, f"{counts[0]} rows in the newest week", figures=figures)
    side, limit = ("few", low) if counts[0] < low else ("many", high)
    reason = f"{counts[0]} rows in the newest week: too {side}, {max(low, 0.0):.0f} to {high:.0f} would be usual"
    way_out = (
        "look whether the export is whole, and `predictkpi rejects` whether its rows were refused"
        if side == "few"
        else "look whether rows came twice under other keys, or an old stock was loaded"
    )
    return Finding(VOLUME, name, Severity.ALARM, reason, way_out, figures, limit)


def weekly_counts(rows: pd.DataFrame, as_of: pd.Timestamp) -> npt.NDArray[np.int64]:
    """Rows that happened in each seven days before ``as_of``, newest first, as far as they were known when those were over."""
    week = ((as_of - rows[HAPPENED]) // _WEEK).to_numpy(dtype=int)
    over = as_of - pd.to_timedelta(week * 7, unit="D")
    counted = (rows[KNOWN].to_numpy() < over.to_numpy()) | ((rows[KNOWN] - rows[HAPPENED]).to_numpy() > _RECORDED_LATE)
    whole = int((as_of - rows[HAPPENED].min()) // _WEEK)
    return np.bincount(week[counted], minlength=whole)[:whole]
