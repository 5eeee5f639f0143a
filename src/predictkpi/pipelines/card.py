"""The model card: what a version is for, what it learnt from, how good it was, for whom, and what it must not be used for.

After Mitchell et al. (2019), Model Cards for Model Reporting. It is made of figures alone that the training has at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.backtest.checks import CHAMPION
from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.pipelines.candidates import hyperparameters
from predictkpi.pipelines.trial import Trial
from predictkpi.protocol import BASELINE, MODEL, Predictor
from predictkpi.snapshot import Snapshot

_SHOWN = 12


class SegmentLine(BaseModel):
    """How the model did in one segment, against the candidate it was judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment: str
    n: int = Field(description="outcomes")
    improvement: float = Field(description="share of the other's loss that the model saved")
    low: float
    high: float
    against: str = Field(description="whose loss was saved: the champion's settings, or the baseline")


class ModelCard(BaseModel):
    """Everything a reader should know before relying on a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictor: str
    title: str
    candidate: str = Field(
        MODEL, description="whose figures, settings and limits these are: the model's, also where a baseline serves in its place"
    )
    purpose: str
    status: str = Field(description="rung of the ladder that serves")
    decision: str = Field(description="why this candidate serves, in one sentence")
    as_of: str = Field(description="nothing known at or after this instant was learnt")
    data_from: str | None = Field(description="day of the oldest order or deal event")
    rows: dict[str, int] = Field(description="versions of rows by table")
    cutoffs: list[str] = Field(description="past days at which the candidates learnt anew and were judged after")
    outcomes: int = Field(description="things that came true and were judged")
    exclusions: dict[str, int] = Field(description="predictions that were not judged, by reason")
    metrics: dict[str, dict[str, float]] = Field(description="candidate to metric to value, over all cutoffs")
    segments: list[SegmentLine]
    limits: list[str]
    fields_barred: dict[str, str] = Field(description="own fields that were not learnt from, and why")
    settings: dict[str, str]

    @classmethod
    def of(cls, model: Predictor, snapshot: Snapshot, trial: Trial, *, status: Status, reason: str, rows: Mapping[str, int]) -> Self:
        """The card of a training of ``model``, fitted where it could be."""
        result = trial.result
        unscored = result.unscored.groupby(c.REASON)[c.N].sum() if result else pd.Series(dtype=int)
        checks = trial.decision.checks if trial.decision else ()
        against = CHAMPION if result and CHAMPION in result.metrics else BASELINE
        return cls(
            predictor=model.spec.name,
            title=model.spec.title["en"],
            purpose=model.purpose,
            status=status.value,
            decision=reason,
            as_of=snapshot.as_of.isoformat(),
            data_from=_first_day(snapshot),
            rows=dict(rows),
            cutoffs=[f"{day:%Y-%m-%d}" for day in trial.cutoffs.dates],
            outcomes=result.n_outcomes if result else 0,
            exclusions={str(why): int(n) for why, n in unscored.items()},
            metrics={name: _known(values) for name, values in result.metrics.items()} if result else {},
            segments=[
                SegmentLine(
                    segment=check.name.removeprefix("segment: "), against=against, **{**check.figures, "n": int(check.figures["n"])}
                )
                for check in checks
                if check.name.startswith("segment: ")
            ],
            limits=[*model.limits, *_COMMON_LIMITS],
            fields_barred=_barred(model),
            settings={name: str(value) for name, value in hyperparameters(model).items()},
        )

    def markdown(self) -> str:
        """The card for people."""
        parts = [
            f"# {self.title}: model card",
            f"{self.purpose}\n\n**Decision of the gate:** {self.decision} What serves since then stands on the rung `{self.status}`.\n\n"
            "Figures, settings and limits below are the model's.",
            f"## Data\n\nKnown before {self.as_of}; facts from {self.data_from or 'no day yet'} on.\n\n"
            + _table(("table", "rows"), self.rows.items()),
            f"## How good it was\n\n{self.outcomes} outcomes after {', '.join(self.cutoffs) or 'no past cutoff'}.\n\n{self._metrics()}",
            "## By segment\n\n" + (self._segments() or "No segment had enough outcomes to be judged by itself."),
            "## Not judged\n\n" + (_table(("reason", "predictions"), self.exclusions.items()) or "Nothing was left out."),
            "## Limits\n\n" + "\n".join(f"- {limit}" for limit in self.limits),
            "## Fields not learnt from\n\n" + (_table(("field", "why"), self.fields_barred.items()) or "None."),
            "## Settings\n\n" + _table(("setting", "value"), self.settings.items()),
        ]
        return "\n\n".join(parts) + "\n"

    def _metrics(self) -> str:
        names = [name for name in self.metrics.get(MODEL, {}) if "_h" not in name][:_SHOWN]
        candidates = [MODEL, BASELINE, *(name for name in self.metrics if name not in (MODEL, BASELINE))] if self.metrics else []
        rows = [
            (name, *(f"{self.metrics[each][name]:,.4g}" if name in self.metrics[each] else "" for each in candidates)) for name in names
        ]
        return _table(("metric", *candidates), rows)

    def _segments(self) -> str:
        heads = ("segment", "outcomes", f"share of the {self.segments[0].against}'s loss saved" if self.segments else "")
        return _table(
            heads, [(line.segment, line.n, f"{line.improvement:+.1%} [{line.low:+.1%}, {line.high:+.1%}]") for line in self.segments]
        )


_COMMON_LIMITS = (
    "It knows what the company's books knew: a new product, market or way of selling shows only after it has left traces there.",
    "It says what is to be expected, not what would happen if somebody acted otherwise.",
)


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if pd.notna(value)}


def _barred(model: Predictor) -> dict[str, str]:
    """None of a model that has not learnt: learned state ends in an underscore."""
    return model.fields_barred() if any(name.endswith("_") for name in vars(model)) else {}


def _first_day(snapshot: Snapshot) -> str | None:
    days = [day for day in (snapshot.orders[c.DS].min(), snapshot.deal_events[c.DS].min()) if pd.notna(day)]
    return f"{min(days):%Y-%m-%d}" if days else None


def _table(heads: tuple[str, ...], rows: object) -> str:
    lines = ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in list(rows)]  # type: ignore[call-overload]
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *lines]) if lines else ""
