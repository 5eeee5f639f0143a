from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest.report import figures
from predictkpi.backtest.run import run_backtest, series_scale
from predictkpi.core import columns as c
from predictkpi.errors import InsufficientDataError
from predictkpi.metrics.point import seasonal_naive_scale
from predictkpi.metrics.ranking import tweedie_deviance
from toy import company
from toy.model import Toy, ToyBaseline

CUTOFFS = [pd.Timestamp("2023-07-01"), pd.Timestamp("2023-11-01")]
CANDIDATES = {"model": Toy, "baseline": ToyBaseline}


class Watched(Toy):
    """Notes the newest fact it ever sees."""

    seen: list[tuple[pd.Timestamp, pd.Timestamp]]

    def training_table(self, snapshot):
        self.seen.append((snapshot.as_of, snapshot.history("orders")[c.KNOWN_AT].max()))
        return super().training_table(snapshot)


class Half(Toy):
    """Predicts for every second customer only."""

    def inputs(self, snapshot, *, entity_ids=None):
        return super().inputs(snapshot, entity_ids=entity_ids).iloc[::2]


def test_run_backtest__uses_only_facts_known_before_the_cutoff():
    Watched.seen = []
    run_backtest({"model": Watched, "baseline": ToyBaseline}, company.snapshot(), CUTOFFS)
    assert [as_of for as_of, _ in Watched.seen] == CUTOFFS
    assert all(newest < as_of for as_of, newest in Watched.seen)


def test_run_backtest__makes_one_training_table_for_a_model_and_the_baselines_that_take_it():
    class Sharing(Watched):
        kind = "baseline"
        takes_model_table = True

    Watched.seen = []
    shared = run_backtest({"model": Watched, "shared": Sharing, "baseline": ToyBaseline}, company.snapshot(), CUTOFFS)
    assert [as_of for as_of, _ in Watched.seen] == CUTOFFS
    assert shared.metrics["shared"] == shared.metrics["model"]
    Watched.seen = []
    run_backtest({"shared": Sharing, "model": Watched}, company.snapshot(), CUTOFFS)
    assert [as_of for as_of, _ in Watched.seen] == [CUTOFFS[0]] * 2 + [CUTOFFS[1]] * 2


def test_run_backtest__later_facts_do_not_change_predictions():
    frame = company.orders()
    later = frame[c.KNOWN_AT] >= CUTOFFS[0]
    changed = frame.assign(**{c.AMOUNT: frame[c.AMOUNT].where(~later, frame[c.AMOUNT] * 7)})
    one, other = (run_backtest(CANDIDATES, company.snapshot(each), CUTOFFS[:1]) for each in (frame, changed))
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    assert one.metrics["model"]["tweedie_deviance"] < other.metrics["model"]["tweedie_deviance"]


def test_run_backtest__scores_are_those_of_the_headline():
    result = run_backtest(CANDIDATES, company.snapshot(), CUTOFFS[:1])
    predicted = result.predictions[result.predictions["candidate"] == "model"].set_index([c.ENTITY_ID, c.HORIZON])[c.VALUE]
    actual = result.outcomes.set_index([c.ENTITY_ID, c.HORIZON])[c.VALUE].reindex(predicted.index)
    expected = tweedie_deviance(actual.to_numpy(), predicted.to_numpy()).mean()
    assert result.metrics["model"]["tweedie_deviance"] == pytest.approx(expected)
    assert set(result.fold_metrics["candidate"]) == {"model", "baseline"}


def test_run_backtest__both_candidates_are_scored_on_the_same_pairs_and_the_rest_is_counted():
    result = run_backtest({"model": Half, "baseline": ToyBaseline}, company.snapshot(), CUTOFFS)
    pairs = {
        name: set(zip(part[c.AS_OF], part[c.ENTITY_ID], part[c.HORIZON], strict=True)) for name, part in result.losses.groupby("candidate")
    }
    assert pairs["model"] == pairs["baseline"]
    # the outcomes are the first candidate's cohort: what only the baseline predicts is out of it
    assert len(pairs["model"]) == 20 * 2 * 2
    swapped = run_backtest({"baseline": ToyBaseline, "model": Half}, company.snapshot(), CUTOFFS)
    assert swapped.unscored.groupby(c.REASON)[c.N].sum().to_dict() == {"no prediction by model": 80}
    assert len(swapped.losses) + 2 * swapped.unscored[c.N].sum() == 2 * len(swapped.outcomes)


def test_run_backtest__immature_outcomes_are_counted_and_not_scored():
    result = run_backtest(CANDIDATES, company.snapshot(), [pd.Timestamp("2023-12-01")])
    assert set(result.losses[c.HORIZON]) == {1}
    assert result.unscored.to_dict("records") == [{c.AS_OF: pd.Timestamp("2023-12-01"), c.REASON: "not yet mature", c.N: 40}]


def test_run_backtest__nothing_to_score_says_why():
    with pytest.raises(InsufficientDataError, match="80 not yet mature"):
        run_backtest(CANDIDATES, company.snapshot(), [pd.Timestamp("2023-12-20")])
    with pytest.raises(InsufficientDataError, match="no cutoff"):
        run_backtest(CANDIDATES, company.snapshot(), [])


def test_run_backtest__tells_progress_after_every_fit():
    told = []
    run_backtest(CANDIDATES, company.snapshot(), CUTOFFS, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_series_scale__is_the_seasonal_naive_error_of_each_series():
    months = pd.date_range("2022-01-01", periods=15, freq="MS")
    y = np.arange(15.0) ** 2
    table = pd.concat([pd.DataFrame({c.UNIQUE_ID: name, c.DS: months, c.Y: y * factor}) for name, factor in (("a", 1), ("b", 10))])
    assert series_scale(table).to_dict() == {"a": seasonal_naive_scale(y), "b": seasonal_naive_scale(y * 10)}
    assert len(series_scale(pd.DataFrame({"x": [1]}))) == 0


def test_figures__are_png_for_the_family_of_the_predictor():
    drawn = figures(run_backtest(CANDIDATES, company.snapshot(), CUTOFFS))
    assert set(drawn) == {"loss_by_horizon.png", "deciles.png", "lorenz.png"}
    assert all(png.startswith(b"\x89PNG") and len(png) > 5000 for png in drawn.values())
