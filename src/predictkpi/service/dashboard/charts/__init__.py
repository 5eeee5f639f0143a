"""Charts: Vega-Lite documents as plain dicts, and small pictures as SVG. Pure; colours come from the page's theme (see `THEMES`)."""

from __future__ import annotations

from predictkpi.service.dashboard.charts.calibration import calibration_chart
from predictkpi.service.dashboard.charts.course import Writing, course_chart
from predictkpi.service.dashboard.charts.cutoffs import cutoffs_chart
from predictkpi.service.dashboard.charts.fan import fan_chart
from predictkpi.service.dashboard.charts.parts import parts_chart
from predictkpi.service.dashboard.charts.series import series_chart
from predictkpi.service.dashboard.charts.small import interval_bar, sparkline
from predictkpi.service.dashboard.charts.themes import THEMES, finite, local, money_axis, records, vega_lite
from predictkpi.service.dashboard.charts.waterfall import waterfall

__all__ = [
    "THEMES",
    "Writing",
    "calibration_chart",
    "course_chart",
    "cutoffs_chart",
    "fan_chart",
    "finite",
    "interval_bar",
    "local",
    "money_axis",
    "parts_chart",
    "records",
    "series_chart",
    "sparkline",
    "vega_lite",
    "waterfall",
]
