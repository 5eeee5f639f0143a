"""Parts of `close_time.py` on sample companies, whose true distributions are known, and on a CRM export without signal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.metrics.survival import brier, integrated_losses
from predictkpi.pipelines.evaluate import evaluate
from predictkpi.pipelines.ingest import ingest
from predictkpi.predictors import predictor_class
from predictkpi.store import Store
from predictkpi.synthetic import make_company

ROOT = Path(__file__).resolve().parents[2]
HORIZONS = (7, 14, 30, 60, 90, 180)
MAVEN = Path("deals", "maven-crm")
MAVEN_NOW = pd.Timestamp("2018-01-01")
SMALL = {"customers": 250, "deals": 1200, "orders": 3000}


def against_truth(*, quick: bool, tell: Callable[[str], None]) -> list[dict[str, object]]:
    """Integrated Brier score of won over 7..180 days as a multiple of the true distributions', by seed, date and model.

    ``ratio`` is on what came true. ``expected_ratio`` is its expectation under the truth, free of the luck of the draw: with p predicted
    and q true, the Brier score is expected to be q(1 - q) + (p - q)^2.
    """
    rows: list[dict[str, object]] = []
    for seed in range(200, 202 if quick else 206):
        company = make_company(seed=seed, **(SMALL if quick else {}))
        snapshot = company.snapshot()
        last = (company.end - pd.DateOffset(months=6)).replace(day=1).normalize()
        for as_of in (last, last - pd.DateOffset(months=3)):
            tell(f"sample company {seed}, {as_of:%b %Y}")
            past, model = snapshot.at(as_of), predictor_class("close_time")()
            table = model.training_table(past)
            truth = company.truth.deal_incidence(as_of, HORIZONS)
            true = truth.pivot(index=c.DEAL_ID, columns=c.HORIZON, values="cif_won")
            outcomes = model.outcomes(snapshot, as_of=as_of)
            outcomes = outcomes[(outcomes[c.STATISTIC] == "cif_won") & outcomes[c.IS_MATURE]]
            happened = outcomes.pivot(index=c.ENTITY_ID, columns=c.HORIZON, values=c.VALUE)
            inputs = model.inputs(past)
            ids = inputs[c.ENTITY_ID]
            q, y = true.reindex(ids).to_numpy(float), happened.reindex(ids).to_numpy(float)
            known = ~np.isnan(q).any(axis=1) & ~np.isnan(y).any(axis=1)
            candidates = {"ours": model} | {f"baseline: {name}": each for name, each in model.baselines().items()}
            for name, candidate in candidates.items():
                p = candidate.fit(table).daily(Columns.of(inputs))[:, 0][:, list(HORIZONS)]
                best = integrated_losses(brier(q[known], y[known]), HORIZONS).mean()
                expected, floor = (integrated_losses(q * (1 - q) + gap, HORIZONS)[known].mean() for gap in ((p - q) ** 2, 0 * q))
                row = {
                    "seed": seed,
                    "as_of": f"{as_of:%Y-%m-%d}",
                    "model": name,
                    "deals": int(known.sum()),
                    "left_out": int((~known).sum()),
                }
                ratio = integrated_losses(brier(p[known], y[known]), HORIZONS).mean() / best
                rows.append(row | {"ratio": float(ratio), "expected_ratio": float(expected / floor)})
    return rows


def on_maven(data: Path, *, tell: Callable[[str], None]) -> dict[str, object]:
    """The gate's verdict on the maven-crm export, ingested into a store of its own: improvement over the base curve and its reason."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/facts.db")
        try:
            store.migrate()
            tell("maven-crm: ingest")
            ingest(store, mapping=ROOT / "examples" / "maven-crm.yaml", source=data / MAVEN, now=MAVEN_NOW)
            tell("maven-crm: backtest")
            found = evaluate(store, "close_time", [], models_dir=ROOT / "models")
        finally:
            store.close()
    decision = found.decision
    row = {"improvement": decision.improvement, "low": decision.low, "high": decision.high, "would_promote": decision.promote}
    brier_won = {name: metrics["brier_won"] for name, metrics in found.result.metrics.items()}
    return row | {"cutoffs": [f"{day:%Y-%m-%d}" for day in found.result.cutoffs], "reason": decision.reason, "brier_won": brier_won}
