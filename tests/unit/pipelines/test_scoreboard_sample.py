"""The scoreboard of the three predictors on the sample company: predicted half a year before its end, judged at its end."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Role
from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.scoreboard import WEIGHTED, scoreboard, weighted_revenue
from predictkpi.predictors import predictor_names
from predictkpi.predictors.close_time.baselines import RepDateBaseline
from predictkpi.protocol import BASELINE
from predictkpi.store import Store

NOW = pd.Timestamp("2026-01-02")
SURE = 0.05
"""What the overconfident version leaves of the width of an interval."""


@pytest.fixture(scope="module")
def then(company):
    return pd.Timestamp(company.end) - pd.DateOffset(months=7)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    """Small settings: of ways to be judged, not of good models."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "revenue.yaml").write_text("draws: 100\norigins: 2\npool_series: 4\n")
    (folder / "close_time.yaml").write_text("landmark_budget: 4000\n")
    return folder


@pytest.fixture(scope="module")
def store(company, then, models_dir, tmp_path_factory):
    """Each baseline has spoken as version 1, and as version 2 with intervals far too narrow; then everything became known."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('judged')}/facts.db")
    store.migrate()
    known = {name: rows[rows[c.KNOWN_AT] < then] for name, rows in company.tables.items()}
    store.load(known, company=company.company, now=then)
    past = store.snapshot(then)
    for name in predictor_names():
        baseline = make_model(name, models_dir).baseline()
        said = baseline.fit(baseline.training_table(past)).predict(past).assign(**{c.MODEL_VERSION: "1"})
        store.write_predictions(said)
        store.write_predictions(_overconfident(said).assign(**{c.MODEL_VERSION: "2"}), role=Role.SHADOW)
    store.load(company.tables, company=company.company, now=pd.Timestamp(company.end))
    yield store
    store.close()


def _overconfident(said: pd.DataFrame) -> pd.DataFrame:
    """Every quantile drawn in towards the median."""
    quantile = said[c.STATISTIC].str.extract(r"^(?:close_)?q\d+$|^(\w+)$")[0].isna()
    median = said[said[c.STATISTIC].isin(["q50", "close_q50"])].set_index([c.ENTITY_ID, c.HORIZON])[c.VALUE]
    middle = median.reindex(pd.MultiIndex.from_frame(said[[c.ENTITY_ID, c.HORIZON]])).to_numpy()
    return said.assign(**{c.VALUE: said[c.VALUE].where(~quantile, middle + SURE * (said[c.VALUE] - middle))})


@pytest.fixture(scope="module")
def figures(store, models_dir):
    boards = scoreboard(store, predictors=predictor_names(), models_dir=models_dir, now=NOW)
    return {board.predictor: board.figures.set_index([c.MODEL_VERSION, "candidate", c.HORIZON]).sort_index() for board in boards}


@pytest.mark.parametrize(("name", "horizon", "least"), [("revenue", 0, 0.4), ("clv", 6, 0.6), ("close_time", 180, 0.6)])
def test_coverage__shows_who_was_too_sure(figures, name, horizon, least):
    covered = figures[name]["coverage80"]
    assert covered["1", "model", horizon] > least
    assert covered["2", "model", horizon] < covered["1", "model", horizon] - 0.3


def test_shadow__with_the_same_points_is_told_from_its_champion_by_what_it_is_scored_on(figures):
    assert figures["revenue"].loc[("2", "champion", 0), "saved"] < 0
    for name in ("clv", "close_time"):  # judged by the mean, by the chance to be won: those are the same
        assert figures[name].loc[("2", "champion", 0), "saved"] == pytest.approx(0.0, abs=1e-9)


def test_rivals__are_all_baselines_and_what_the_crm_shows(figures):
    there = {name: set(rows.loc["1"].index.get_level_values(0)) - {"model"} for name, rows in figures.items()}
    assert there["revenue"] == {BASELINE, WEIGHTED}
    assert there["clv"] == {BASELINE}
    assert there["close_time"] == {BASELINE, "stage_curves", "stage_win_rate", "rep_date"}
    # version 1 is the baseline as it learnt on that day: learnt again from what was known then, it says the same
    for rows in figures.values():
        assert rows.loc[("1", BASELINE, 0), "saved"] == pytest.approx(0.0, abs=1e-9)


def test_rep_date__is_scored_as_the_rep_had_it_on_the_day(figures, store, then, models_dir):
    past = store.snapshot(then)
    said = RepDateBaseline().fit(make_model("close_time", models_dir).training_table(past)).predict(past)
    chance = said[(said[c.STATISTIC] == "cif_won") & (said[c.HORIZON] == 30)].set_index(c.ENTITY_ID)[c.VALUE]
    events = store.snapshot().deal_events
    closed = events[events[c.STAGE].isin(c.CLOSED_STAGES) & (events[c.DS] >= then)].sort_values(c.DS, kind="stable")
    first = closed.drop_duplicates(c.DEAL_ID).set_index(c.DEAL_ID)
    won = first.index[(first[c.STAGE] == c.WON) & (first[c.DS] < then + pd.Timedelta(days=30))]
    expected = ((chance - chance.index.isin(won)) ** 2).mean()
    assert figures["close_time"].loc[("1", "rep_date", 30), "loss"] == pytest.approx(expected)
    assert figures["close_time"].loc[("1", "rep_date", 30), c.N] == len(chance)


def test_weighted_pipeline__is_scored_against_the_company_s_months(figures, store, then):
    said = weighted_revenue(store.snapshot(then))
    said = said[said[c.STATISTIC] == "mean"].set_index(c.HORIZON)[c.VALUE]
    orders = store.snapshot().orders
    months = pd.period_range(then, periods=6, freq="M")
    came = orders.groupby(orders[c.DS].dt.to_period("M"))[c.AMOUNT].sum().reindex(months).to_numpy()
    found = figures["revenue"].loc[("1", WEIGHTED, 0)]
    assert found[c.N] == 6
    assert found["bias"] == pytest.approx(said.sum() / came.sum() - 1)
    assert found["error"] == pytest.approx(abs(said.to_numpy() - came).sum() / came.sum())
    assert found[["coverage80", "saved_low", "saved_high"]].isna().all(), "a point, of one entity on one day"
