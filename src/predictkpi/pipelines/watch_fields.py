"""Do the newest rows of a table look like those before? One test a table over all its fields, and over who its customers are.

The rows of the newest four weeks are held against those of the half year before, each as it first became known; the yardstick is how far
earlier four weeks were from the half year before them. So a unit, a code or a field that changes in an export shows within weeks, long
before a cohort has moved of which most is old.
"""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.metrics.drift import FEWEST_PAIRS, distance, largest_change, sampling_noise
from predictkpi.pipelines.findings import Finding, MonitorRule, Severity
from predictkpi.snapshot import Snapshot
from predictkpi.tables import TABLES

FIELDS = "fields"
OF_CUSTOMERS = (c.SEGMENT, c.REGION, c.INDUSTRY, c.CHANNEL)

_WINDOW, _BEFORE = pd.Timedelta(days=28), pd.Timedelta(days=182)
_FEWEST_ROWS = 20
_MOST_VALUES = 50
_NAMED = 3


def watch_fields(snapshot: Snapshot, *, rule: MonitorRule) -> list[Finding]:
    """One finding for each table that holds what happened; a table without a row is passed over."""
    tables = {name: rows for name, schema in TABLES.items() if len(rows := first_told(snapshot, schema))}
    return [_judged(name, rows, TABLES[name], snapshot.as_of, rule, level=rule.fields_level / len(tables)) for name, rows in tables.items()]


def first_told(snapshot: Snapshot, schema: TableSchema) -> pd.DataFrame:
    """Rows that had happened, as they first became known, with their instant and every field that may be compared."""
    if schema.happened_at is None or schema.planned:
        return pd.DataFrame()
    rows = snapshot.living(schema.name).drop_duplicates(list(schema.key), keep="first")
    rows = rows[rows[schema.happened_at] < snapshot.as_of]
    fields = {name: rows[name] for name in schema.column_names if _is_field(name, schema, rows[name])}
    if c.CUSTOMER_ID in rows and c.CUSTOMER_ID not in schema.key:
        customers = snapshot.customers.set_index(c.CUSTOMER_ID)
        fields |= {
            f"customer's {name}": customers[name].reindex(rows[c.CUSTOMER_ID]).fillna("").set_axis(rows.index) for name in OF_CUSTOMERS
        }
    return pd.DataFrame({c.DS: rows[schema.happened_at]} | {name: _comparable(values) for name, values in fields.items()})


def _is_field(name: str, schema: TableSchema, values: pd.Series) -> bool:
    return name not in schema.key and name != schema.happened_at and not name.endswith("_id") and values.dtype.kind not in "mM"


def _comparable(values: pd.Series) -> pd.Series:
    """Numbers and codes as they are; of free text and names only whether they are there."""
    if values.dtype.kind in "fiub" or values.nunique() <= _MOST_VALUES:
        return values
    return values.notna() & (values.astype("str") != "")


def _judged(name: str, rows: pd.DataFrame, schema: TableSchema, as_of: pd.Timestamp, rule: MonitorRule, *, level: float) -> Finding:
    room = as_of - rows[c.DS].min() - _BEFORE
    ends = [as_of - back * _WINDOW for back in range(min(rule.drift_pairs + 1, int(room / _WINDOW)))]
    parts = [(_between(rows, end - _WINDOW - _BEFORE, end - _WINDOW), _between(rows, end - _WINDOW, end)) for end in ends]
    parts = [(before, newest) for before, newest in parts if min(len(before), len(newest)) >= _FEWEST_ROWS or newest is parts[0][1]]
    if len(parts) <= FEWEST_PAIRS or min(map(len, parts[0])) < _FEWEST_ROWS:
        reason = f"fewer than {_FEWEST_ROWS} rows in four weeks, or less than a year and a half of them: too few to compare their fields"
        return Finding(FIELDS, name, Severity.NOTE, reason)
    fields = [field for field in rows.columns if field != c.DS]
    distances = [[distance(before[field], newest[field]) for field in fields] for before, newest in parts]
    noise = sampling_noise(*map(len, parts[0]))
    test = largest_change(fields, distances[0], distances[1:], level=level, noise=noise, signed=False)
    if not test.changes:
        return Finding(FIELDS, name, Severity.NOTE, "it has no field to compare")
    top = test.changes[0]
    figures: dict[str, float | str] = {"p_value": test.p_value, "score": top.score, "distance": top.distance, "usual": top.usual}
    figures |= {"rows": float(len(parts[0][1])), "field": top.name}
    if not test.is_changed:
        reason = f"{len(test.changes)} fields of {len(parts[0][1])} new rows: the largest change, of {top.name}, is no larger than usual"
        return Finding(FIELDS, name, Severity.NOTE, reason, figures=figures, threshold=test.threshold)
    beyond = [change.name for change in test.changes if change.score > test.threshold]
    empty = float((parts[0][1][top.name].isna() | (parts[0][1][top.name].astype("str") == "")).mean())
    figures["share_empty"] = empty
    verb = "is" if len(beyond) == 1 else "are"
    reason = (
        f"of the {len(parts[0][1])} rows of the newest four weeks {', '.join(beyond[:_NAMED])} {verb} unlike "
        f"in the half year before: {top.name} by {top.distance:.2f} where {top.usual:.2f} is usual"
        + (f"; {empty:.0%} of it is empty" if empty > 0 else "")
    )
    way_out = "look at these rows at the source: a changed export, unit, code or mapping; if the business has changed, it passes in time"
    return Finding(FIELDS, name, Severity.ALARM, reason, way_out, figures, test.threshold)


def _between(rows: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    return rows[(rows[c.DS] >= start) & (rows[c.DS] < end)]
