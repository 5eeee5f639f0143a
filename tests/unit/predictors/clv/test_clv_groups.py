"""What groups of customers bring together: joint draws, and what a total's interval is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import UnknownNameError
from predictkpi.features import rfm
from predictkpi.predictors import predictor_class
from predictkpi.predictors.clv.btyd import Btyd
from predictkpi.predictors.clv.cells import CellDraws
from predictkpi.predictors.clv.gamma_gamma import GammaGamma
from predictkpi.predictors.clv.groups import DIMENSIONS, NONE, TOTAL_COLUMNS, CustomerBase, draws_of, joint, owners, shocks, shuffled
from predictkpi.predictors.clv.level import DEFAULT_SPREAD
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.ranks import ranks
from predictkpi.predictors.clv.simulate import SharedDraws
from predictkpi.predictors.clv.spec import QUANTILES, SPEC
from predictkpi.snapshot import MemoryFacts, Snapshot


@pytest.fixture(scope="module")
def fitted(snapshot) -> ClvPredictor:
    model = ClvPredictor(draws=32)
    return model.fit(model.training_table(snapshot))


@pytest.fixture(scope="module")
def predictions(fitted, snapshot) -> pd.DataFrame:
    return fitted.predict(snapshot)


@pytest.fixture(scope="module")
def base(fitted, snapshot, predictions) -> CustomerBase:
    return CustomerBase.of(fitted, snapshot, predictions)


@pytest.fixture(scope="module")
def baseline_base(snapshot) -> CustomerBase:
    baseline = ClvPredictor().baseline()
    return CustomerBase.of(baseline.fit(baseline.training_table(snapshot)), snapshot)


@pytest.fixture(params=["base", "baseline_base"])
def either(request) -> CustomerBase:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("by", DIMENSIONS)
def test_draw__groups_add_up_to_the_total_draw_by_draw(either, by):
    grouped, whole = either.draw(by=by), either.draw()
    assert len(grouped.groups) > 1
    np.testing.assert_allclose(grouped.revenue.sum(axis=0), whole.revenue[0], rtol=1e-10)


def test_draw__of_a_group_is_the_same_in_whatever_set_it_stands(either):
    grouped = either.draw(by="segment")
    for number, segment in enumerate(grouped.groups):
        alone = either.where({"segment": [segment]}).draw()
        np.testing.assert_allclose(alone.revenue[0], grouped.revenue[number], rtol=1e-10)


def test_draw__has_the_mean_that_is_predicted(either):
    drawn = either.draw(by="owner")
    for number, owner in enumerate(drawn.groups):
        expected = either.predicted["mean"][(either.members("owner") == owner).to_numpy()].sum(axis=0)
        assert drawn.revenue[number].mean(axis=-1) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("by", [None, *DIMENSIONS])
def test_totals__are_the_sums_of_the_customers_predictions(base, predictions, by):
    table = base.totals(by=by)
    assert list(table.columns) == TOTAL_COLUMNS
    member = dict(zip(base.inputs[c.ENTITY_ID], base.members(by), strict=True))
    named = predictions.assign(group=predictions[c.ENTITY_ID].map(member))
    for statistic in ("mean", "discounted", "expected_purchases"):
        told = named[named[c.STATISTIC] == statistic]
        sums = told.groupby(["group", c.HORIZON])[c.VALUE].sum()
        for row in table.itertuples():
            expected = told[told[c.HORIZON] == row.horizon][c.VALUE].sum() if row.group == "total" else sums[row.group, row.horizon]
            assert getattr(row, statistic) == pytest.approx(expected, rel=1e-12)


def test_totals__count_everybody_and_put_the_total_last(base):
    table = base.totals(by="segment")
    year = table[table[c.HORIZON] == 12].set_index("group")
    assert year.index[-1] == "total"
    for segment, rows in base.inputs.groupby("segment"):
        assert year.loc[segment, "customers"] == len(rows)
        assert year.loc[segment, "without_order"] == (rows[rfm.ORDERS] == 0).sum()
    assert year.loc["total", "customers"] == len(base.inputs)
    assert 0 < year.loc["total", "without_order"] < len(base.inputs)
    assert sorted(table[c.HORIZON].unique()) == list(SPEC.horizons)
    assert ((table["q10"] < table["q50"]) & (table["q50"] < table["q90"])).all()
    assert year["q90"].iloc[:-1].sum() > year.loc["total", "q90"], "quantiles of a total are no sums of quantiles"


def test_totals__of_contracts_are_the_sums_too(book):
    """Members who pay every 30 days and leave now and then, beside customers who come as they like."""
    rng, start = np.random.default_rng(5), pd.Timestamp("2022-01-01")
    rows, accounts = [], []
    for number in range(120):
        stays = min(int(rng.geometric(0.06)), 30)
        rows += [(f"member{number}", start + pd.Timedelta(days=30 * k + number % 28), 50.0) for k in range(stays)]
        free = np.cumsum(rng.exponential(70.0, 6))
        rows += [(f"free{number}", start + pd.Timedelta(days=float(day)), rng.gamma(3.0) * 30) for day in free if day < 900]
        accounts += [(f"member{number}", "Members", start), (f"free{number}", "Free", start)]
    snapshot = Snapshot(book(rows, accounts=accounts), start + pd.Timedelta(days=900))
    model = ClvPredictor(draws=32)
    model.fit(model.training_table(snapshot))
    assert list(model.forecast_.contracts.by_segment) == ["Members"]
    found = CustomerBase.of(model, snapshot)
    drawn = found.draw(by="segment")
    for segment, revenue in zip(drawn.groups, drawn.revenue, strict=True):
        expected = found.predicted["mean"][(found.members("segment") == segment).to_numpy()].sum(axis=0)
        assert revenue.mean(axis=-1) == pytest.approx(expected, rel=0.01)
    assert set(found.members("owner")) == {NONE}, "a company without deals has no owners"


def test_totals__are_the_same_every_time(base, fitted, snapshot):
    pd.testing.assert_frame_equal(base.totals(by="region"), CustomerBase.of(fitted, snapshot).totals(by="region"))


def test_totals__of_accounts_without_an_order_are_not_nothing(base):
    fresh = base.inputs[c.ENTITY_ID][base.inputs[rfm.ORDERS] == 0]
    kept = base.inputs[c.ENTITY_ID].isin(fresh).to_numpy()
    alone = replace(
        base, inputs=base.inputs[kept].reset_index(drop=True), predicted={name: values[kept] for name, values in base.predicted.items()}
    )
    row = alone.totals().iloc[-1]
    assert row["customers"] == row["without_order"] == len(fresh)
    assert row["mean"] > 0
    assert row["q90"] > row["mean"]


def test_draw__shares_a_level_and_so_is_wider_than_independent_customers(fitted, snapshot, base):
    class WithoutLevel:
        def spend_draws(self, inputs, *, days, draws=None):
            yield from fitted.spend_draws(inputs, days=days, draws=draws)

        def level_spreads(self, days):
            return np.zeros(len(days))

    alone = replace(base, predictor=WithoutLevel()).draw().revenue[0]
    shared = base.draw().revenue[0]
    spread = fitted.level_spreads(np.array([365.0]))[0]
    assert spread > 0.05
    relative = [drawn[2].std() / drawn[2].mean() for drawn in (alone, shared)]
    assert relative[1] == pytest.approx(np.hypot(relative[0], spread), rel=0.15)
    assert relative[1] > relative[0]


def test_draw__without_a_level_has_the_spread_of_published_models(draw):
    snapshot = draw(seed=3, n=60, days=100).snapshot()
    model = ClvPredictor(draws=32)
    model.fit(model.training_table(snapshot))
    assert model.forecast_.level(365.0) is None
    assert (model.level_spreads(np.array([90.0, 365.0])) == DEFAULT_SPREAD).all()


@pytest.mark.parametrize("draws", [64, 256])
def test_draw__of_fewer_draws_tells_nearly_the_same(base, draws):
    many, few = (replace(base, draws=number).totals().set_index(c.HORIZON) for number in (1024, draws))
    for name in ("q10", "q50", "q90"):
        assert few.loc[12, name] == pytest.approx(many.loc[12, name], rel=0.06)
    assert (few["mean"] == many["mean"]).all()


def test_draws_of__a_large_cohort_are_fewer_and_powers_of_two():
    numbers = [draws_of(customers) for customers in (0, 100_000, 100_001, 10_000_000)]
    assert numbers == [1024, 1024, 256, 256]


class SurerOfLess:
    """The draws of another predictor's first horizon at all of them, and a level that is less sure of each longer one."""

    def __init__(self, predictor):
        self.predictor = predictor

    def spend_draws(self, inputs, *, days, draws=None):
        for rows, drawn in self.predictor.spend_draws(inputs, days=days, draws=draws):
            yield rows, np.repeat(drawn[:, :1], len(days), axis=1)

    def level_spreads(self, days):
        return np.linspace(0.1, 0.4, len(days))


def test_totals__never_fall_with_the_horizon(base):
    flat = {name: np.repeat(values[:, :1], len(SPEC.horizons), axis=1) for name, values in base.predicted.items()}
    totals = replace(base, predicted=flat, predictor=SurerOfLess(base.predictor)).totals(by="segment")
    for _, rows in totals.groupby("group"):
        assert (rows[["q10", "q50", "q90"]].diff().dropna() >= 0).all(axis=None)


def test_shuffled__keeps_each_customer_s_draws_and_makes_them_independent():
    draws = np.tile(np.arange(1024.0), (200, 1, 1))
    found = shuffled(draws, np.array([f"C{i}" for i in range(200)], object))
    assert (np.sort(found, axis=-1) == draws).all()
    assert found.sum(axis=0).std() == pytest.approx(np.sqrt(200) * draws[0].std(), rel=0.1)
    with pytest.raises(ValueError, match="power of two"):
        shuffled(draws[..., :1000], np.array(["C"] * 200, object))


@pytest.mark.parametrize("customers", [100, 400])
def test_shuffled__draws_of_alike_customers_are_independent_whatever_their_ids(customers):
    """The spread of a total of equal customers is the square root of their number times one's, for any set of ids."""
    shared = SharedDraws(Btyd(0.8, 60.0, 0.7, 3.0), GammaGamma(3.0, 5.0, 90.0), draws=1024, random_state=0)
    one, days = np.ones(1), np.array([180.0])
    history = {"frequency": 3.0 * one, "T": 200.0 * one, "alive": 0.5 * one, "spent": 120.0 * one}
    ((_, drawn),) = shared.of_customers(**history, days=days, tempo=np.ones((1, 1)))
    same = np.repeat(drawn, customers, axis=0)
    spreads = [
        shuffled(same, np.array([f"{series}-{number}" for number in range(customers)], object)).sum(axis=0, dtype=float).std()
        for series in range(12)
    ]
    np.testing.assert_allclose(spreads, np.sqrt(customers) * drawn.std(dtype=float), rtol=0.15)


def test_joint__multiplies_everybody_by_one_factor_of_mean_1():
    ids = np.array(["a", "b"], object)
    found = joint(np.ones((2, 1, 64)), ids, None)
    assert (found[0] == found[1]).all()
    assert found.mean() == pytest.approx(1.0)
    assert np.log(shocks(0.3, 1024)).std() == pytest.approx(0.3, rel=0.02)


def test_where__keeps_who_fits_all_and_names_what_there_is(base):
    some = base.where({"segment": ["SMB", "Enterprise"], "region": ["EMEA"]})
    expected = base.inputs[base.inputs["segment"].isin(["SMB", "Enterprise"]) & (base.inputs["region"] == "EMEA")]
    assert list(some.inputs[c.ENTITY_ID]) == list(expected[c.ENTITY_ID])
    assert len(some.predicted["mean"]) == len(some.status) == len(expected) > 0
    with pytest.raises(UnknownNameError, match=r"no customer with the segment named 'Giant'; there are: .*SMB"):
        base.where({"segment": ["Giant"]})
    with pytest.raises(UnknownNameError, match="dimension"):
        base.totals(by="colour")


def test_totals__of_nobody_are_empty(base):
    none = base.where({"segment": ["SMB"]}).where({"segment": []})
    assert len(none.inputs) == 0
    for by in (None, "segment"):
        table = none.totals(by=by)
        assert (len(table), list(table.columns)) == (0, TOTAL_COLUMNS)


def test_owners__is_who_has_the_newest_deal_and_only_as_known_by_then():
    deals = pd.DataFrame(
        {
            "deal_id": ["D1", "D2", "D3"],
            "customer_id": ["C1", "C1", "C2"],
            "created_at": pd.to_datetime(["2024-01-05", "2024-03-01", "2024-02-01"]),
            "known_at": pd.to_datetime(["2024-01-05", "2024-03-01", "2024-02-01"]),
        }
    )
    events = pd.DataFrame(
        {
            "event_id": ["e1", "e2", "e3", "e4"],
            "deal_id": ["D1", "D2", "D2", "D3"],
            "ds": pd.to_datetime(["2024-01-05", "2024-03-01", "2024-04-01", "2024-02-01"]),
            "stage": "Qualified",
            "owner": ["Ann", "Bob", "Cem", "Ann"],
        }
    )
    facts = MemoryFacts({"deals": deals, "deal_events": events.assign(known_at=events["ds"])})
    assert owners(Snapshot(facts, pd.Timestamp("2024-05-01"))).to_dict() == {"C1": "Cem", "C2": "Ann"}
    assert owners(Snapshot(facts, pd.Timestamp("2024-03-15"))).to_dict() == {"C1": "Bob", "C2": "Ann"}
    assert owners(Snapshot(facts, pd.Timestamp("2024-02-15"))).to_dict() == {"C1": "Ann", "C2": "Ann"}


def test_members__without_a_deal_or_a_name_are_in_none(base, snapshot):
    owner = base.members("owner")
    assert (owner == NONE).sum() == (~base.inputs[c.ENTITY_ID].isin(snapshot.deals[c.CUSTOMER_ID])).sum() > 0


def test_of__refuses_a_predictor_without_draws(snapshot):
    with pytest.raises(TypeError, match=r"which Revenue.* does not give"):
        CustomerBase.of(predictor_class("revenue")(), snapshot)


def test_ranks__are_by_the_year_s_mean_and_equals_share_the_better_one():
    ids = [f"C{i:02d}" for i in range(20)]
    value = [float(20 - i) for i in range(18)] + [0.0, 0.0]
    rows = [
        pd.DataFrame({c.ENTITY_ID: ids, c.HORIZON: h, c.STATISTIC: s, c.VALUE: v})
        for h, s, v in ((12, "mean", value), (3, "mean", value[::-1]), (12, "q90", value[::-1]))
    ]
    found = ranks(pd.concat(rows))
    assert found.loc["C00"].tolist() == [1, 1]
    assert found.loc["C01"].tolist() == [2, 1]
    assert found.loc["C02"].tolist() == [3, 2]
    assert found.loc["C18"].tolist() == found.loc["C19"].tolist() == [19, 10]


def test_ranks__cover_the_cohort(predictions, base):
    found = ranks(predictions)
    assert sorted(found.index) == sorted(base.inputs[c.ENTITY_ID])
    best = found["rank"].idxmin()
    year = predictions[(predictions[c.HORIZON] == 12) & (predictions[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]
    assert year[best] == year.max()
    assert found["decile"].value_counts().max() <= np.ceil(len(found) / 10) + 1


def test_cells__give_the_range_of_whoever_a_filter_leaves_and_of_nobody_else(either):
    cells = CellDraws.of(either, ("segment", "channel"))
    segment, channel = (either.members(name) for name in ("segment", "channel"))
    everybody = np.ones(len(either.inputs), bool)
    of_both = ((segment == segment.iloc[0]) & (channel == channel.iloc[0])).to_numpy()
    for kept, wanted in (
        (everybody, {}),
        ((segment == segment.iloc[0]).to_numpy(), {"segment": [segment.iloc[0]]}),
        (of_both, {"segment": [segment.iloc[0]], "channel": [channel.iloc[0]]}),
    ):
        total = either.where(wanted).totals().set_index(c.HORIZON)
        for horizon in SPEC.horizons:
            assert cells.quantiles(kept, horizon) == pytest.approx(total.loc[horizon, list(QUANTILES)].to_dict())
    few = everybody.copy()
    few[0] = False
    assert cells.quantiles(few, 12) is None, "no filter leaves these"
    assert cells.quantiles(np.zeros_like(everybody), 12) is None


def test_cells__too_many_are_one(either, monkeypatch):
    monkeypatch.setattr("predictkpi.predictors.clv.cells.MOST_CELLS", 3)
    cells = CellDraws.of(either, ("segment", "channel"))
    everybody = np.ones(len(either.inputs), bool)
    assert cells.revenue.shape[0] == 1
    assert cells.quantiles(everybody, 12) == pytest.approx(either.totals().set_index(c.HORIZON).loc[12, list(QUANTILES)].to_dict())


def test_only__keeps_the_named(either):
    ids = set(either.inputs[c.ENTITY_ID].iloc[[0, 5]])
    assert set(either.only(ids).inputs[c.ENTITY_ID]) == ids
    assert either.only([]).totals().empty
