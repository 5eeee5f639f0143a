"""The parts of the benchmark: the M3 competition, its business series beside AutoGluon, two retail hierarchies, short histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from series import judging as j
from series.datasets import RETAIL_FOLDERS, Competition, Hierarchy, load_hierarchy, load_m3
from series.ours import Floats, company_points, points, sample_paths
from series.peers import (
    AUTO,
    AUTOGLUON,
    PROPHET,
    Timed,
    autogluon,
    has_prophet,
    own_interval,
    prophet,
    seasonal_naive,
    statsforecast_model,
    timed,
    timed_together,
)

Tell = Callable[[str], None]
Row = dict[str, object]
OURS, SUM_OF_AUTO = "ours", "+".join(AUTO)
ALONE = "ours, each series alone"
RECONCILED = "ours, made to add up"
PERIODS = {"MONTHLY": 12, "QUARTERLY": 4}
ORIGINS, HORIZON = 6, 12
SHORT = (None, 36, 24)
# A company of so many series: what they share in learning their errors.
COMPANY = 60
# Nodes that the automatic models, and those that take seconds a series, are run on, spread over the levels.
_PEER_NODES, _SLOW_NODES = 36, 12
BUSINESS, BUSINESS_SERIES = ("MICRO", "INDUSTRY"), 150


@dataclass(frozen=True)
class Options:
    """``--quick`` takes every fifth series, two origins instead of six, 100 resamples."""

    root: Path
    quick: bool
    tell: Tell

    @property
    def resamples(self) -> int:
        return j.RESAMPLES // 10 if self.quick else j.RESAMPLES

    def some(self, count: int) -> list[int]:
        return list(range(0, count, 5 if self.quick else 1))

    def counted(self, what: str, count: int) -> Callable[[int], None]:
        return lambda done: self.tell(f"{what}: {done + 1} of {count}")


def m3(options: Options) -> list[Row]:
    """One row a period and method: sMAPE, MASE, CPU seconds per 1,000 series where measured here, and what ours gains on it."""
    rows = []
    for period, season in PERIODS.items():
        rows += _competition(load_m3(options.root, period, season=season), options)
    return rows


def _competition(data: Competition, options: Options) -> list[Row]:
    kept = options.some(len(data.actual))
    histories = [list(data.history.values())[k] for k in kept]
    actual, scale = data.actual[kept], j.scales(histories, data.season)
    here = {ALONE: points, "seasonal naive": seasonal_naive} | {name: statsforecast_model(name) for name in AUTO}
    told = options.counted(f"{data.name}: {OURS}", len(kept))
    found: dict[str, Timed] = {OURS: timed_together(company_points, histories, data.horizon, data.season, told)}
    for name, forecast in here.items():
        found[name] = timed(forecast, histories, data.horizon, data.season, options.counted(f"{data.name}: {name}", len(kept)))
    answers = {name: (each.paths, 1000 * each.cpu_seconds / len(kept)) for name, each in found.items()}
    answers[SUM_OF_AUTO] = (np.mean([found[name].paths for name in AUTO], axis=0), sum(answers[name][1] for name in AUTO))
    all_of = answers | {f"{name} (published)": (paths[kept], None) for name, paths in data.published.items()}
    smape = {name: j.smape_each(actual, paths) for name, (paths, _) in all_of.items()}
    mase = {name: j.mase_each(actual, paths, scale) for name, (paths, _) in all_of.items()}
    rows = []
    for name, (_, cpu) in all_of.items():
        row: Row = {"data": data.name, "model": name, "series": int(np.isfinite(mase[name]).sum()), "cpu_per_1000": cpu}
        row |= {"smape": float(np.nanmean(smape[name])), "mase": float(np.nanmean(mase[name]))}
        if name != OURS:
            row["smape_gain"] = j.gain(smape[OURS], smape[name], resamples=options.resamples)
            row["mase_gain"] = j.gain(mase[OURS], mase[name], resamples=options.resamples)
        rows.append(row)
    return sorted(rows, key=lambda row: float(str(row["mase"])))


def business(options: Options) -> list[Row]:
    """One row a method on 150 monthly business series of M3: sMAPE, MASE, coverage of the 80 % interval of a month, CPU seconds.

    Raises `FileNotFoundError` where the data or AutoGluon are not at hand.
    """
    data = load_m3(options.root, "MONTHLY", season=12)
    of_kind = np.flatnonzero(np.isin(data.kind, BUSINESS))
    kept = of_kind[np.linspace(0, len(of_kind) - 1, BUSINESS_SERIES // (5 if options.quick else 1)).astype(int)]
    histories = [list(data.history.values())[k] for k in kept]
    actual, scale = data.actual[kept], j.scales(histories, data.season)
    options.tell(f"{data.name}: {AUTOGLUON}")
    peer = autogluon(histories, data.horizon)
    ours = timed_together(company_points, histories, data.horizon, data.season, options.counted(f"{data.name}: ours", len(kept)))
    covers = float(np.mean((actual >= peer["low"]) & (actual <= peer["high"])))
    rows: list[Row] = []
    for name, paths, cpu in ((OURS, ours.paths, ours.cpu_seconds), (AUTOGLUON, peer["mean"], float(peer["cpu_seconds"]))):
        smape, mase = j.smape_each(actual, paths), j.mase_each(actual, paths, scale)
        row: Row = {"data": f"{data.name}, business", "model": name, "series": len(kept), "cpu_per_1000": 1000 * cpu / len(kept)}
        row |= {"smape": float(np.nanmean(smape)), "mase": float(np.nanmean(mase))}
        if name == AUTOGLUON:
            row["smape_gain"] = j.gain(j.smape_each(actual, ours.paths), smape, resamples=options.resamples)
            row["mase_gain"] = j.gain(j.mase_each(actual, ours.paths, scale), mase, resamples=options.resamples)
            row["covers_80"] = covers
        rows.append(row)
    return sorted(rows, key=lambda row: float(str(row["mase"])))


def hierarchy(options: Options, name: str) -> list[Row]:
    """One row a model and level: mean MASE over nodes and origins twelve months apart, and what ours gains on the same nodes.

    Ours also as the mean of its paths made to add up, where the nodes do: learnt from all nodes, also if only some are judged. The
    automatic models take some nodes of each level only, and AutoARIMA and Prophet, which take seconds a series, fewer: see `_PEER_NODES`.
    """
    data = load_hierarchy(options.root, name)
    everyone = options.some(len(data.ids))
    models = {ALONE: points, "seasonal naive": seasonal_naive}
    automatic = {peer: statsforecast_model(peer) for peer in AUTO}
    slow = {"AutoARIMA": statsforecast_model("AutoARIMA")} | ({PROPHET: prophet} if has_prophet() else {})
    origins = range(1, (2 if options.quick else ORIGINS) + 1)
    mase: dict[str, Floats] = {OURS: np.full((len(origins), len(data.ids)), np.nan)}
    for row, back in enumerate(origins):
        cut = data.y.shape[1] - back * HORIZON
        histories = [data.y[node, :cut] for node in everyone]
        paths = company_points(histories, HORIZON, 12, options.counted(f"{name}: {OURS}, origin {back}", len(everyone)))
        mase[OURS][row, everyone] = j.mase_each(data.y[everyone, cut : cut + HORIZON], paths, j.scales(histories, 12))
    for model, forecast in (models | automatic | slow).items():
        most = len(everyone) if model in models else _PEER_NODES if model in automatic else _SLOW_NODES
        nodes = _spread_over_levels(data, everyone, most)
        mase[model] = np.full((len(origins), len(data.ids)), np.nan)
        for row, back in enumerate(origins):
            cut = data.y.shape[1] - back * HORIZON
            histories = [data.y[node, :cut] for node in nodes]
            told = options.counted(f"{name}: {model}, origin {back}", len(nodes))
            paths = timed(forecast, histories, HORIZON, 12, told).paths
            mase[model][row, nodes] = j.mase_each(data.y[nodes, cut : cut + HORIZON], paths, j.scales(histories, 12))
    if data.scopes:
        mase[RECONCILED] = np.full((len(origins), len(data.ids)), np.nan)
        for row, back in enumerate(origins):
            options.tell(f"{name}: {RECONCILED}, origin {back}")
            cut = data.y.shape[1] - back * HORIZON
            drawn = sample_paths(dict(zip(data.scopes, data.y[:, :cut], strict=True)), pool_series=len(data.scopes))
            paths, histories = np.stack([drawn[scope].mean(axis=0) for scope in data.scopes]), list(data.y[:, :cut])
            mase[RECONCILED][row] = j.mase_each(data.y[:, cut : cut + HORIZON], paths, j.scales(histories, 12))
        mase[RECONCILED][:, np.isnan(mase[OURS]).any(axis=0)] = np.nan
    return [row for model in mase for row in _by_level(data, model, mase, options)]


def _spread_over_levels(data: Hierarchy, nodes: list[int], most: int) -> list[int]:
    """About so many of the nodes, from every level; all where that is no fewer."""
    if most >= len(nodes):
        return nodes
    levels = sorted(set(data.level))
    chosen = []
    for level in levels:
        of_level = [node for node in nodes if data.level[node] == level]
        chosen += of_level[:: max(1, len(of_level) * len(levels) // most)]
    return sorted(chosen)


def _by_level(data: Hierarchy, model: str, mase: dict[str, Floats], options: Options) -> list[Row]:
    rows = []
    for level in ["all", *dict.fromkeys(data.level)]:
        of_level = np.array([level in ("all", each) for each in data.level])
        theirs, ours = mase[model][:, of_level].mean(axis=0), mase[OURS][:, of_level].mean(axis=0)
        known = np.isfinite(theirs)
        if not known.any():
            continue
        row: Row = {"data": data.name, "level": level, "model": model, "nodes": int(known.sum()), "mase": float(theirs[known].mean())}
        if model != OURS:
            row["mase_gain"] = j.gain(ours, theirs, resamples=options.resamples)
        rows.append(row)
    return rows


def short(options: Options) -> list[Row]:
    """One row a data set, length and model: point MASE, coverage of each target, MSIS of the months."""
    rows, missing = [], []
    for name in ("M3 monthly", *RETAIL_FOLDERS):
        try:
            histories, actual = _interval_data(options, name)
        except FileNotFoundError as error:
            missing.append(f"{name}: skipped: {error}")
            continue
        for length in SHORT:
            cut = [y if length is None else y[-length:] for y in histories]
            rows += _intervals(name, length, cut, actual, options)
    return rows + [{"missing": text} for text in missing]


def _interval_data(options: Options, name: str) -> tuple[list[Floats], Floats]:
    if name in RETAIL_FOLDERS:
        y = load_hierarchy(options.root, name).y
        kept = options.some(len(y))
        return [y[node, : -ORIGINS // 2 * HORIZON] for node in kept], y[kept, -ORIGINS // 2 * HORIZON :][:, :HORIZON]
    data = load_m3(options.root, "MONTHLY", season=12)
    # Every second series: two random halves cover alike, and three lengths of each take their time.
    kept = options.some(len(data.actual))[::2]
    return [list(data.history.values())[k] for k in kept], data.actual[kept, :HORIZON]


def _intervals(name: str, length: int | None, histories: list[Floats], actual: Floats, options: Options) -> list[Row]:
    scale = np.array([np.abs(y[12:] - y[:-12]).mean() for y in histories])
    order = np.random.default_rng(0).permutation(len(histories))
    ours: list[dict[str, float]] = []
    for start in range(0, len(order), COMPANY):
        group = order[start : start + COMPANY]
        options.tell(f"{name}, {length or 'all'} months: ours, {start} of {len(order)} series")
        drawn = sample_paths({f"s{k:04d}": histories[k] for k in group})
        for k in group:
            paths = drawn[f"s{k:04d}"]
            mase = float(np.abs(actual[k] - paths.mean(axis=0)).mean() / scale[k])
            ours.append(j.interval_rows(histories[k], actual[k], paths, scale[k]) | {"mase": mase})
    theirs = [_own_of_ets(histories[k], actual[k], scale[k]) for k in order[:: 1 if length else 4]]
    rows = []
    for model, each in ((OURS, ours), ("AutoETS", theirs)):
        means = {key: float(np.nanmean([row.get(key, np.nan) for row in each])) for key in each[0]}
        rows.append({"data": name, "months": length or "all", "model": model, "series": len(each)} | means)
    return rows


def _own_of_ets(history: Floats, actual: Floats, scale: float) -> dict[str, float]:
    """AutoETS's own intervals of months; it has no paths, so that sums and growth have none."""
    found = {}
    for level in j.LEVELS:
        low, high = own_interval("AutoETS", history, HORIZON, 12, level)
        found[f"months {100 * level:.0f}"] = float(np.mean((actual >= low) & (actual <= high)))
    return found | {"msis": j.interval_score(actual, low, high, scale)}
