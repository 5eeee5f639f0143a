"""Warnings of loads that break no rule and yet look like a slip of the mapping. Nothing here rejects a row.

Pure, as all of `sources` after `files`: each function returns lines for a reader, none where nothing looks odd.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.sources.feed import Offer

_ALONE = pd.DateOffset(years=10)
_LATE = pd.Timedelta(days=31)
_MANY_LATE = 10
_LARGE_SHARE = 0.2
_SHOWN = 12


def of_first_fact(schema: TableSchema, frame: pd.DataFrame) -> list[str]:
    """Warn if the first fact lies more than ten years before the 1 % quantile: training would begin at what may be a mistyped year."""
    happened = frame[schema.happened_at].dropna() if schema.happened_at else pd.Series(dtype="datetime64[us]")
    if happened.empty:
        return []
    first, bulk = happened.min(), happened.quantile(0.01, interpolation="higher")
    if first + _ALONE >= bulk:
        return []
    return [
        f"{schema.name}: the first {schema.happened_at} is {first:%Y-%m-%d}, but 99 % are from {bulk:%Y-%m-%d} on: is the year mistyped? "
        f"History is taken to begin with the first"
    ]


def of_stages(stages: Iterable[str], stored: Iterable[str]) -> list[str]:
    """Warn of stages that look closed and are not spelt so, and of closed stages that neither this load (``stages``) nor the store has."""
    found = sorted(set(stages))
    listed = ", ".join(map(repr, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    way_out = f"stages found: {listed}; map them under values"
    closed = set(c.CLOSED_STAGES)
    warnings = []
    absent = [stage for stage in c.CLOSED_STAGES if stage not in {*found, *stored}]
    if absent:
        warnings.append(f"deal_events: no deal has ever the stage {' or '.join(map(repr, absent))}; {way_out}")
    alike = [stage for stage in found if stage not in closed and any(part in stage.casefold() for part in (*closed, "closed"))]
    if alike:
        warnings.append(f"deal_events: {', '.join(map(repr, alike))} count as open, for only 'won' and 'lost' are closed; {way_out}")
    return warnings


def of_late_facts(schema: TableSchema, happened: pd.Series, known_at: pd.Series) -> list[str]:
    """Warn of many new rows of a later load that happened (``happened``) long before they count as known (``known_at``)."""
    late = known_at - happened > _LATE
    if late.sum() < _MANY_LATE:
        return []
    return [
        f"{schema.name}: {int(late.sum())} new rows happened more than {_LATE.days} days before they count as known, which is from this "
        f"load on: no forecast of a day before it will see them. If they were known earlier, name the column that says when under "
        f"known_at, or state exported_at; a row once stored keeps its known_at"
    ]


def of_many_corrections(table: str, *, changed: int, stored: int) -> list[str]:
    """Warn if a later load changes a large share of the ``stored`` keys: a mapping mended in place looks like a wave of corrections."""
    if changed <= _LARGE_SHARE * stored:
        return []
    return [
        f"{table}: {changed} of {stored} stored rows are changed by this load. Corrections count from now on only, and the past stays "
        f"as it was. If the first mapping was wrong, load into a fresh store: delete the database and ingest again"
    ]


def of_unfed_rows(offers: Iterable[Offer]) -> list[str]:
    """Warn of rows that none of several feeds of one file into one table has selected: a new stage, say, that no condition names."""
    warnings = []
    groups: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        groups.setdefault((offer.feed.file, offer.feed.table), []).append(offer)
    for (file, table), group in groups.items():
        left = group[0].unselected
        for offer in group[1:]:
            left = left.intersection(offer.unselected)
        if len(group) > 1 and len(left):
            warnings.append(
                f"{file}: {len(left)} rows meet the conditions of none of the {len(group)} feeds of {table}; the first is row {left.min()}"
            )
    return warnings
