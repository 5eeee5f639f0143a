"""A model's trial: its backtest beside the baselines and the champion's recipe, and what the gate says to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from predictkpi.backtest.checks import CHAMPION
from predictkpi.backtest.cutoffs import Cutoffs
from predictkpi.backtest.gate import GateDecision
from predictkpi.backtest.run import BacktestResult
from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.pipelines.candidates import hyperparameters, make_candidates, make_model
from predictkpi.predictors.revenue.scopes import dimensions_of
from predictkpi.protocol import Predictor
from predictkpi.snapshot import Snapshot

_OF_CUSTOMERS = (c.SEGMENT, c.REGION, c.CHANNEL)
_OF_DEALS = (c.TEAM, c.PRODUCT)


@dataclass(frozen=True)
class Trial:
    """The test on the past; ``result`` and ``decision`` are None where no past cutoff could be judged, and ``cutoffs.note`` says why."""

    cutoffs: Cutoffs
    result: BacktestResult | None = None
    decision: GateDecision | None = None

    @property
    def is_passed(self) -> bool:
        """Whether the model may serve."""
        return self.decision is not None and self.decision.promote


def candidates_beside(champion: Predictor | None, name: str, models_dir: Path) -> Mapping[str, Callable[[], Predictor]]:
    """The model, its baselines, and the champion's settings where they differ from the model's: learnt anew at each cutoff, like all."""
    found = dict(make_candidates(name, models_dir))
    if champion is None or champion.kind != "model":
        return found
    settings = hyperparameters(champion)
    if settings == hyperparameters(make_model(name, models_dir)):
        return found
    return found | {CHAMPION: partial(type(champion), **settings)}


def segments_of(spec: Spec, result: BacktestResult, snapshot: Snapshot) -> pd.DataFrame:
    """as_of, entity_id, segment: customers by segment, region and channel, deals also by team and product, as known at each cutoff;
    revenue series each by itself.
    """
    parts = []
    for cutoff, rows in result.losses.groupby(c.AS_OF):
        as_of = pd.Timestamp(str(cutoff))
        parts.append(_segments_at(spec, sorted(rows[c.ENTITY_ID].unique()), snapshot.at(as_of)).assign(**{c.AS_OF: as_of}))
    found = pd.concat(parts, ignore_index=True)
    return found.assign(**{c.AS_OF: found[c.AS_OF].astype(result.losses[c.AS_OF].dtype)})


def _segments_at(spec: Spec, entity_ids: list[str], snapshot: Snapshot) -> pd.DataFrame:
    ids = pd.Series(entity_ids, dtype="str", name=c.ENTITY_ID)
    if spec.entity == "series":
        dimensions = ids.map(dimensions_of)
        return pd.DataFrame({c.ENTITY_ID: ids, "segment": ids})[(dimensions != "") & ~dimensions.str.contains(",")]
    customers = snapshot.customers.set_index(c.CUSTOMER_ID)
    deals = snapshot.deals.set_index(c.DEAL_ID) if spec.entity == "deal" else None
    customer = ids if deals is None else ids.map(deals[c.CUSTOMER_ID])
    labels = {name: customer.map(customers[name]) for name in _OF_CUSTOMERS if name in customers}
    if deals is not None:
        labels |= {name: ids.map(deals[name]) for name in _OF_DEALS if name in deals}
    parts = [
        pd.DataFrame({c.ENTITY_ID: ids, "segment": f"{name}=" + label.astype("str")})[label.notna() & (label != "")]
        for name, label in labels.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({c.ENTITY_ID: ids.iloc[:0], "segment": ids.iloc[:0]})
