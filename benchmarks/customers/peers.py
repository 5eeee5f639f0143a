"""Other ways to the same numbers, each learning from nothing but what was known at the split's cutoff.

- BG/NBD + Gamma-Gamma as the literature does it (spend learnt from repeat purchases), and with spend learnt from all purchases, which ranks
  better and is therefore the reference; MBG/NBD and Pareto/NBD beside it. All ours, equal to the published fits (`tests/parity`).
- lifetimes: the package itself, in an environment of its own (`lifetimes_peer`).
- Mean spend carried on; cells of recency, frequency and spend; plain LightGBM with a Tweedie loss. The last two learn at one inner cutoff:
  the holdout's length before the real one or, where the history is shorter than twice that, its half, scaled up by days.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from customers.datasets import Split
from customers.judging import Answer
from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.features.purchase_days import DAY
from predictkpi.predictors.clv.btyd import Btyd, fit_btyd
from predictkpi.predictors.clv.gamma_gamma import GammaGamma, fit_gamma_gamma
from predictkpi.predictors.clv.pareto_nbd import ParetoNbd, fit_pareto_nbd
from predictkpi.predictors.clv.simulate import SharedDraws

Floats = npt.NDArray[np.float64]
REFERENCE, LITERATURE, LIFETIMES = "BG/NBD + GG, all purchases", "BG/NBD + GG, repeats", "lifetimes BG/NBD + GG"
FUTURES = 256
WINDOWS = (30, 90, 180)
LIGHTGBM = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.5,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambda_l2": 5.0,
    "verbosity": -1,
    "seed": 0,
    "deterministic": True,
    "num_threads": 1,
}
LIGHTGBM_ROUNDS = 120
_OWN_ENVIRONMENT = Path(__file__).parents[2] / ".venv-lifetimes" / "bin" / "python"


def buyers_of(split: Split) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """`features.rfm` of the cohort, row by row as in ``split.actual``, and who of it has a purchase of positive value."""
    table = rfm.build_rfm(split.snapshot.orders, as_of=split.cutoff)
    return table, (table[rfm.PURCHASES] > 0).to_numpy()


def history(table: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and T in days."""
    return table[rfm.FREQUENCY].to_numpy(float), table[rfm.RECENCY].to_numpy(float), table[rfm.T].to_numpy(float)


def joint_draws(btyd: Btyd, spend: GammaGamma, table: pd.DataFrame, *, days: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """Futures ``(n, FUTURES)`` of buyers whose fates are independent given the parameters, as these models have it."""
    shared = SharedDraws(btyd, spend, draws=FUTURES, random_state=seed)
    x, tx, age = history(table)
    out = np.zeros((len(table), FUTURES), dtype=np.float32)
    rng = np.random.default_rng(seed)
    alive, spent, even = btyd.p_alive(x, tx, age), table[rfm.GROSS].to_numpy(float), np.ones((len(table), 1))
    for rows, draws in shared.of_customers(frequency=x, alive=alive, T=age, spent=spent, days=np.array([days]), tempo=even):
        # all customers run through the same random numbers: shuffled, their futures have nothing to do with one another
        out[rows] = rng.permuted(draws[:, 0, :], axis=1)
    return out


def btyd_answer(split: Split, fit: Callable[[Floats, Floats, Floats], Btyd | ParetoNbd], *, repeats_only: bool = False) -> Answer:
    """A purchase model and Gamma-Gamma by maximum likelihood; customers without a purchase of positive value are worth 0.

    With intervals for (M)BG/NBD and spend learnt from all purchases.
    """
    table, bought = buyers_of(split)
    buyers = table[bought]
    model, draws = fit(*history(buyers)), None
    count = buyers[rfm.PURCHASES].to_numpy(float)
    value = buyers[rfm.GROSS].to_numpy(float) / count
    if repeats_only:
        count, value = buyers[rfm.FREQUENCY].to_numpy(float), buyers[rfm.MONETARY_VALUE].fillna(0.0).to_numpy(float)
    some = count > 0
    # where every purchase is worth 1 there is no spend to learn, and the simulation gets one without spread
    spend = GammaGamma(1e6, 1e6, 1.0) if split.counts else fit_gamma_gamma(count[some], value[some])
    worth = 1.0 if split.counts else spend.expected_value(count, value)
    purchases = np.zeros(len(table))
    purchases[bought] = model.expected_purchases(split.days, *history(buyers))
    if isinstance(model, Btyd) and not repeats_only:
        draws = joint_draws(model, spend, buyers, days=split.days)
    return _answer(table, bought, purchases, worth, draws=draws)


def _answer(
    table: pd.DataFrame,
    bought: npt.NDArray[np.bool_],
    purchases: Floats,
    worth: Floats | float,
    *,
    draws: npt.NDArray[np.float32] | None = None,
) -> Answer:
    mean, all_draws = np.zeros(len(table)), None
    mean[bought] = purchases[bought] * worth
    if draws is not None:
        all_draws = np.zeros((len(table), draws.shape[1]), dtype=np.float32)
        all_draws[bought] = draws
    return Answer(mean, purchases, all_draws)


def mean_spend(split: Split) -> Answer:
    """Spend a day since the first purchase, 30 days at least, carried on."""
    table, _ = buyers_of(split)
    lived = np.maximum(table[rfm.T].to_numpy(float), 30.0)
    rate = table[[rfm.TOTAL, rfm.PURCHASES]].clip(lower=0.0).to_numpy(float) / lived[:, None] * split.days
    return Answer(rate[:, 0], rate[:, 1])


def inner(split: Split) -> tuple[pd.Timestamp, float]:
    """Inner cutoff (a midnight) and the factor from its horizon to the split's."""
    first = split.snapshot.orders[c.DS].min().normalize()
    back = min(split.days, np.floor((split.cutoff - first) / DAY / 2.0))
    return split.cutoff - back * DAY, split.days / back


def learnt(split: Split, at: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`rfm_features` of the inner cohort and its net spend and purchases since, up to the split's cutoff."""
    past = split.snapshot.at(at)
    features = rfm_features(past.orders, as_of=at)
    since = rfm.spend_in(split.snapshot.orders, start=at, end=split.cutoff).reindex(features.index).fillna(0.0)
    return features, since


def rfm_features(orders: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """`features.rfm`, days since the last purchase, mean gap between purchases, and spend and purchases of the last `WINDOWS` days."""
    table = rfm.build_rfm(orders, as_of=as_of)
    table["since_last"] = table[rfm.T] - table[rfm.RECENCY]
    table["mean_gap"] = table[rfm.RECENCY] / table[rfm.FREQUENCY].where(table[rfm.FREQUENCY] > 0)
    table["mean_value"] = table[rfm.GROSS] / table[rfm.PURCHASES].where(table[rfm.PURCHASES] > 0)
    for days in WINDOWS:
        recent = rfm.spend_in(orders, start=as_of - days * DAY, end=as_of).reindex(table.index).fillna(0.0)
        table[[f"spend_{days}", f"purchases_{days}"]] = recent.to_numpy()
    return table


def rfm_cells(split: Split) -> Answer:
    """Mean spend of customers of the same fifths of recency, frequency and spend; cells below 20 take their recency x frequency cell."""
    at, scale = inner(split)
    features, since = learnt(split, at)
    now = rfm_features(split.snapshot.orders, as_of=split.cutoff)
    edges = {name: np.unique(np.quantile(features[name], [0.2, 0.4, 0.6, 0.8])) for name in ("since_last", rfm.PURCHASES, rfm.TOTAL)}

    def cells(frame: pd.DataFrame) -> tuple[Floats, Floats]:
        r, f, m = (np.searchsorted(cuts, frame[name].to_numpy(float), side="right") for name, cuts in edges.items())
        return r * 5 + f, (r * 5 + f) * 5 + m

    means = []
    for then, today in zip(cells(features), cells(now), strict=True):
        found = since[rfm.TOTAL].groupby(then).agg(["mean", "size"])
        means.append(found.loc[found["size"] >= 20, "mean"].reindex(today).to_numpy())
    wide, narrow = means
    mean = np.where(np.isnan(narrow), np.where(np.isnan(wide), since[rfm.TOTAL].mean(), wide), narrow)
    return Answer(np.maximum(mean, 0.0) * scale, note=f"learnt from {at:%Y-%m-%d}, times {scale:.2f}")


def lightgbm_tweedie(split: Split) -> Answer:
    """One model of spend on `rfm_features`, at the settings of `LIGHTGBM`."""
    import lightgbm as lgb

    at, scale = inner(split)
    features, since = learnt(split, at)
    data = lgb.Dataset(features.to_numpy(float), since[rfm.TOTAL].clip(lower=0.0).to_numpy(float))
    model = lgb.train(LIGHTGBM, data, num_boost_round=LIGHTGBM_ROUNDS)
    now = rfm_features(split.snapshot.orders, as_of=split.cutoff)
    return Answer(np.asarray(model.predict(now.to_numpy(float))) * scale, note=f"learnt from {at:%Y-%m-%d}, times {scale:.2f}")


def lifetimes(split: Split) -> Answer:
    """The package lifetimes on the same histories; see `lifetimes_peer`."""
    table, bought = buyers_of(split)
    buyers = table[bought]
    found = run_lifetimes(
        *history(buyers), monetary=None if split.counts else buyers[rfm.MONETARY_VALUE].fillna(0.0).to_numpy(float), days=split.days
    )
    if "error" in found:
        return Answer(np.zeros(0), note=str(found["error"]))
    purchases = np.zeros(len(table))
    purchases[bought] = found["purchases"]
    answer = _answer(table, bought, purchases, found["value"])
    answer.cpu_seconds = float(found["cpu_seconds"].sum())
    return answer


def run_lifetimes(
    frequency: Floats, recency: Floats, T: Floats, *, monetary: Floats | None, days: float
) -> dict[str, npt.NDArray[np.generic]]:
    """What `lifetimes_peer` answers for these histories in its own process and environment; only ``error`` where it has no answer."""
    if not _OWN_ENVIRONMENT.exists():
        return {"error": np.array("lifetimes has no environment; `make bench` makes it from requirements/bench-lifetimes.txt")}
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.npz"), Path(folder, "answered.npz")
        spend = {} if monetary is None else {"monetary": monetary}
        np.savez(asked, frequency=frequency, recency=recency, T=T, days=days, **spend)
        script = Path(__file__).with_name("lifetimes_peer.py")
        subprocess.run([_OWN_ENVIRONMENT, script, asked, answered], check=True, stderr=subprocess.DEVNULL)
        with np.load(answered) as found:
            return dict(found)


_BG, _MBG = partial(fit_btyd, modified=False), partial(fit_btyd, modified=True)
PEERS: dict[str, Callable[[Split], Answer]] = {
    REFERENCE: partial(btyd_answer, fit=_BG),
    LITERATURE: partial(btyd_answer, fit=_BG, repeats_only=True),
    LIFETIMES: lifetimes,
    "MBG/NBD + GG, all purchases": partial(btyd_answer, fit=_MBG),
    "Pareto/NBD + GG, all purchases": partial(btyd_answer, fit=fit_pareto_nbd),
    "mean spend": mean_spend,
    "RFM cells": rfm_cells,
    "LightGBM Tweedie": lightgbm_tweedie,
}


def timed(answer: Callable[[Split], Answer], split: Split) -> Answer:
    """The answer with its CPU seconds, unless it measured them itself in a process of its own."""
    started = time.process_time()
    found = answer(split)
    found.cpu_seconds = found.cpu_seconds or time.process_time() - started
    return found
