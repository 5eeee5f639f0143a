"""The series of a KPI as CSV: every complete period of the total, one member or all members of a dimension."""

from __future__ import annotations

from predictkpi.core import columns as c
from predictkpi.kpis.attainment import Bands
from predictkpi.service.dashboard.kpi_words import promises
from predictkpi.service.dashboard.kpis.asked import Asked
from predictkpi.service.view import View

COLUMNS = ["kpi", "period", "starts_on", "scope", "value", "low", "high", "n", "status", "target"]
_FORMULA = ("=", "+", "-", "@")


def csv_of(view: View, asked: Asked, bands: Bands) -> str:
    """Numbers in the KPI's unit with a decimal point, whatever the reader's language: `COLUMNS`."""
    series = view.kpi_series(asked.kpi.name, freq=asked.freq, by=asked.by)
    if asked.scope != c.TOTAL:
        series = series[series[c.MEMBER] == asked.member]
    scope = series[c.MEMBER] if asked.by is None else f"{asked.by}=" + series[c.MEMBER]
    promised = promises(view, asked.kpi, asked.freq, bands)[[c.SCOPE, c.DS, "target"]]
    rows = series.assign(**{c.SCOPE: scope, "period": asked.freq}).merge(promised, on=[c.SCOPE, c.DS], how="left")
    rows = rows.assign(starts_on=rows[c.DS].dt.strftime("%Y-%m-%d"), scope=rows[c.SCOPE].map(_plain))
    return rows[COLUMNS].to_csv(index=False, lineterminator="\r\n")


def file_name(asked: Asked) -> str:
    """Says what is in it; of letters, digits and signs that every system takes."""
    parts = [asked.kpi.name, asked.freq, asked.by or c.TOTAL]
    return f"{'-'.join(parts)}.csv"


def _plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
