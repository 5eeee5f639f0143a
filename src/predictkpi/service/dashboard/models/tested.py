"""One version in full: the gate's decision, its backtest cutoff by cutoff, its promises, its model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.backtest.run import CANDIDATE
from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.protocol import BASELINE, MODEL
from predictkpi.registry import CHAMPION
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import cutoffs_chart
from predictkpi.service.dashboard.gates import Backtest, CheckRow, backtest, checks
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.dashboard.rivals import rival_title
from predictkpi.service.dashboard.trust.data import table_title
from predictkpi.service.version_records import VersionRecord

LOSSES = {
    "quantiles": ("crps_scaled", marked("CRPS over the usual change of the series")),
    "mean": ("tweedie_deviance", marked("Tweedie deviance")),
    "cumulative_incidence": ("brier_won", marked("Brier score of the chance to win")),
}
SHOWN = (MODEL, BASELINE, CHAMPION)
DIGITS = 4


@dataclass(frozen=True)
class Cutoffs:
    """The loss at each past cutoff: chart, the same in words, and as a table of a column a candidate."""

    measure: str
    chart: dict[str, Any]
    description: str
    candidates: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Card:
    """The model card in parts; what stands in lists comes from below."""

    purpose: str
    data: str
    rows: list[tuple[str, str]]
    limits: list[str]
    barred: list[tuple[str, str]]
    exclusions: list[tuple[str, str]]
    settings: list[tuple[str, str]]


@dataclass(frozen=True)
class Tested:
    """What a training has left behind of a version."""

    decision: str
    is_passed: bool
    checks: list[CheckRow]
    backtest: Backtest | None
    cutoffs: Cutoffs | None
    pictures: list[tuple[str, str]]
    card: Card | None


_PICTURES = {
    "loss_by_horizon.png": marked("Loss by lead time"),
    "fan.png": marked("Forecast at each cutoff, and what came true"),
    "deciles.png": marked("Predicted and true, by tenths"),
    "lorenz.png": marked("Share of revenue from the customers ranked highest"),
    "reliability.png": marked("Promised and kept chances"),
    "cumulative_incidence.png": marked("Deals won and lost, promised and kept"),
}


def tested(record: VersionRecord, spec: Spec) -> Tested:
    """From the record of the version's training."""
    gate, card = record.gate, record.card
    return Tested(
        decision=gate.reason if gate is not None else card.decision if card is not None else "",
        is_passed=gate is not None and gate.promote,
        checks=checks(gate) if gate is not None else [],
        backtest=backtest(record),
        cutoffs=cutoffs(record.folds, spec),
        pictures=[(name, _(_PICTURES[name]) if name in _PICTURES else name) for name in record.pictures],
        card=_card(record) if card is not None else None,
    )


def losses(folds: pd.DataFrame, spec: Spec) -> Mapping[str, pd.Series]:
    """By candidate its loss, indexed by cutoff, as far as the backtest had it."""
    rows = folds[folds["metric"] == LOSSES[spec.score][0]]
    by_candidate = {str(name): part.set_index(c.AS_OF)[c.VALUE].sort_index() for name, part in rows.groupby(CANDIDATE)}
    return {name: by_candidate[name] for name in SHOWN if name in by_candidate}


def cutoffs(folds: pd.DataFrame, spec: Spec) -> Cutoffs | None:
    """None where there was no backtest."""
    found = losses(folds, spec)
    if MODEL not in found:
        return None
    titles = {name: _("Model") if name == MODEL else rival_title(name) for name in found}
    days = found[MODEL].index
    measure = _(LOSSES[spec.score][1])
    description = _("{measure} at {count} past cutoffs; lower is better.").format(measure=measure, count=f.number(len(days)))
    table = [(f.date(day), [f.number(values.get(day), DIGITS) for values in found.values()]) for day in days]
    chart = cutoffs_chart({titles[name]: values for name, values in found.items()}, measure=measure, digits=DIGITS, description=description)
    return Cutoffs(measure, chart, description, list(titles.values()), table)


def _card(record: VersionRecord) -> Card:
    card = record.card
    assert card is not None
    since = f.date(pd.Timestamp(card.data_from)) if card.data_from else f.MISSING
    return Card(
        purpose=card.purpose,
        data=_("Facts from {since} on, known before {until}.").format(since=since, until=f.date(pd.Timestamp(card.as_of))),
        rows=[(table_title(name), f.number(count)) for name, count in card.rows.items() if count],
        limits=card.limits,
        barred=list(card.fields_barred.items()),
        exclusions=[(reason, f.number(count)) for reason, count in card.exclusions.items()],
        settings=list(card.settings.items()),
    )
