"""How far the predictions have held, in one line: of each served predictor what has come true of its newest version so far."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from predictkpi.backtest.board import Board
from predictkpi.backtest.run import CANDIDATE
from predictkpi.backtest.scoreboard import ALL
from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.predictors import predictor_class
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.kpi_words import Tone
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, ngettext
from predictkpi.service.view import View


@dataclass(frozen=True)
class Held:
    """One predictor: how much of what came true lay in its 80 % range, and the loss it saved against its baseline."""

    title: str
    held: str
    judged: str
    saved: str
    tone: Tone


@dataclass(frozen=True)
class Trusted:
    """The line. ``waiting`` says how many predictions are not judged yet; empty where none waits."""

    items: list[Held]
    as_of: str
    waiting: str


def trusted(view: View) -> Trusted | None:
    """None before `predictkpi scoreboard` has run or where nothing was predicted."""
    boards = [board for board in view.boards.values() if len(board.figures) or len(board.pending)]
    if not boards:
        return None
    return Trusted([held for board in boards for held in _held(board)], f.date(boards[0].as_of), _waiting(boards))


def _held(board: Board) -> list[Held]:
    """The newest version that was judged as champion."""
    figures = board.figures
    whole = figures[(figures[c.HORIZON] == ALL) & (figures[c.ROLE] == Role.CHAMPION.value)]
    own = whole[whole[CANDIDATE] == MODEL].sort_values("until", kind="stable")
    if own.empty:
        return []
    newest = own.iloc[-1]
    rival = whole[(whole[CANDIDATE] == BASELINE) & (whole[c.MODEL_VERSION] == newest[c.MODEL_VERSION])]
    return [
        Held(
            title=in_words(predictor_class(board.predictor).spec.title),
            held=f.percent(newest["coverage80"]),
            judged=_("{count} judged").format(count=f.number(newest[c.N])),
            saved=f.signed_percent(rival["saved"].iloc[0]) if len(rival) else "",
            tone=_tone(rival),
        )
    ]


def _tone(rival: pd.DataFrame) -> Tone:
    """Only where the 95 % range of what was saved leaves zero on one side."""
    if rival.empty or pd.isna(rival["saved_low"].iloc[0]):
        return "plain"
    return "good" if rival["saved_low"].iloc[0] > 0 else "bad" if rival["saved_high"].iloc[0] < 0 else "plain"


def _waiting(boards: list[Board]) -> str:
    waits = pd.concat([board.pending for board in boards], ignore_index=True)
    coming = waits[waits["due"].notna()]
    if coming.empty:
        return ""
    count = int(coming[c.N].sum())
    text = ngettext(
        "{count} prediction waits for its outcome; the next is due on {date}.",
        "{count} predictions wait for their outcome; the next are due on {date}.",
        count,
    )
    return text.format(count=f.number(count), date=f.date(coming["due"].min()))
