"""A scoreboard as it is kept, sent and shown: figures by version, role, rival and horizon, and what waits to be judged. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from predictkpi.backtest.judged import PENDING
from predictkpi.backtest.scoreboard import FIGURES, POINTS
from predictkpi.core import columns as c

FIGURE_COLUMNS = [c.ROLE, c.MODEL_VERSION, *FIGURES]
PENDING_COLUMNS = [c.ROLE, c.MODEL_VERSION, *PENDING]
CALIBRATION_COLUMNS = [c.ROLE, c.MODEL_VERSION, *POINTS]
_INSTANTS = ("since", "until", "due")
_NUMBERS = ({*FIGURES[2:]} - {*_INSTANTS}) | {*POINTS}


@dataclass(frozen=True)
class Board:
    """One predictor's: ``figures`` (`FIGURE_COLUMNS`) of what came true by ``as_of``, ``pending`` (`PENDING_COLUMNS`) of what did not.

    ``notes`` say what was left out on the whole, one sentence each; ``calibration`` (`CALIBRATION_COLUMNS`) is promised against came true.
    """

    predictor: str
    as_of: pd.Timestamp
    made_at: pd.Timestamp
    figures: pd.DataFrame
    pending: pd.DataFrame
    notes: tuple[str, ...] = ()
    calibration: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CALIBRATION_COLUMNS))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: instants as ISO 8601, missing numbers as null."""
        return {
            "predictor": self.predictor,
            "as_of": self.as_of.isoformat(),
            "made_at": self.made_at.isoformat(),
            "notes": list(self.notes),
            "figures": _plain(self.figures),
            "pending": _plain(self.pending),
            "calibration": _plain(self.calibration),
        }

    def text(self) -> str:
        """As the store keeps it."""
        return json.dumps(self.as_dict(), allow_nan=False)

    @classmethod
    def of(cls, text: str) -> Board:
        """Inverse of `text`."""
        held = json.loads(text)
        figures, pending = pd.DataFrame(held["figures"], columns=FIGURE_COLUMNS), pd.DataFrame(held["pending"], columns=PENDING_COLUMNS)
        # a board that was kept before there was this part has none
        calibration = pd.DataFrame(held.get("calibration", []), columns=CALIBRATION_COLUMNS)
        as_of, made_at = (pd.Timestamp(held[name]) for name in ("as_of", "made_at"))
        return cls(held["predictor"], as_of, made_at, _typed(figures), _typed(pending), tuple(held["notes"]), _typed(calibration))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    instants = {name: pd.to_datetime(frame[name]).astype("datetime64[us]") for name in _INSTANTS if name in frame}
    numbers = {name: pd.to_numeric(frame[name]) for name in frame if name in _NUMBERS}
    return frame.assign(**instants, **numbers)


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    instants = {name: [None if pd.isna(at) else at.isoformat() for at in frame[name]] for name in _INSTANTS if name in frame}
    plain = frame.assign(**{name: pd.Series(values, index=frame.index, dtype=object) for name, values in instants.items()})
    records: list[dict[str, Any]] = plain.astype(object).where(plain.notna(), None).to_dict("records")
    return records
