"""Few deals: what our model loses against the best baseline when it has 100 to 3,000 deals to learn from.

Deals known before a cutoff are drawn without replacement, several times; their facts alone are what the candidates learn from. All are
then judged on deals that were not drawn: of the loan pipeline, those created after the cutoff (set B of `loan_part`); of a sample
company, those open at the cutoff. The best baseline is the one with the lowest mean loss over the repetitions, per source and number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from deals.judging import Floats, Landmarks, brier_sums, integrated
from deals.loan_part import ALL_LANDMARKS
from deals.loan_part import HORIZONS as LOAN_HORIZONS
from deals.loan_pipeline import CUTOFFS, END, FOLDER, loan_facts
from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns
from predictkpi.metrics.survival import integrated_brier_score
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import Facts, MemoryFacts, Snapshot
from predictkpi.synthetic import make_company

NUMBERS = (100, 300, 1000, 3000)
COMPANY_HORIZONS = (7, 14, 30, 60, 90, 180)
Loss = Callable[[Floats], float]
BY_DEAL = ("deals", "deal_events", "activities")


def with_deals(facts: Facts, ids: np.ndarray, *, until: pd.Timestamp) -> MemoryFacts:
    """The facts of these deals only; customers as they are."""
    tables = {name: facts.read(name, known_before=until) for name in (*BY_DEAL, "customers")}
    kept = {name: frame[frame[c.DEAL_ID].isin(ids)] if name in BY_DEAL else frame for name, frame in tables.items()}
    return MemoryFacts(kept, facts.company)


def compared(facts: Facts, end: pd.Timestamp, cutoff: pd.Timestamp, n: int, horizons: tuple[int, ...], *, later: bool, seed: int) -> dict:
    """Integrated Brier score of won by candidate, learnt from ``n`` random deals known before the cutoff, or all if there are fewer.

    Judged on deals created after it (``later``), at every midnight, or on those open at it; never on a deal that was drawn.
    """
    full = Snapshot(facts, end)
    deals = full.history("deals").drop_duplicates(c.DEAL_ID)
    before = np.sort(deals.loc[deals[c.KNOWN_AT] < cutoff, c.DEAL_ID].to_numpy(object))
    most = len(before) if later else len(before) * 3 // 4
    drawn = np.random.default_rng(seed).choice(before, min(n, most), replace=False)
    others = np.setdiff1d(deals[c.DEAL_ID].to_numpy(object), before if later else drawn)
    past = Snapshot(with_deals(facts, drawn, until=cutoff), cutoff)
    model = predictor_class("close_time")()
    table = model.training_table(past)
    whole = Snapshot(with_deals(facts, np.concatenate([drawn, others]), until=end), end)
    rows, loss = (_since if later else _at)(whole, others, cutoff, horizons)
    found: dict = {"learnt_from": len(drawn)}
    for name, candidate in ({"ours": model} | model.baselines()).items():
        found[name] = loss(candidate.fit(table).daily(Columns.of(rows))[:, 0])
    return found


def _since(whole: Snapshot, ids: np.ndarray, cutoff: pd.Timestamp, horizons: tuple[int, ...]) -> tuple[pd.DataFrame, Loss]:
    """Every landmark of these deals, all created after the cutoff, and the loss of won incidences (n, days) on them."""
    rows = predictor_class("close_time")(**ALL_LANDMARKS).training_table(whole)
    landmarks = Landmarks.of(rows[rows[c.ENTITY_ID].isin(ids)])
    return landmarks.rows, lambda won: float(integrated(*brier_sums(landmarks, won, horizons), horizons)[0])


def _at(whole: Snapshot, ids: np.ndarray, cutoff: pd.Timestamp, horizons: tuple[int, ...]) -> tuple[pd.DataFrame, Loss]:
    """Those of these deals that are open at the cutoff, and the loss of won incidences on them."""
    model = predictor_class("close_time")()
    inputs = model.inputs(whole.at(cutoff))
    inputs = inputs[inputs[c.ENTITY_ID].isin(ids)].reset_index(drop=True)
    outcomes = model.outcomes(whole, as_of=cutoff)
    outcomes = outcomes[(outcomes[c.STATISTIC] == "cif_won") & outcomes[c.IS_MATURE]]
    happened = outcomes.pivot(index=c.ENTITY_ID, columns=c.HORIZON, values=c.VALUE).reindex(inputs[c.ENTITY_ID])[[*horizons]]
    return inputs, lambda won: integrated_brier_score(won[:, [*horizons]], happened, horizons)


def few_part(data: Path | None, *, quick: bool, tell: Callable[[str], None]) -> list[dict[str, object]]:
    """One row per source, number of deals and repetition: the loss of every candidate."""
    repetitions, numbers = (1, NUMBERS[:2]) if quick else (4, NUMBERS)
    sources: list[tuple[str, Facts, pd.Timestamp, pd.Timestamp, tuple[int, ...], bool]] = []
    if data is not None:
        sources.append(("loan pipeline", loan_facts(data / FOLDER), END, CUTOFFS[0], LOAN_HORIZONS, True))
        sources.append(("loan pipeline", loan_facts(data / FOLDER), END, CUTOFFS[1], LOAN_HORIZONS, True))
    for seed in (300, 301)[: 1 if quick else 2]:
        company = make_company(
            seed=seed, **({"customers": 250, "deals": 1200, "orders": 3000} if quick else {"customers": 1200, "deals": 6000})
        )
        cutoff = (company.end - pd.DateOffset(months=7)).replace(day=1).normalize()
        sources.append(("sample company", company.facts, company.end, cutoff, COMPANY_HORIZONS, False))
    rows = []
    for source, facts, end, cutoff, horizons, later in sources:
        for n in numbers:
            for repetition in range(repetitions):
                tell(f"{source}, {cutoff:%d %b %Y}: {n} deals, draw {repetition + 1}")
                losses = compared(facts, end, cutoff, n, horizons, later=later, seed=repetition)
                rows.append({"source": source, "cutoff": f"{cutoff:%Y-%m-%d}", "deals": n, "repetition": repetition} | losses)
                if losses["learnt_from"] < n:
                    break  # every further draw would be the same
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """By source and number of deals: the best baseline, our mean loss over its, and twice the standard error over repetitions."""
    frame, found = pd.DataFrame(rows), []
    names = [name for name in frame.columns if name not in ("source", "cutoff", "deals", "repetition", "learnt_from", "ours")]
    for (source, n), part in frame.groupby(["source", "deals"]):
        best = str(part[names].mean().idxmin())
        ratio = part["ours"] / part[best] - 1.0
        spread = 2.0 * float(ratio.std(ddof=1)) / np.sqrt(len(ratio)) if len(ratio) > 1 else float("nan")
        row = {"source": source, "deals": int(n), "best_baseline": best, "draws": len(part), "learnt_from": int(part["learnt_from"].mean())}
        found.append(row | {"loss_over_best": float(part["ours"].mean() / part[best].mean() - 1.0), "two_se": spread})
    return found
