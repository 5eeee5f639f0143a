"""The page's view as files: its numbers as CSV, its charts as one picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import vl_convert

from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import THEMES, course_chart
from predictkpi.service.dashboard.forecast.context import changed_by, chosen_scopes, describe, drawn
from predictkpi.service.dashboard.forecast.courses import Course
from predictkpi.service.dashboard.forecast.question import Question
from predictkpi.service.dashboard.forecast.wording import measure_title, scope_title, writing_of
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.vega_locale import vega_locale
from predictkpi.service.past_forecasts import past_forecasts
from predictkpi.service.registry_memory import RegistryMemory
from predictkpi.service.view import View
from predictkpi.store import Store

SCALE = 2
"""Pixels of the picture for one of the page: sharp when printed."""
_MARGIN, _HEAD = 16, 64


@dataclass(frozen=True)
class Size:
    """A picture's size in pixels."""

    width: int
    height: int


def courses_of(view: View, store: Store, memory: RegistryMemory, question: Question) -> list[Course]:
    """What the page draws for a question; raises what keeps revenue from being served."""
    chosen = chosen_scopes(view, question)
    past = past_forecasts(store, memory, view, chosen.subject)
    return drawn(view, question, chosen, changed=changed_by(view, question), past=past)


def as_csv(view: View, question: Question, courses: Sequence[Course]) -> str:
    """One line a scope and period, as on the charts; a missing number is empty, and shares are shares: .05 is 5 %."""
    unit = view.company.currency if question.is_level else "share"
    said = {"measure": question.measure, "unit": unit, "freq": question.freq}
    rows = pd.concat([one.rows.assign(scope=one.scope, **said) for one in courses], ignore_index=True)
    first = ["scope", *said, "ds"]
    rows = rows[[*first, *[name for name in rows if name not in first]]]
    return rows.assign(ds=rows["ds"].dt.strftime("%Y-%m-%d")).to_csv(index=False, lineterminator="\r\n")


def as_png(view: View, question: Question, courses: Sequence[Course], size: Size) -> bytes:
    """The charts on white, side by side where there are several, of exactly that size; texts and numbers in the language of the context."""
    width, height = size.width / SCALE, size.height / SCALE
    columns = math.ceil(math.sqrt(len(courses)))
    rows = math.ceil(len(courses) / columns)
    cell_width, cell_height = (width - _MARGIN) / columns, (height - _HEAD - _MARGIN) / rows
    pictures = []
    for place, one in enumerate(courses):
        x, y = _MARGIN + place % columns * cell_width, _HEAD + place // columns * cell_height
        pictures.append(_placed(_svg(view, question, one, cell_width - _MARGIN, cell_height, is_alone=len(courses) == 1), x, y, place))
    head = _head(view, question, courses)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{head}{"".join(pictures)}</svg>'
    )
    return bytes(vl_convert.svg_to_png(text, scale=SCALE))


def _svg(view: View, question: Question, one: Course, width: float, height: float, *, is_alone: bool) -> str:
    chart: dict[str, Any] = course_chart(
        one.rows, writing_of(view, question), description=describe(view, question, one), is_small=not is_alone
    )
    chart |= {"width": width, "height": height}
    if not is_alone:
        chart["title"] = {"text": scope_title(one.scope), "anchor": "start", "fontSize": 12}
    locale = vega_locale()
    return str(
        vl_convert.vegalite_to_svg(
            chart, config=THEMES["light"], format_locale=locale["number"], time_format_locale=locale["time"], allowed_base_urls=[]
        )
    )


def _placed(svg: str, x: float, y: float, place: int) -> str:
    """A picture at its place in another, with names of its own."""
    svg = re.sub(r'(id="|url\(#)', rf"\g<1>p{place}-", svg)
    return svg.replace("<svg ", f'<svg x="{x:.1f}" y="{y:.1f}" ', 1)


def _head(view: View, question: Question, courses: Sequence[Course]) -> str:
    """Company, what is shown, and as of when."""
    whose = scope_title(courses[0].scope) if len(courses) == 1 else ""
    title = " · ".join(filter(None, (view.company.name, whose, measure_title(question))))
    signs = _signs(question, courses)
    below = " ".join([_("As of {as_of}.").format(as_of=f.date(view.as_of)), f"{'; '.join(signs)}."])
    font = "Helvetica, Arial, sans-serif"
    return (
        f'<text x="{_MARGIN}" y="28" font-family="{font}" font-size="17" font-weight="600" fill="#101828">{_escaped(title)}</text>'
        f'<text x="{_MARGIN}" y="48" font-family="{font}" font-size="12" fill="#5d6b82">{_escaped(below)}</text>'
    )


def _signs(question: Question, courses: Sequence[Course]) -> list[str]:
    """What the lines and marks on the charts are."""
    told = [_("Line: actual"), _("dashed: expected")]
    told.append(_("shaded: 80 % and 95 % range") if question.is_level else _("shaded: 80 % range"))
    marks = {"scenario": _("orange: with the scenario"), "target": _("strokes: target"), "said": _("circles: past forecast")}
    return told + [words for name, words in marks.items() if any(one.rows[name].notna().any() for one in courses)]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
