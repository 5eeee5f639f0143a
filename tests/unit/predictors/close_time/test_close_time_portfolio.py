"""What open deals bring together: joint draws, and what a total's interval is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import UnknownNameError
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.predictors.close_time.level import DEFAULT_SPREAD, level_spread, shrunk_spread
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.close_time.portfolio import DIMENSIONS, NONE, OpenDeals


@pytest.fixture(scope="module")
def deals(fitted, snapshot):
    return OpenDeals.of(fitted, snapshot)


def hand_made(chances, *, amounts=None, spread=0.0):
    """Deals won evenly over 180 days with these chances."""
    n = len(chances)
    inputs = pd.DataFrame({"entity_id": [f"D{i}" for i in range(n)], "amount": np.ones(n) if amounts is None else amounts})
    won = np.asarray(chances)[:, None] * np.arange(181) / 180
    return OpenDeals(inputs, won, np.full(n, "full", object), np.full(n, "", object), spread)


@pytest.mark.parametrize("by", DIMENSIONS)
def test_draw__groups_add_up_to_the_total_draw_by_draw(deals, by):
    grouped, whole = deals.draw(30, by=by), deals.draw(30)
    assert len(grouped.groups) > 1
    assert (grouped.wins.sum(axis=0) == whole.wins[0]).all()
    assert grouped.amount.sum(axis=0) == pytest.approx(whole.amount[0], rel=1e-12)


def test_draw__of_a_deal_is_the_same_in_whatever_set_it_stands(deals):
    grouped = deals.draw(30, by="owner")
    for number, owner in enumerate(grouped.groups):
        alone = deals.where({"owner": [owner]}).draw(30)
        assert (alone.wins[0] == grouped.wins[number]).all()
        assert (alone.amount[0] == grouped.amount[number]).all()


def test_draw__follows_from_the_seed(deals):
    assert (deals.draw(30).wins == deals.draw(30).wins).all()
    assert (deals.draw(30, seed=1).wins != deals.draw(30).wins).any()
    assert (deals.draw(60).wins >= deals.draw(30).wins).all(), "what is won within 30 days is won within 60"


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.6])
def test_draw__keeps_each_deal_s_chance_and_widens_the_total(spread):
    chances = np.repeat([0.02, 0.1, 0.3, 0.5, 0.9], 200)
    drawn = hand_made(chances, spread=spread).draw(180, draws=4000)
    wins = drawn.wins[0]
    assert wins.mean() == pytest.approx(chances.sum(), rel=0.01)
    independent = (chances * (1 - chances)).sum()
    assert wins.var() == pytest.approx(independent + spread**2 * independent**2, rel=0.15)


def test_draw__certain_and_impossible_deals(snapshot):
    drawn = hand_made([0.0, 1.0, 1.0], amounts=[5.0, 7.0, np.nan], spread=0.3).draw(180)
    assert (drawn.wins == 2).all()
    assert (drawn.amount == 7.0).all()


def test_draw_periods__add_up_to_what_is_drawn_up_to_their_end(deals):
    ends, members = np.array([10.0, 30.0, 30.0, 90.0]), deals.members("stage")
    stages = sorted(set(members))
    belongs = np.array([(members == stage).to_numpy(float) for stage in stages])
    periods = deals.draw_periods(ends, belongs, draws=500, seed=1)
    assert periods.shape == (len(stages), 500, len(ends))
    for place, days in enumerate(ends):
        drawn = deals.draw(days, by="stage", draws=500, seed=1)
        assert drawn.groups == stages
        assert periods[..., : place + 1].sum(axis=2) == pytest.approx(drawn.amount, rel=1e-12)


def test_draw_periods__of_certain_and_impossible_deals_and_of_none():
    deals = hand_made([0.0, 1.0, 1.0], amounts=[5.0, 7.0, np.nan], spread=0.3)
    periods = deals.draw_periods(np.array([0.0, 180.0]), np.ones((1, 3)), draws=50)
    assert (periods[0] == [0.0, 7.0]).all()
    assert not hand_made([]).draw_periods(np.array([30.0]), np.ones((2, 0)), draws=50).any()


def test_portfolio__says_what_is_open_and_what_it_will_bring(deals):
    table = deals.portfolio(30, by="stage").set_index("group")
    inputs, chance = deals.inputs, deals.chance(30)
    assert table.index[-1] == "total"
    assert table.loc["total", "open_deals"] == len(inputs)
    assert table.loc["total", "open_amount"] == pytest.approx(inputs["amount"].sum())
    assert table.loc["total", "weighted_amount"] == pytest.approx((inputs["amount"] * chance).sum())
    assert table.loc["total", "wins_mean"] == pytest.approx(chance.sum(), rel=0.05)
    for stage, rows in inputs.groupby("stage"):
        assert table.loc[stage, "open_deals"] == len(rows)
    for what in ("amount", "wins"):
        assert (table[f"{what}_q10"] <= table[f"{what}_q50"]).all()
        assert (table[f"{what}_q50"] <= table[f"{what}_q90"]).all()
        assert table[f"{what}_q90"].iloc[:-1].sum() > table.loc["total", f"{what}_q90"], "quantiles of a total are no sums of quantiles"


def test_portfolio__groups_by_the_month_of_the_expected_close(deals):
    events = deals.inputs.assign(month=deals.members("expected_close_month"))
    at = events["as_of"].iloc[0]
    for row in events.head(50).itertuples():
        expected = NONE if np.isnan(row.days_to_expected_close) else f"{at + pd.Timedelta(days=row.days_to_expected_close):%Y-%m}"
        assert row.month == expected


def test_portfolio__without_open_deals_is_empty(deals):
    none = OpenDeals(deals.inputs.iloc[:0], deals.won[:0], deals.status[:0], deals.reason[:0], 0.2)
    table = none.portfolio(30, by="owner")
    assert len(table) == 0
    assert list(table.columns) == list(deals.portfolio(30).columns)


def test_where__names_what_there_is(deals):
    with pytest.raises(UnknownNameError, match=r"no open deal with the stage named 'Daydreaming'; there are: .*Proposal"):
        deals.where({"stage": ["Daydreaming"]})
    with pytest.raises(UnknownNameError, match="dimension"):
        deals.portfolio(30, by="colour")


def test_interval__of_total_wins_covers_what_its_level_says(company, snapshot):
    """Learnt once, then asked at twelve month starts that do not overlap."""
    start = pd.Timestamp("2024-12-01")
    model = CloseTimePredictor(rounds=60, landmark_budget=8000)
    model.fit(model.training_table(snapshot.at(start)))
    covered, promised = [], []
    for month in range(12):
        as_of = start + pd.DateOffset(months=month)
        outcomes = model.outcomes(snapshot, as_of=as_of)
        won = outcomes[(outcomes["statistic"] == "cif_won") & (outcomes["horizon"] == 30)]["value"].sum()
        deals = OpenDeals.of(model, snapshot.at(as_of))
        row = deals.portfolio(30).iloc[-1]
        wins = deals.draw(30).wins[0]
        covered.append(row["wins_q10"] <= won <= row["wins_q90"])
        promised.append(((wins >= row["wins_q10"]) & (wins <= row["wins_q90"])).mean())
    assert 0.8 <= np.mean(promised) <= 0.95
    deviation = np.sqrt(np.sum(np.multiply(promised, np.subtract(1, promised))))
    assert abs(np.sum(covered) - np.sum(promised)) <= 2.5 * deviation


def test_shrunk_spread__finds_the_shock_of_many_months_and_keeps_the_default_without():
    rng = np.random.default_rng(3)
    for spread in (0.0, 0.5):
        chance = 0.2
        shifted = 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) + spread * rng.normal(size=400))))
        wins = rng.binomial(300, shifted)
        variance = np.full(400, 300 * chance * (1 - chance))
        assert shrunk_spread(wins - 300 * chance, variance) == pytest.approx(spread, abs=0.06)
    assert shrunk_spread(np.zeros(0), np.zeros(0)) == DEFAULT_SPREAD
    assert shrunk_spread(np.array([0.4]), np.array([0.5])) == pytest.approx(DEFAULT_SPREAD, abs=0.01)


def test_level_spread__is_learnt_by_the_model_and_kept(fitted, training_rows, snapshot, tmp_path):
    assert fitted.level_spread_ == level_spread(training_rows, fitted.daily)
    assert fitted.level_spread_ != DEFAULT_SPREAD
    fitted.save(tmp_path)
    assert CloseTimePredictor.load(tmp_path).level_spread_ == fitted.level_spread_
    baseline = AalenJohansenBaseline()
    assert baseline.fit(baseline.training_table(snapshot)).level_spread_ == DEFAULT_SPREAD
