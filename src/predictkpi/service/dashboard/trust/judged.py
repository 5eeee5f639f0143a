"""How a predictor's forecasts have held up, from its scoreboard: in a sentence, in numbers, and beside those who could have spoken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from predictkpi.backtest.board import Board
from predictkpi.backtest.run import CANDIDATE
from predictkpi.backtest.scoreboard import ALL, CAME_TRUE, PROMISED
from predictkpi.core import columns as c
from predictkpi.core.types import Role, Spec
from predictkpi.predictors import predictor_class
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import calibration_chart
from predictkpi.service.dashboard.languages import current, marked, ngettext, sentence
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.rivals import Saving, one_sentence, rival_title, saving, saving_in_words
from predictkpi.service.view import View

ROLES = {
    Role.CHAMPION: marked("what everybody was shown"),
    Role.SERVED: marked("what was asked for, one by one"),
    Role.SHADOW: marked("the challenger, unseen"),
}


@dataclass(frozen=True)
class Figure:
    """One measure over all lead times; ``note`` says what it means, or what it should be."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Rival:
    """One who could have spoken instead, on ``judged`` pairs that both spoke of."""

    title: str
    judged: str
    saving: Saving


@dataclass(frozen=True)
class LeadTime:
    """One lead time."""

    ahead: str
    judged: str
    error: str
    bias: str
    held: str
    saved: str


@dataclass(frozen=True)
class Calibration:
    """Promised against came true: the chart, the same in words, and as rows."""

    chart: dict[str, Any]
    description: str
    rows: list[tuple[str, str, str]]
    what: str


@dataclass(frozen=True)
class Judged:
    """One version in one role, on all that has come true of what it said."""

    version: str
    role: str
    is_champion: bool
    verdict: str
    basis: str
    figures: list[Figure]
    rivals: list[Rival]
    lead_times: list[LeadTime]
    calibration: Calibration | None


def judged_of(view: View, name: str) -> list[Judged]:
    """Of a predictor of a view, worked out once for each language; none where nothing was judged."""
    board = view.boards.get(name)
    if board is None:
        return []
    spec = predictor_class(name).spec
    kept = view.page(f"judged {name} {current().code}", lambda view: judged(board, spec, currency=view.company.currency))
    return cast(list[Judged], kept)


def judged(board: Board, spec: Spec, *, currency: str) -> list[Judged]:
    """Of each role the newest version that could be judged, the champion first."""
    whole = board.figures[board.figures[c.HORIZON] == ALL]
    own = whole[whole[CANDIDATE] == MODEL].sort_values("until", kind="stable").drop_duplicates(c.ROLE, keep="last")
    newest = sorted(zip(own[c.ROLE], own[c.MODEL_VERSION], strict=True), key=lambda pair: list(Role).index(Role(pair[0])))
    return [_Told(board, spec, str(role), str(version), currency).judged() for role, version in newest]


def waiting(board: Board, spec: Spec) -> list[str]:
    """What is not judged yet, and when it will be: one sentence a reason, over all versions."""
    found = []
    for reason, rows in board.pending.groupby(c.REASON, sort=False):
        count, due = int(rows[c.N].sum()), rows["due"].min()
        text = ngettext("{count} prediction is not judged: {reason}", "{count} predictions are not judged: {reason}", count)
        text = text.format(count=f.number(count), reason=sentence(str(reason)))
        found.append(text + (_("; the first will be on {date}").format(date=f.date(due)) if pd.notna(due) else "") + ".")
    return found


def ahead(horizon: int, spec: Spec) -> str:
    """A lead time in words."""
    if spec.time_unit == "day":
        return f.days(horizon)
    return ngettext("{count} month", "{count} months", horizon).format(count=f.number(horizon))


def held_in_words(share: float, *, of_dates: bool) -> str:
    """How often the 80 % range held, as a part of a sentence; empty where that is not known."""
    if not f.is_number(share):
        return ""
    text = (
        _("of the deals that were won, {tenths} of 10 closed within the 80 % range of their date")
        if of_dates
        else _("{tenths} of 10 outcomes fell into the 80 % range")
    )
    return text.format(tenths=f.number(share * 10))


class _Told:
    """One version in one role, written out."""

    def __init__(self, board: Board, spec: Spec, role: str, version: str, currency: str) -> None:
        def mine(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame[c.ROLE] == role) & (frame[c.MODEL_VERSION] == version)]

        self.spec, self.role, self.version, self.currency = spec, Role(role), version, currency
        self.figures, self.points = mine(board.figures), mine(board.calibration)
        self.whole = self.figures[self.figures[c.HORIZON] == ALL].set_index(CANDIDATE)
        self.own = self.whole.loc[MODEL]
        self.is_of_dates = spec.score == "cumulative_incidence"

    def judged(self) -> Judged:
        own = self.own
        basis = _("{judged} predictions, made from {since} to {until} (days that are judged: {days})").format(
            judged=f.number(own[c.N]), days=f.number(own["days"]), since=f.date(own["since"]), until=f.date(own["until"])
        )
        return Judged(
            version=self.version,
            role=_(ROLES[self.role]),
            is_champion=self.role is Role.CHAMPION,
            verdict=self.verdict(),
            basis=basis,
            figures=self.measures(),
            rivals=self.rivals(),
            lead_times=self.lead_times(),
            calibration=self.calibration(),
        )

    def verdict(self) -> str:
        rivals = [saving_in_words(*self.saved(name), rival=name) for name in self.whole.index if name != MODEL]
        return one_sentence([held_in_words(float(self.own["coverage80"]), of_dates=self.is_of_dates), ", ".join(filter(None, rivals))])

    def saved(self, rival: str) -> tuple[float, float, float]:
        saved, low, high = (float(value) for value in self.whole.loc[rival, ["saved", "saved_low", "saved_high"]])
        return saved, low, high

    def measures(self) -> list[Figure]:
        own, floor = self.own, self.own["calibration_floor"]
        error = _("Date off by, median") if self.is_of_dates else _("Error")
        meaning = _("among deals that were won") if self.is_of_dates else _("sum of errors over what came true")
        chance = (
            _("0 is perfect; {floor} by chance alone").format(floor=f.percent(floor, digits=1)) if f.is_number(floor) else _("0 is perfect")
        )
        return [
            Figure(error, self.error(own["error"]), meaning),
            Figure(_("Total off by"), f.signed_percent(own["bias"]), _("predicted total over what came true")),
            Figure(_("Within the 80 % range"), f.percent(own["coverage80"]), _("should be about {share}").format(share=f.percent(0.8))),
            *(
                [
                    Figure(
                        _("Within the 95 % range"), f.percent(own["coverage95"]), _("should be about {share}").format(share=f.percent(0.95))
                    )
                ]
                if f.is_number(own["coverage95"])
                else []
            ),
            Figure(_("Promises off by"), f.percent(own["calibration"], digits=1), chance),
        ]

    def error(self, value: float) -> str:
        return f.days(value) if self.is_of_dates else f.percent(value)

    def rivals(self) -> list[Rival]:
        names = [name for name in self.whole.index if name != MODEL]
        ends = [abs(end) for name in names for end in self.saved(name) if f.is_number(end)]
        span = max([*ends, 0.1])
        return [Rival(rival_title(name), f.number(self.whole.loc[name, c.N]), saving(*self.saved(name), span=span)) for name in names]

    def lead_times(self) -> list[LeadTime]:
        by_horizon = self.figures[self.figures[c.HORIZON] != ALL].set_index([CANDIDATE, c.HORIZON])
        candidates = by_horizon.index.get_level_values(CANDIDATE)
        own = by_horizon.loc[MODEL] if MODEL in candidates else by_horizon.iloc[:0]
        saved = by_horizon.loc[BASELINE]["saved"] if BASELINE in candidates else pd.Series(dtype=float)
        return [
            LeadTime(
                ahead=ahead(int(horizon), self.spec),
                judged=f.number(row[c.N]),
                error=self.error(row["error"]),
                bias=f.signed_percent(row["bias"]),
                held=f.percent(row["coverage80"]),
                saved=f.signed_percent(saved.get(horizon)),
            )
            for horizon, row in own.sort_index().iterrows()
        ]

    def calibration(self) -> Calibration | None:
        if self.points.empty:
            return None
        points = [(float(p), float(t), int(n)) for p, t, n in self.points[[PROMISED, CAME_TRUE, c.N]].itertuples(index=False)]
        what = {
            "cumulative_incidence": _("the chance to win, in groups of like chances, against the share that was won"),
            "quantiles": _("each level, against the share of outcomes that were at or below it"),
            "mean": _("customers in tenths by predicted value, against the mean of what they brought"),
        }[self.spec.score]
        is_share = self.spec.score != "mean"

        def write(value: float) -> str:
            return f.percent(value, digits=1) if is_share else f.money(value, self.currency)

        told = [_("{promised} promised, {came} came true").format(promised=write(p), came=write(t)) for p, t, _n in points]
        description = _("Promised against came true: {points}").format(points="; ".join(told))
        chart = calibration_chart(points, is_share=is_share, description=description)
        return Calibration(chart, description, [(write(p), write(t), f.number(n)) for p, t, n in points], what)
