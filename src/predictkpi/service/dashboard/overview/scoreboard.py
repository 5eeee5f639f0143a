"""The scoreboard's card: of each predictor the newest version in each role, on all that could be judged of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from predictkpi.backtest.board import Board
from predictkpi.backtest.run import CANDIDATE
from predictkpi.backtest.scoreboard import ALL
from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.predictors import predictor_class
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.registry import CHAMPION
from predictkpi.service.dashboard import formats as f
from predictkpi.service.view import View

CRM = ("weighted_pipeline", "rep_date")
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Against:
    """Loss saved against one who could have spoken instead, with its 95 % range; ``tone`` where that range leaves zero on one side."""

    saved: str
    within: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class ScoreRow:
    """One version in one role."""

    title: str
    version: str
    role: str
    judged: str
    since: str
    bias: str
    held: str
    baseline: Against
    crm: Against
    champion: Against


@dataclass(frozen=True)
class Scores:
    """The card. ``waiting`` says how many predictions are not judged yet and when the next will be; empty where none waits."""

    rows: list[ScoreRow]
    as_of: str
    waiting: str
    has_shadow: bool


def scores(view: View) -> Scores | None:
    """The card's content; None before `predictkpi scoreboard` has run or where nothing was predicted."""
    boards = [board for board in view.boards.values() if len(board.figures) or len(board.pending)]
    if not boards:
        return None
    rows = [row for board in boards for row in _rows(board)]
    return Scores(rows, f.date(boards[0].as_of), _waiting(boards), any(row.role == Role.SHADOW for row in rows))


def _rows(board: Board) -> list[ScoreRow]:
    whole = board.figures[board.figures[c.HORIZON] == ALL]
    own = whole[whole[CANDIDATE] == MODEL].sort_values("until", kind="stable")
    newest = own.drop_duplicates(c.ROLE, keep="last").sort_values(c.ROLE)
    return [_row(board, str(role), str(version), whole) for role, version in zip(newest[c.ROLE], newest[c.MODEL_VERSION], strict=True)]


def _row(board: Board, role: str, version: str, whole: pd.DataFrame) -> ScoreRow:
    of_this = whole[(whole[c.ROLE] == role) & (whole[c.MODEL_VERSION] == version)].set_index(CANDIDATE)
    figures = of_this.loc[MODEL]
    return ScoreRow(
        title=predictor_class(board.predictor).spec.title["en"],
        version=version,
        role=role,
        judged=f"{int(figures[c.N]):,}",
        since=f.date(figures["since"]),
        bias=f.signed_percent(figures["bias"]),
        held=f.percent(figures["coverage80"]),
        baseline=_against(of_this, BASELINE),
        crm=next((_against(of_this, name) for name in CRM if name in of_this.index), Against(f.MISSING)),
        champion=_against(of_this, CHAMPION),
    )


def _against(of_this: pd.DataFrame, name: str) -> Against:
    if name not in of_this.index:
        return Against(f.MISSING)
    saved, low, high = of_this.loc[name, ["saved", "saved_low", "saved_high"]]
    if pd.isna(low):
        return Against(f.signed_percent(saved))
    tone: Tone = "good" if low > 0 else "bad" if high < 0 else "plain"
    return Against(f.signed_percent(saved), f"{f.signed_percent(low)} to {f.signed_percent(high)}", tone)


def _waiting(boards: list[Board]) -> str:
    waits = pd.concat([board.pending for board in boards], ignore_index=True)
    coming = waits[waits["due"].notna()]
    if not len(coming):
        return ""
    return f"{int(coming[c.N].sum()):,} predictions wait for their outcome; the next come due on {f.date(coming['due'].min())}."
