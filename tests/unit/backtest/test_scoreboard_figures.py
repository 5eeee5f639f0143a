"""Figures of the scoreboard on a handful of predictions, and which days are judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest.board import FIGURE_COLUMNS, PENDING_COLUMNS, Board
from predictkpi.backtest.judged import NO_OUTCOME, NOT_OVER, choose_days, pending
from predictkpi.backtest.scoreboard import ALL, compare
from predictkpi.core import columns as c
from predictkpi.predictors.close_time.spec import SPEC as CLOSE_TIME
from predictkpi.predictors.revenue.forecaster import REVENUE_SPEC as REVENUE

AS_OF = pd.Timestamp("2024-01-01")
NO_SCALES: dict[pd.Timestamp, pd.Series] = {}


def long(horizon: int, by_entity: dict[str, dict[str, float]], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    rows = [(entity, as_of, horizon, name, value) for entity, values in by_entity.items() for name, value in values.items()]
    return pd.DataFrame(rows, columns=[c.ENTITY_ID, c.AS_OF, c.HORIZON, c.STATISTIC, c.VALUE])


def came(horizon: int, by_entity: dict[str, dict[str, float]], *, mature: bool = True) -> pd.DataFrame:
    return long(horizon, by_entity).assign(**{c.IS_MATURE: mature})


def test_compare__of_series_states_error_bias_and_how_often_quantiles_held():
    said = long(1, {name: {"mean": 100.0, "q10": 80.0, "q50": 100.0, "q90": 120.0} for name in "abcd"})
    outcomes = came(1, {"a": {"mean": 90.0}, "b": {"mean": 110.0}, "c": {"mean": 70.0}, "d": {"mean": 130.0}})
    found = compare(REVENUE, said, {}, outcomes, NO_SCALES).set_index(c.HORIZON).loc[1]
    assert found[c.N] == 4
    assert found["error"] == pytest.approx((10 + 10 + 30 + 30) / 400)
    assert found["bias"] == pytest.approx(0.0)
    assert found["coverage80"] == 0.5
    assert np.isnan(found["coverage95"])
    # at or below q10: one of four; q50: two; q90: three
    assert found["calibration"] == pytest.approx((0.15 + 0.0 + 0.15) / 3)
    expected = np.mean([np.sqrt(2 * level * (1 - level) / (np.pi * 4)) for level in (0.1, 0.5, 0.9)])
    assert found["calibration_floor"] == pytest.approx(expected)


def test_compare__of_deals_states_brier_wins_and_close_dates_among_the_won():
    said = pd.concat(
        [
            long(30, {"a": {"cif_won": 0.8, "cif_lost": 0.1}, "b": {"cif_won": 0.2, "cif_lost": 0.1}}),
            long(
                180,
                {
                    name: {"cif_won": 0.9, "cif_lost": 0.1, "close_q10": low, "close_q50": 20.0, "close_q90": 40.0}
                    for name, low in (("a", 10.0), ("b", 10.0))
                },
            ),
        ]
    )
    outcomes = pd.concat(
        [
            came(30, {"a": {"cif_won": 1.0, "cif_lost": 0.0}, "b": {"cif_won": 0.0, "cif_lost": 0.0}}),
            came(
                180, {"a": {"cif_won": 1.0, "cif_lost": 0.0, "close_q50": 26.0}, "b": {"cif_won": 1.0, "cif_lost": 0.0, "close_q50": 90.0}}
            ),
        ]
    )
    found = compare(CLOSE_TIME, said, {}, outcomes, NO_SCALES).set_index(c.HORIZON)
    assert found.loc[30, "loss"] == pytest.approx((0.2**2 + 0.2**2) / 2)
    assert found.loc[30, "bias"] == pytest.approx(0.0)
    assert np.isnan(found.loc[30, "error"])
    assert found.loc[180, "loss"] == pytest.approx(0.1**2)
    assert found.loc[180, "error"] == pytest.approx(np.median([6.0, 70.0]))
    assert found.loc[180, "coverage80"] == 0.5
    # over all horizons: trapezoids from day 0, where nothing can be wrong, as the gate integrates
    at_30, at_180 = 0.2**2, 0.1**2
    assert found.loc[ALL, "loss"] == pytest.approx((at_30 * 30 / 2 + (at_30 + at_180) / 2 * 150) / 180)


def test_compare__without_a_common_pair_is_silent_about_the_rival():
    said, outcomes = long(1, {"a": {"mean": 1.0, "q50": 1.0}}), came(1, {"a": {"mean": 2.0}})
    found = compare(REVENUE, said, {"other": long(1, {"b": {"mean": 1.0, "q50": 1.0}})}, outcomes, NO_SCALES)
    assert set(found["candidate"]) == {"model"}
    assert compare(REVENUE, said, {}, outcomes.assign(**{c.IS_MATURE: False}), NO_SCALES).empty


def test_pending__tells_what_is_not_over_from_what_is_missing():
    said = long(2, {"a": {"mean": 1.0}, "b": {"mean": 1.0}})
    outcomes = pd.concat([came(2, {"a": {"mean": float("nan")}}, mature=False), came(2, {"b": {"mean": float("nan")}})])
    found = pending(REVENUE, said, outcomes).set_index(c.REASON)
    assert found.loc[NOT_OVER, "due"] == pd.Timestamp("2024-03-01")
    assert found[c.N].to_dict() == {NOT_OVER: 1, NO_OUTCOME: 1}
    assert pd.isna(found.loc[NO_OUTCOME, "due"])


def days(*given: tuple[str, str, str]) -> pd.DataFrame:
    rows = [(version, role, pd.Timestamp(day)) for version, role, day in given]
    return pd.DataFrame(rows, columns=[c.MODEL_VERSION, c.ROLE, c.AS_OF])


def test_choose_days__takes_one_a_week_that_most_share_and_leaves_nobody_without():
    """2024-01-01 is a Monday."""
    given = days(
        ("1", "champion", "2024-01-01"),
        ("1", "champion", "2024-01-03"),
        ("2", "shadow", "2024-01-03"),
        ("1", "champion", "2024-01-04"),
        ("2", "shadow", "2024-01-04"),
        ("3", "served", "2024-01-07"),
        ("1", "champion", "2024-01-08"),
    )
    chosen, left = choose_days(given, CLOSE_TIME)
    expected = days(
        ("1", "champion", "2024-01-03"), ("2", "shadow", "2024-01-03"), ("3", "served", "2024-01-07"), ("1", "champion", "2024-01-08")
    )
    pd.testing.assert_frame_equal(chosen, expected)
    assert left == 2


def test_choose_days__keeps_the_newest_weeks():
    every = [("1", "champion", f"{day:%Y-%m-%d}") for day in pd.date_range("2023-01-02", periods=60, freq="7D")]
    chosen, left = choose_days(days(*every), CLOSE_TIME)
    assert (len(chosen), left) == (52, 8)
    assert chosen[c.AS_OF].max() == pd.Timestamp(every[-1][2])


def test_board__survives_its_text_where_it_is_empty():
    empty = Board("clv", AS_OF, AS_OF, pd.DataFrame(columns=FIGURE_COLUMNS), pd.DataFrame(columns=PENDING_COLUMNS), ("a note",))
    found = Board.of(empty.text())
    assert (found.predictor, found.as_of, found.notes) == ("clv", AS_OF, ("a note",))
    assert list(found.figures.columns) == FIGURE_COLUMNS
    assert found.figures.empty
    assert found.pending.empty
