"""What of `revenue.py` is kept as its figures: ours beside the best published, the automatic models and AutoGluon, and coverage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from figures import Figure, Goal

Row = dict[str, object]
OURS, PUBLISHED = "ours", " (published)"
SUM_OF_AUTO = "AutoETS+AutoCES+DynamicOptimizedTheta"
SMAPE_GOALS, MASE_GOALS = {"M3 monthly": 13.3}, {"M3 monthly": 0.80, "M3 quarterly": 1.07}
COST_GOAL = 2.0
ALL_NODES_GOALS = {"aus_retail": 0.68}
BEATEN_AT_EVERY_LEVEL = ("AutoETS", "AutoARIMA", "Prophet", "seasonal naive")
COVERED = {"months 80": "months", "next quarter 80": "next quarter"}
_of = partial(Figure, area="Revenue", better="lower")


def headline(results: dict[str, list[Row]]) -> list[Figure]:
    """Of the parts that were run; parts of earlier runs may lie beside them."""
    figures = [figure for name in ("M3 monthly", "M3 quarterly") for figure in _competition(name, results.get("m3", []))]
    figures += _business(results.get("business", []))
    figures += [figure for row in results.get("hierarchy", []) for figure in _retail(row, results["hierarchy"])]
    return figures + [figure for row in results.get("short", []) for figure in _intervals(row, results["short"])]


def _key(name: object) -> str:
    return str(name).lower().replace(" ", "_")


def _competition(name: str, rows: list[Row]) -> Iterator[Figure]:
    by_model = {str(row["model"]): row for row in rows if row["data"] == name}
    if OURS not in by_model:
        return
    ours, series = by_model[OURS], f"{by_model[OURS]['series']:,} series"
    for measure, goals, digits in (("smape", SMAPE_GOALS, 3), ("mase", MASE_GOALS, 4)):
        title = {"smape": "sMAPE", "mase": "MASE"}[measure]
        published = [row for model, row in by_model.items() if model.endswith(PUBLISHED)]
        best = min(published, key=lambda row: float(str(row[measure])), default=None)
        peers = [("best_published", best), ("autoets", by_model.get("AutoETS")), ("automatic_mean", by_model.get(SUM_OF_AUTO))]
        for key, row in peers:
            if row is None:
                continue
            yield _of(
                name=f"revenue.{_key(name)}.{measure}.{key}",
                what=f"{title}, {name}, {series}, official split",
                ours=float(str(ours[measure])),
                unit="%" if measure == "smape" else "",
                digits=digits,
                peer=float(str(row[measure])),
                peer_name=_peer_of_competition(key, row),
                goal=_goal_of_competition(goals.get(name)) if key == "best_published" else None,
            )
    if by_model.get(SUM_OF_AUTO) is not None:
        yield _of(
            name=f"revenue.{_key(name)}.cpu",
            what=f"CPU time a thousand series, {name}",
            ours=float(str(ours["cpu_per_1000"])),
            unit="s",
            digits=0,
            peer=float(str(by_model[SUM_OF_AUTO]["cpu_per_1000"])),
            peer_name="AutoETS + AutoCES + DynamicOptimizedTheta",
            goal=Goal(of="ratio", most=COST_GOAL),
        )


def _goal_of_competition(most: float | None) -> Goal:
    """A number where one was set, and else to be first."""
    return Goal(of="ratio", most=1.0) if most is None else Goal(most=most)


def _peer_of_competition(key: str, row: Row) -> str:
    model = str(row["model"]).removesuffix(PUBLISHED)
    if key == "best_published":
        return f"{model}, best of 24 published"
    return "mean of AutoETS, AutoCES, DynamicOptimizedTheta" if model == SUM_OF_AUTO else model


def _business(rows: list[Row]) -> Iterator[Figure]:
    ours = next((row for row in rows if row["model"] == OURS), None)
    peer = next((row for row in rows if row["model"] != OURS), None)
    if ours is None or peer is None:
        return
    for measure, title, digits in (("smape", "sMAPE", 2), ("mase", "MASE", 3)):
        yield _of(
            name=f"revenue.business.{measure}",
            what=f"{title}, {ours['series']} monthly business series of M3",
            ours=float(str(ours[measure])),
            unit="%" if measure == "smape" else "",
            digits=digits,
            peer=float(str(peer[measure])),
            peer_name=str(peer["model"]),
            note=_difference(peer, f"{measure}_gain", digits),
        )


def _retail(row: Row, rows: list[Row]) -> Iterator[Figure]:
    """Beside each peer all nodes it was run on; and, where it was to be beaten at every level, the level at which ours does worst."""
    if row["level"] != "all" or str(row["model"]).startswith(OURS):
        return
    own = {each["level"]: each for each in rows if each["data"] == row["data"] and each["model"] == OURS}
    name = f"revenue.{row['data']}.{_key(row['model'])}"
    what = f"MASE, {row['data']}, 12 months ahead, {row['nodes']} of {own['all']['nodes']} nodes of all levels"
    note, goal = _difference(row, "mase_gain", 3), None
    if row["nodes"] == own["all"]["nodes"] and row["data"] in ALL_NODES_GOALS:
        goal = Goal(most=ALL_NODES_GOALS[str(row["data"])])
        note += "; the goal is from a work that judged otherwise"
    yield _of(name=name, what=what, note=note, goal=goal, **_beside(row))
    if row["model"] in BEATEN_AT_EVERY_LEVEL:
        levels = [each for each in rows if (each["data"], each["model"]) == (row["data"], row["model"]) and each["level"] != "all"]
        worst = max(levels, key=lambda each: _beside(each)["ours"] / _beside(each)["peer"])
        what = f"MASE, {row['data']}, 12 months ahead, worst of {len(levels)} levels: {worst['level']}, {worst['nodes']} nodes"
        if worst["nodes"] == 1:
            what = what.replace(", 1 nodes", "")
        note = "" if worst["nodes"] == 1 else _difference(worst, "mase_gain", 3)
        yield _of(name=f"{name}.worst_level", what=what, goal=Goal(of="ratio", most=1.0), note=note, **_beside(worst))


def _beside(row: Row) -> dict[str, Any]:
    """Ours on the peer's nodes: theirs and the mean difference are known, so ours is their sum."""
    gain, theirs = row["mase_gain"], float(str(row["mase"]))
    assert isinstance(gain, (list, tuple))
    return {"ours": theirs + float(gain[0]), "digits": 3, "peer": theirs, "peer_name": str(row["model"])}


def _difference(row: Row, name: str, digits: int) -> str:
    gain = row[name]
    assert isinstance(gain, (list, tuple))
    mean, low, high = (f"{float(each):+.{digits}f}" for each in gain)
    return f"ours less theirs {mean}, 95 % {low} to {high}"


def _intervals(row: Row, rows: list[Row]) -> Iterator[Figure]:
    """Coverage; and the interval score beside that of AutoETS's own intervals, judged on the same series where histories are short."""
    if row.get("model") != OURS:
        return
    length = "whole histories" if row["months"] == "all" else f"the last {row['months']} months"
    theirs = [each for each in rows if (each["data"], each["months"], each["model"]) == (row["data"], row["months"], "AutoETS")]
    if row["months"] != "all" and theirs and "msis" in row:
        yield _of(
            name=f"revenue.{_key(row['data'])}.msis.{row['months']}",
            what=f"interval score of months at 95 % (MSIS), {row['data']}, {length}",
            ours=float(str(row["msis"])),
            peer=float(str(theirs[0]["msis"])),
            peer_name="AutoETS's own intervals",
            goal=Goal(of="ratio", most=1.0),
        )
    for key, title in COVERED.items():
        if key not in row:
            continue
        yield _of(
            name=f"revenue.{_key(row['data'])}.covers_{_key(key)}.{row['months']}",
            what=f"80 % interval of {title} covers, {row['data']}, {length}",
            ours=100 * float(str(row[key])),
            unit="%",
            digits=1,
            peer=80.0,
            peer_name="promised",
            better="",
            goal=Goal(least=77.5, most=82.5),
        )
