"""All figures as one page, an SVG without script: ours beside the peer's as bars, shares and coverage as dots beside the goal."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from itertools import groupby
from xml.sax.saxutils import escape

from figures.figure import PROMISED, Figure, Record

COLUMN, MARGIN, TOP = 745, 28, 84
LABEL, PLOT, PLOT_WIDTH = 14, 318, 150
TEXT = PLOT + PLOT_WIDTH + 12
BAR, LINE, ROOM = 6, 13, 6
CHARACTERS, OF_PEER = 50, 42
STYLE = """
svg { background: #fff; font: 11px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
text { fill: #1d2530; } .quiet { fill: #5b6675; } .strong { font-weight: 600; } .title { font-size: 22px; font-weight: 600; }
.area { font-size: 16px; font-weight: 600; } .missed { fill: #a3341f; } .ours { fill: #2456a6; } .peer { fill: #a9b3c0; }
.goal { fill: #cdebd8; } .edge { stroke: #2f8d4f; stroke-width: 2; } .axis { stroke: #c9d0d9; } .zero { stroke: #5b6675; }
.limits { stroke: #2456a6; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
svg { background: #14181d; } text { fill: #e6eaf0; } .quiet { fill: #a3adba; } .missed { fill: #f08c78; }
.ours { fill: #7aa8f0; } .peer { fill: #5b6675; } .goal { fill: #1f4a30; } .edge { stroke: #6fc492; } .axis { stroke: #3a434f; }
.zero { stroke: #a3adba; } .limits { stroke: #7aa8f0; }
}
"""


@dataclass
class Drawing:
    """A part of the page: what was drawn so far, and how far down."""

    parts: list[str] = field(default_factory=list)
    y: float = 0.0

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        shown = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{shown}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self.parts.append(f'<rect x="{x:.1f}" y="{y:g}" width="{max(width, 1):.1f}" height="{height:g}" class="{kind}"/>')

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        (x1, y1), (x2, y2) = start, end
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}" class="{kind}"/>')

    def dot(self, x: float, y: float, kind: str) -> None:
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:g}" r="4" class="{kind}"/>')


def svg(records: list[Record]) -> str:
    """The page, in two columns. A figure that stands beside nothing, no peer and no goal, is in the table alone."""
    shown = [record.figure for record in records if record.figure.peer_name or record.figure.goal]
    areas = [_area(name, list(figures)) for name, figures in groupby(shown, key=lambda figure: figure.area)]
    parts, heights = [], [0.0, 0.0]
    for column, of_column in enumerate(_columns(areas)):
        for each in of_column:
            place = f"translate({MARGIN + column * (COLUMN + MARGIN):g} {TOP + heights[column]:g})"
            parts += [f'<g transform="{place}">', *each.parts, "</g>"]
            heights[column] += each.y
    width, height = 2 * COLUMN + 3 * MARGIN, TOP + max(heights) + MARGIN
    head = Drawing()
    head.text(MARGIN, 44, "How predictkpi does beside its peers", "title")
    told = "Blue: ours. Grey: the peer's, or where it stands. Green: the goal, set before measuring. Red: a goal that was missed."
    head.text(MARGIN, 64, told, "quiet")
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}" role="img">'
    title = "<title>Figures of the benchmarks: ours beside peers and goals</title>"
    return "\n".join([opening, title, f"<style>{STYLE}</style>", *head.parts, *parts, "</svg>"]) + "\n"


def _columns(areas: list[Drawing]) -> tuple[list[Drawing], list[Drawing]]:
    """Areas in their order, parted where the longer of the two columns is shortest."""
    cuts = range(len(areas) + 1)
    best = min(cuts, key=lambda cut: max(sum(each.y for each in areas[:cut]), sum(each.y for each in areas[cut:])))
    return areas[:best], areas[best:]


def _area(name: str, figures: list[Figure]) -> Drawing:
    """Figures of one subject stand together under its name, those of a subject of their own under theirs alone."""
    drawing = Drawing(y=18)
    drawing.text(0, drawing.y, name, "area")
    drawing.line((0, drawing.y + 8), (COLUMN, drawing.y + 8), "axis")
    drawing.y += 16
    subjects: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        subjects.setdefault((_subject(figure), figure.unit), []).append(figure)
    for (subject, _), of_subject in subjects.items():
        heading = subject if len(of_subject) > 1 else ""
        if heading:
            drawing.text(0, drawing.y + LINE, heading, "strong")
            drawing.y += LINE + 4
        for figure in of_subject:
            _row(drawing, figure, heading, None if all(_suits_bars(each) for each in of_subject) else _domain(of_subject))
    drawing.y += 18
    return drawing


def _subject(figure: Figure) -> str:
    return re.split(r", |: ", figure.what, maxsplit=1)[0]


def _suits_bars(figure: Figure) -> bool:
    two_sided = figure.goal is not None and figure.goal.most is not None and figure.goal.least is not None
    return figure.peer is not None and figure.peer_name != PROMISED and not two_sided and min(figure.ours, figure.peer) >= 0


def _row(drawing: Drawing, figure: Figure, heading: str, domain: tuple[float, float] | None) -> None:
    """One figure: what it is of, its picture, its numbers; bars without a ``domain``."""
    lines = textwrap.wrap(figure.what[len(heading) :].lstrip(",: "), CHARACTERS)
    top = drawing.y + ROOM / 2
    for number, line in enumerate(lines):
        drawing.text(LABEL, top + (number + 1) * LINE - 3, line)
    # What an interval promised stands in its name already.
    beside = "" if figure.peer_name == PROMISED else figure.peer_shown
    said = [(figure.ours_shown, "strong"), *((line, "quiet") for line in textwrap.wrap(beside, OF_PEER))]
    said += [(f"goal {figure.goal_shown}: missed", "missed")] if figure.is_reached is False else []
    for number, (line, kind) in enumerate(said):
        drawing.text(TEXT, top + (number + 1) * LINE - 3, line, kind)
    if domain is None:
        _bars(drawing, figure, top + 4)
    else:
        _dots(drawing, figure, top + 4, *domain)
    drawing.y = top + max(len(lines), len(said)) * LINE + ROOM


def _bars(drawing: Drawing, figure: Figure, top: float) -> None:
    """Ours above the peer's, to a scale of their own that begins at 0; a goal is a green edge."""
    assert figure.peer is not None
    bound = _bound_of_ours(figure)
    most = max(figure.ours, figure.peer, bound or 0.0) or 1.0
    drawing.box(PLOT, top, PLOT_WIDTH * figure.ours / most, BAR, "ours")
    drawing.box(PLOT, top + BAR + 2, PLOT_WIDTH * figure.peer / most, BAR, "peer")
    if bound is not None:
        x = PLOT + PLOT_WIDTH * bound / most
        drawing.line((x, top - 3), (x, top + BAR + 3), "edge")


def _bound_of_ours(figure: Figure) -> float | None:
    """A goal stated as a ratio is one for ours, too, once the peer's number is known."""
    if figure.goal is None:
        return None
    bound = figure.goal.most if figure.goal.most is not None else figure.goal.least
    return bound * figure.peer if bound is not None and figure.goal.of == "ratio" and figure.peer is not None else bound


def _dots(drawing: Drawing, figure: Figure, top: float, low: float, high: float) -> None:
    """On the scale of its subject: the goal's side green, the peer's number (or 0) a line, limits a bar through the dot."""
    middle = top + BAR

    def at(value: float) -> float:
        return PLOT + PLOT_WIDTH * (value - low) / (high - low)

    if figure.goal is not None and figure.goal.of == "ours":
        first = at(low if figure.goal.least is None else figure.goal.least)
        last = at(high if figure.goal.most is None else figure.goal.most)
        drawing.box(first, top - 2, last - first, 2 * BAR + 4, "goal")
    drawing.line((PLOT, middle), (PLOT + PLOT_WIDTH, middle), "axis")
    against = figure.peer if figure.peer is not None else 0.0
    if low <= against <= high:
        drawing.line((at(against), top - 2), (at(against), top + 2 * BAR + 2), "zero")
    if figure.limits is not None:
        drawing.line((at(figure.limits[0]), middle), (at(figure.limits[1]), middle), "limits")
    drawing.dot(at(figure.ours), middle, "ours")


def _domain(figures: list[Figure]) -> tuple[float, float]:
    """One scale for all dots of a subject, with room at its ends; it holds 0 where nothing else is there to hold ours against."""
    values = [0.0] if any(figure.peer is None for figure in figures) else []
    for figure in figures:
        bounds = (figure.goal.most, figure.goal.least) if figure.goal is not None and figure.goal.of == "ours" else ()
        values += [each for each in (figure.ours, figure.peer, *(figure.limits or ()), *bounds) if each is not None]
    room = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - room, max(values) + room
