"""Pictures of a backtest, as PNG bytes: generic by `Spec.score`, so that a new predictor gets its plots for nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.backtest.run import CANDIDATE, BacktestResult
from predictkpi.backtest.scores import CALIBRATION_HORIZON
from predictkpi.core import columns as c
from predictkpi.core.periods import shift

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID, MODEL, BASELINE = "#1f2933", "#e4e7eb", "#0b69a3", "#b08d57"
COLOURS = {"model": MODEL, "baseline": BASELINE}
FURTHER = ("#7a8794", "#a3558d", "#3f8f6b", "#8a6fbf")
"""For baselines beyond the first, in their order."""
BINS = 10


def figures(result: BacktestResult) -> dict[str, bytes]:
    """File name -> PNG: the loss by horizon, and the pictures of the predictor's score family."""
    family: dict[str, dict[str, Callable[[BacktestResult, Axes], None]]] = {
        "quantiles": {"fan.png": _fan},
        "mean": {"deciles.png": _deciles, "lorenz.png": _lorenz},
        "cumulative_incidence": {"reliability.png": _reliability, "cumulative_incidence.png": _incidence},
    }
    drawn = {"loss_by_horizon.png": _loss_by_horizon, **family[result.spec.score]}
    return {name: _png(result, draw) for name, draw in drawn.items()}


def _png(result: BacktestResult, draw: Callable[[BacktestResult, Axes], None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    draw(result, axes)
    axes.title.set(fontsize=12, fontweight="bold", color=INK)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _loss_by_horizon(result: BacktestResult, axes: Axes) -> None:
    losses = result.losses.groupby([CANDIDATE, c.HORIZON])["loss"].mean().unstack(CANDIDATE)
    positions = np.arange(len(losses))
    width = 0.8 / max(len(losses.columns), 1)
    for number, name in enumerate(sorted(losses.columns, reverse=True)):
        axes.bar(
            positions + (number - (len(losses.columns) - 1) / 2) * width,
            losses[name],
            width * 0.92,
            color=_colour(result, name),
            label=name,
        )
    axes.set_xticks(positions, [str(horizon) for horizon in losses.index])
    axes.grid(axis="x", visible=False)
    axes.set(title=f"{result.spec.title['en']}: mean loss by horizon (lower is better)", xlabel=f"horizon in {result.spec.time_unit}s")


def _fan(result: BacktestResult, axes: Axes) -> None:
    """The first series (the total, where there is one) as forecast at every cutoff, with what came true; intervals of the newest."""
    entities = sorted(result.losses[c.ENTITY_ID].unique(), key=lambda name: (name != c.TOTAL, name))
    entity = entities[0]
    actual = result.outcomes[(result.outcomes[c.ENTITY_ID] == entity) & (result.outcomes[c.STATISTIC] == result.spec.headline)]
    actual = _dated(actual[actual[c.IS_MATURE].astype(bool)]).drop_duplicates(c.DS, keep="last").sort_values(c.DS)
    model = _dated(result.predictions[(result.predictions[CANDIDATE] == "model") & (result.predictions[c.ENTITY_ID] == entity)])
    newest = model[c.AS_OF].max()
    for cutoff, fold in model.groupby(c.AS_OF):
        wide = fold.pivot(index=c.DS, columns=c.STATISTIC, values=c.VALUE).sort_index()
        if cutoff != newest:
            axes.plot(wide.index, wide[result.spec.headline], color=MODEL, linewidth=1, alpha=0.35)
            continue
        for low, high, opacity, name in (("q025", "q975", 0.12, "95 % interval"), ("q10", "q90", 0.25, "80 % interval")):
            if low in wide and high in wide:
                axes.fill_between(wide.index, wide[low], wide[high], color=MODEL, alpha=opacity, linewidth=0, label=name)
        axes.plot(wide.index, wide[result.spec.headline], color=MODEL, linewidth=1.8, label="newest forecast (thin: earlier ones)")
    axes.plot(actual[c.DS], actual[c.VALUE], color=INK, linewidth=1.8, marker="o", markersize=3, label="what came true")
    axes.set(title=f"{result.spec.title['en']}: {entity}, as forecast at each cutoff")
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the month a horizon speaks of: 1 is the running month of as_of."""
    pairs = zip(rows[c.AS_OF], rows[c.HORIZON], strict=True)
    return rows.assign(**{c.DS: [shift(pd.Timestamp(as_of), int(horizon) - 1, "M") for as_of, horizon in pairs]})


def _deciles(result: BacktestResult, axes: Axes) -> None:
    """Mean actual by decile of the prediction, at the middle horizon."""
    horizons = sorted(result.losses[c.HORIZON].unique())
    horizon = horizons[len(horizons) // 2]
    for name, pairs in _paired(result, horizon).items():
        ranked = pairs["predicted"].rank(method="first", pct=True)
        decile = np.minimum((ranked * BINS).astype(int) + 1, BINS)
        means = pairs.groupby(decile).mean()
        axes.plot(means.index, means["actual"], color=_colour(result, name), marker="o", linewidth=1.6, label=f"{name}: came true")
        axes.plot(means.index, means["predicted"], color=_colour(result, name), linestyle=":", linewidth=1.4, label=f"{name}: predicted")
    axes.set_xticks(range(1, BINS + 1))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    title = f"{result.spec.title['en']}: mean per customer over {horizon} {result.spec.time_unit}s"
    axes.set(title=title, xlabel="decile of the prediction (10 = highest)")


def _lorenz(result: BacktestResult, axes: Axes) -> None:
    """Share of all revenue that the customers ranked highest brought, at the middle horizon, beside the best ranking there could be."""
    horizons = sorted(result.losses[c.HORIZON].unique())
    horizon = horizons[len(horizons) // 2]
    for number, (name, pairs) in enumerate(_paired(result, horizon).items()):
        amounts = pairs["actual"].clip(lower=0.0)
        share = np.linspace(0, 1, len(pairs) + 1)
        if not number:
            axes.plot(
                share, _cumulated(amounts.sort_values(ascending=False)), color=INK, linewidth=1, linestyle="--", label="best possible"
            )
        ranked = amounts.loc[pairs["predicted"].sort_values(ascending=False, kind="stable").index]
        axes.plot(share, _cumulated(ranked), color=_colour(result, name), linewidth=1.6, label=name)
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.2)
    axes.set(
        title=f"{result.spec.title['en']}: share of revenue from the customers ranked highest, {horizon} {result.spec.time_unit}s",
        xlabel="share of customers, highest prediction first",
        ylabel="share of revenue",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _cumulated(amounts: pd.Series) -> np.ndarray:
    total = float(amounts.sum())
    return np.concatenate([[0.0], np.cumsum(amounts.to_numpy(float)) / total if total > 0 else np.zeros(len(amounts))])


def _incidence(result: BacktestResult, axes: Axes) -> None:
    """Mean promised share of deals won and lost by each horizon, with the share that was (all deals of a fold are known that long)."""
    keys = [c.AS_OF, c.ENTITY_ID, c.HORIZON]
    scored = result.losses.loc[result.losses[CANDIDATE] == "model", keys]
    actual = result.outcomes.set_index([*keys, c.STATISTIC])[c.VALUE].unstack(c.STATISTIC).reindex(pd.MultiIndex.from_frame(scored))
    for statistic, style, word in (("cif_won", "-", "won"), ("cif_lost", "--", "lost")):
        if statistic not in actual:
            continue
        came = actual[statistic].groupby(level=c.HORIZON).mean()
        axes.plot(came.index, came, color=INK, linestyle=style, linewidth=1.8, marker="o", markersize=3, label=f"{word}: came true")
        for name in result.metrics:
            said = result.predictions[(result.predictions[CANDIDATE] == name) & (result.predictions[c.STATISTIC] == statistic)]
            mean = said.merge(scored, on=keys).groupby(c.HORIZON)[c.VALUE].mean()
            if len(mean):
                axes.plot(mean.index, mean, color=_colour(result, name), linestyle=style, linewidth=1.4, label=f"{word}: {name}")
    axes.set(
        title=f"{result.spec.title['en']}: deals won and lost by then, promised and kept",
        xlabel=f"{result.spec.time_unit}s after the cutoff",
        ylabel="share of open deals",
    )


def _reliability(result: BacktestResult, axes: Axes) -> None:
    """Observed share of wins against predicted probability, in bins of equal count, with 95 % Wilson intervals."""
    horizons = set(result.losses[c.HORIZON])
    horizon = CALIBRATION_HORIZON if CALIBRATION_HORIZON in horizons else min(horizons)
    top = 0.0
    for name, pairs in _paired(result, horizon).items():
        edges = np.unique(np.quantile(pairs["predicted"], np.linspace(0, 1, BINS + 1)))
        bins = pairs.groupby(np.clip(np.searchsorted(edges, pairs["predicted"], side="right"), 1, max(len(edges) - 1, 1)))
        means, counts = bins.mean(), bins.size()
        centre, half = _wilson(means["actual"].to_numpy(), counts.to_numpy())
        axes.vlines(means["predicted"], centre - half, centre + half, color=_colour(result, name), alpha=0.45, linewidth=1.5)
        axes.plot(means["predicted"], means["actual"], color=_colour(result, name), marker="o", linewidth=1.4, label=name)
        top = max(top, float(means["predicted"].max()), float((centre + half).max()))
    axes.plot([0, top], [0, top], color=INK, linewidth=1, linestyle="--", label="perfect")
    axes.set(
        title=f"{result.spec.title['en']}: promised and kept within {horizon} {result.spec.time_unit}s",
        xlabel="predicted probability",
        ylabel="observed share",
    )


def _wilson(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre, half


def _paired(result: BacktestResult, horizon: int) -> dict[str, pd.DataFrame]:
    """candidate -> columns predicted, actual of the headline at one horizon, for the pairs that were scored."""
    keys = [c.AS_OF, c.ENTITY_ID, c.HORIZON]
    scored = result.losses[[CANDIDATE, *keys]]
    actual = result.outcomes[result.outcomes[c.STATISTIC] == result.spec.headline].set_index(keys)[c.VALUE].rename("actual")
    predicted = result.predictions[result.predictions[c.STATISTIC] == result.spec.headline].set_index([CANDIDATE, *keys])[c.VALUE]
    rows = scored[scored[c.HORIZON] == horizon].join(predicted.rename("predicted"), on=[CANDIDATE, *keys]).join(actual, on=keys)
    return {str(name): part[["predicted", "actual"]] for name, part in rows.groupby(CANDIDATE)}


def _colour(result: BacktestResult, name: str) -> str:
    if name in COLOURS:
        return COLOURS[name]
    further = [other for other in result.metrics if other not in COLOURS]
    return FURTHER[further.index(name) % len(FURTHER)]
