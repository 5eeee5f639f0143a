"""Promised against came true: the points of the plot are what the scoreboard's measure of calibration sums up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest.board import CALIBRATION_COLUMNS, FIGURE_COLUMNS, PENDING_COLUMNS, Board
from predictkpi.backtest.scoreboard import ALL, CAME_TRUE, PROMISED, calibration_points, compare
from predictkpi.core import columns as c
from predictkpi.predictors.close_time.spec import SPEC as CLOSE_TIME
from predictkpi.predictors.clv.spec import SPEC as CLV
from predictkpi.predictors.revenue.forecaster import REVENUE_SPEC as REVENUE

AS_OF = pd.Timestamp("2024-01-01")
ENTITIES = [f"e{number:03d}" for number in range(400)]


def long(values: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame({c.ENTITY_ID: ENTITIES, c.AS_OF: AS_OF, c.HORIZON: 3, c.STATISTIC: name, c.VALUE: column})
            for name, column in values.items()
        ],
        ignore_index=True,
    )


def summed_up(spec, points: pd.DataFrame, outcomes: pd.DataFrame) -> float:
    """The measure of calibration, from the points alone."""
    off, n = (points[CAME_TRUE] - points[PROMISED]).abs(), points[c.N]
    if spec.score == "quantiles":
        return float(off.mean())
    if spec.score == "cumulative_incidence":
        return float((off * n).sum() / n.sum())
    return float((off * n).sum() / outcomes[c.VALUE].sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spec", [REVENUE, CLV, CLOSE_TIME], ids=lambda spec: spec.name)
def test_points__add_up_to_the_measure(spec, seed):
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 100.0, len(ENTITIES))
    if spec is CLOSE_TIME:
        chance = rng.beta(1.0, 3.0, len(ENTITIES))
        said, came = {"cif_won": chance}, {"cif_won": (rng.random(len(ENTITIES)) < chance).astype(float)}
    else:
        said = {spec.headline: level, "q10": 0.5 * level, "q50": level, "q90": 1.6 * level}
        came = {spec.headline: level * rng.lognormal(0.0, 0.4, len(ENTITIES))}
    outcomes = long(came).assign(**{c.IS_MATURE: True})
    points = calibration_points(spec, long(said), outcomes)
    whole = compare(spec, long(said), {}, outcomes, {}).set_index(c.HORIZON).loc[ALL]
    assert summed_up(spec, points, outcomes) == pytest.approx(whole["calibration"])
    assert points[c.N].sum() in (len(ENTITIES), len(ENTITIES) * len(points))


def test_points__of_nothing_are_none():
    nothing = long({"cif_won": np.full(len(ENTITIES), 0.5)})
    assert calibration_points(CLOSE_TIME, nothing, nothing.assign(**{c.IS_MATURE: False})).empty


def test_board__keeps_its_points():
    points = pd.DataFrame([("champion", "3", 0.1, 0.08, 12)], columns=CALIBRATION_COLUMNS)
    empty = pd.DataFrame(columns=FIGURE_COLUMNS), pd.DataFrame(columns=PENDING_COLUMNS)
    found = Board.of(Board("clv", AS_OF, AS_OF, *empty, calibration=points).text())
    assert found.calibration.to_dict("records") == points.to_dict("records")
