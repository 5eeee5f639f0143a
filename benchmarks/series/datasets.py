"""Real series: the M3 competition with its published forecasts, and two national retail statistics as hierarchies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.predictors.revenue.scopes import entity_id_of

Floats = npt.NDArray[np.float64]

M3_FOLDER = "series/m3"
RETAIL_FOLDERS = {"aus_retail": "series/aus_retail", "us_census_retail": "series/us_census_retail"}
# Published forecasts have one column a step, the longest horizon of the competition.
_LONGEST = 18


@dataclass(frozen=True)
class Competition:
    """Series of one period: ``history`` by id, ``actual`` (n, h) in the same order, and the forecasts (n, h) of each published method.

    A method that left a series out has NaN there. ``kind`` of each series in the competition's words: MICRO, INDUSTRY, ...
    """

    name: str
    season: int
    history: dict[str, Floats]
    actual: Floats
    published: dict[str, Floats]
    kind: list[str]

    @property
    def horizon(self) -> int:
        return self.actual.shape[1]


@dataclass(frozen=True)
class Hierarchy:
    """Monthly nodes of a hierarchy over the same months: ``y`` (n, months) and the ``level`` each node is of.

    ``scopes`` are their names as revenue series, where they add up: ``state=Victoria``; else empty.
    """

    name: str
    ids: list[str]
    level: list[str]
    y: Floats
    scopes: list[str] = field(default_factory=list)


def load_m3(root: Path, period: str, *, season: int) -> Competition:
    """``period`` is MONTHLY or QUARTERLY. Raises `FileNotFoundError` where the data are not in ``root``."""
    folder = _folder(root, M3_FOLDER)
    info = pd.read_csv(folder / "m3_info.csv")
    info = info[(info["comp"] == "M3") & (info["period"] == period)].sort_values("id")
    ids, horizon = info["id"].tolist(), int(info["h"].iloc[0])
    long = pd.read_parquet(folder / "m3_long.parquet")
    long = long[(long["comp"] == "M3") & long["id"].isin(ids)].sort_values(["id", "t"])
    history = {str(key): part.to_numpy(float) for key, part in long[long["split"] == "train"].groupby("id")["y"]}
    actual = np.stack([part.to_numpy(float) for _, part in long[long["split"] != "train"].groupby("id")["y"]])
    forecasts = pd.read_parquet(folder / "m3_method_forecasts.parquet")
    steps = [f"h{step}" for step in range(1, _LONGEST + 1)][:horizon]
    published = {str(name): part.set_index("id")[steps].reindex(ids).to_numpy(float) for name, part in forecasts.groupby("method")}
    return Competition(f"M3 {period.lower()}", season, history, actual, published, info["type"].tolist())


def load_hierarchy(root: Path, name: str) -> Hierarchy:
    """One of `RETAIL_FOLDERS`. Raises `FileNotFoundError` where the data are not in ``root``."""
    return _READERS[name](_folder(root, RETAIL_FOLDERS[name]))


def _folder(root: Path, name: str) -> Path:
    if not (root / name).is_dir():
        raise FileNotFoundError(f"{name} is not in {root}")
    return root / name


def _aus_retail(folder: Path) -> Hierarchy:
    """Total, states, industries, and the state by industry series that run to the end; sums of what exists in each month, AUD m.

    Only months in which all those series exist, so that a sum does not jump when one begins.
    """
    long = pd.read_csv(folder / "aus_retail.csv.gz")
    wide = long.pivot_table(index=["State", "Industry"], columns="Month", values="Turnover")
    wide = wide[wide.iloc[:, -1].notna()]
    first = wide.notna().all(axis=0).to_numpy().argmax()
    leaves = wide.iloc[:, first:]
    states, industries = leaves.groupby("State").sum(), leaves.groupby("Industry").sum()
    parts = [
        ("total", ["total"], leaves.sum().to_numpy()[None]),
        ("state", states.index.tolist(), states.to_numpy()),
        ("industry", industries.index.tolist(), industries.to_numpy()),
        ("state x industry", [" / ".join(key) for key in leaves.index], leaves.to_numpy()),
    ]
    members = [dict(zip(("state", "industry"), key, strict=True)) for key in leaves.index]
    scopes: list[dict[str, str]] = [
        {},
        *({"state": name} for name in states.index),
        *({"industry": name} for name in industries.index),
        *members,
    ]
    return replace(_stacked("aus_retail", parts), scopes=[entity_id_of(scope) for scope in scopes])


def _us_census_retail(folder: Path) -> Hierarchy:
    """The total and the kinds of business by digits of their code, not seasonally adjusted, complete over all months; USD m."""
    long = pd.read_csv(folder / "us_retail_monthly_long.csv.gz", dtype={"naics": "str"})
    long = long[long["adjustment"] == "NSA"]
    is_total = long["kind_of_business"] == "Retail and food services sales, total"
    code = long["naics"].where(~is_total, "total")
    wide = long.assign(code=code)[code.notna()].pivot_table(index="code", columns="month", values="sales_musd").dropna()
    wide = wide[~wide.index.str.contains(",")]
    digits = wide.index.str.len().to_numpy()
    is_total = (wide.index == "total").astype(bool)
    masks = {"total": is_total, "3 digits": (digits == 3), "4 digits": (digits == 4), "5-6 digits": (digits >= 5) & ~is_total}
    return _stacked("us_census_retail", [(level, wide.index[mask].tolist(), wide[mask].to_numpy()) for level, mask in masks.items()])


def _stacked(name: str, parts: list[tuple[str, list[str], Floats]]) -> Hierarchy:
    ids = [f"{level}: {member}" for level, members, _ in parts for member in members]
    level = [level for level, members, _ in parts for _ in members]
    return Hierarchy(name, ids, level, np.concatenate([y for *_, y in parts]).astype(float))


_READERS: dict[str, Callable[[Path], Hierarchy]] = {"aus_retail": _aus_retail, "us_census_retail": _us_census_retail}
