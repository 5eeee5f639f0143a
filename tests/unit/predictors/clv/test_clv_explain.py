"""Reasons of a customer's value add up, name what differs and only that, and speak two languages."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.features import rfm
from predictkpi.predictors.clv.explain import COLUMNS, UsualCustomer, _shapley, put_together, taken_apart
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.reasons import OTHERS, REASONS, title_of
from predictkpi.predictors.clv.table import CLV_COLUMNS
from predictkpi.snapshot import MemoryFacts, Snapshot

NAMES = {reason.name for reason in REASONS}


@pytest.fixture(scope="module")
def learned(drawn) -> ClvPredictor:
    """With boosters behind the forecast."""
    model = ClvPredictor(learn_from=100, rounds=20)
    model.fit(model.training_table(drawn.snapshot()))
    assert model.forecast_.blends
    return model


@pytest.fixture(scope="module")
def plain(drawn) -> ClvPredictor:
    model = ClvPredictor()
    model.fit(model.training_table(drawn.snapshot()))
    assert not model.forecast_.blends
    return model


@pytest.fixture(scope="module")
def inputs(learned, drawn) -> pd.DataFrame:
    return learned.inputs(drawn.snapshot())


def mean_at_year(model, inputs) -> pd.Series:
    found = model.predict_inputs(inputs)
    return found[(found[c.HORIZON] == 12) & (found[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]


def wide(found: pd.DataFrame) -> pd.DataFrame:
    return found.pivot(index=c.ENTITY_ID, columns="feature", values="contribution")


def assert_adds_up(model, inputs) -> pd.DataFrame:
    found = model.explain(inputs)
    assert list(found.columns) == COLUMNS
    assert np.isfinite(found["contribution"]).all()
    predicted = mean_at_year(model, inputs)
    totals = found.groupby(c.ENTITY_ID)["contribution"].sum()
    assert set(totals.index) == set(inputs[c.ENTITY_ID])
    assert totals[predicted.index].to_numpy() == pytest.approx(predicted.to_numpy(), rel=1e-12, abs=1e-9)
    return found


@pytest.mark.parametrize("kind", ["plain", "learned"])
def test_explain__reasons_and_baseline_add_up_to_the_prediction(request, kind, inputs):
    found = assert_adds_up(request.getfixturevalue(kind), inputs)
    baseline = found.loc[found["feature"] == "baseline", "contribution"]
    assert len(baseline) == len(inputs)
    assert baseline.nunique() == 1
    assert baseline.iloc[0] > 0


def test_explain__tells_of_every_kind_of_customer_what_it_is(plain, inputs):
    by_customer = plain.explain(inputs).groupby(c.ENTITY_ID)["feature"].agg(list)
    bought = inputs.set_index(c.ENTITY_ID)[rfm.PURCHASES] > 0
    assert all(set(names) == {"baseline", *NAMES} for names in by_customer[bought[bought].index])
    assert all(names == ["baseline", "no_order"] for names in by_customer[bought[~bought].index])
    assert (~bought).sum() == 40


def test_explain__of_refunds_only_and_of_odd_customers_adds_up(drawn, book):
    orders = drawn.facts.read("orders", known_before=drawn.end)[["customer_id", "ds", "amount"]]
    day, usual = drawn.end - pd.Timedelta(days=30), float(orders["amount"].median())
    rows = [("refunds", day, -50.0), ("back", day, 80.0), ("back", day, -80.0), ("loss", day, 80.0), ("giant", day, 1000.0 * usual)]
    rows.append(("loss", day + pd.Timedelta(days=3), -300.0))
    snapshot = Snapshot(book(pd.concat([orders, pd.DataFrame(rows, columns=orders.columns)], ignore_index=True)), drawn.end)
    model = ClvPredictor(learn_from=100, rounds=20)
    model.fit(model.training_table(snapshot))
    found = wide(assert_adds_up(model, model.inputs(snapshot, entity_ids=["refunds", "back", "loss", "giant"])))
    assert found.loc["refunds"].dropna().to_dict() == pytest.approx(
        {"baseline": found["baseline"].iloc[0], "only_refunds": -found["baseline"].iloc[0]}
    )
    assert found.loc["loss", "refunds"] < 0
    assert found.loc["giant"].drop("baseline").idxmax() == "much"


def test_explain__whoever_differs_in_one_thing_has_the_whole_difference_there(learned, inputs):
    usual = learned.usual_.row(inputs[inputs[rfm.PURCHASES] > 0])
    changes = {
        "often": {rfm.FREQUENCY: 4.0, rfm.RECENCY: 480.0, rfm.ORDERS: 5.0, "gap": 120.0, "gap_spread": 0.3, "last_gap": 120.0},
        "much": {"mean_gross": 10.0 * learned.usual_.parts["mean_gross"], "log_mean_value": 7.0, "log_last_value": 7.0},
        "lately": {"days_since_last": 5.0},
        "refunds": {"kept": 0.5, "refunded_share": 0.5},
        "who": {c.SEGMENT: "Enterprise" if learned.usual_.parts[c.SEGMENT] == "SMB" else "SMB"},
    }
    for name, change in changes.items():
        features = put_together(taken_apart(usual).assign(**change))
        customer = usual.assign(**{str(column): features[column] for column in features}).assign(**{c.ENTITY_ID: name})
        found = wide(assert_adds_up(learned, customer)).loc[name]
        others = found.drop(["baseline", name]).to_numpy()
        assert others == pytest.approx(np.zeros(len(others)), abs=1e-9 * found["baseline"]), name
        assert found[name] == pytest.approx(mean_at_year(learned, customer)[name] - found["baseline"])
        signs = {"often": 1, "much": 1, "lately": 1, "refunds": -1}
        if name in signs:
            assert np.sign(found[name]) == signs[name], name


def test_explain__signs_follow_the_history(plain, inputs):
    bought = inputs[inputs[rfm.PURCHASES] > 0]
    found, usual = wide(plain.explain(bought)), plain.usual_.parts
    much = (taken_apart(bought).set_index(bought[c.ENTITY_ID])["mean_gross"] > usual["mean_gross"]).reindex(found.index)
    assert (np.sign(found["much"]) == np.where(much, 1, -1)).mean() > 0.99
    history = bought.set_index(c.ENTITY_ID).loc[found.index]
    busy, lapsed = history[rfm.FREQUENCY] > 3, history["days_since_last"] > 360
    assert found.loc[busy & ~lapsed, "often"].mean() > 0 > found.loc[history[rfm.FREQUENCY] == 0, "often"].mean()
    assert found.loc[history["days_since_last"] < 90, "lately"].mean() > 0 > found.loc[lapsed, "lately"].mean()
    assert (found["refunds"].abs() < 1e-9).all(), "nobody sent anything back"
    assert (found["season"] == 0).all(), "without a learnt shape no season is known"


def test_taken_apart__and_put_together_is_the_history_again(inputs, snapshot):
    for table in (inputs, ClvPredictor().inputs(snapshot)):
        bought = table[table[rfm.PURCHASES] > 0].reset_index(drop=True)
        again = put_together(taken_apart(bought))
        assert set(again) <= set(CLV_COLUMNS)
        for name in again:
            if bought[name].dtype.kind == "f":
                np.testing.assert_allclose(again[name], bought[name], rtol=1e-9, atol=1e-7, err_msg=str(name))


def test_put_together__makes_mixtures_that_could_have_been(inputs):
    bought = inputs[inputs[rfm.PURCHASES] > 0].reset_index(drop=True)
    parts = taken_apart(bought)
    other = parts.sample(frac=1.0, random_state=1).reset_index(drop=True)
    for reason in REASONS:
        mixed = put_together(parts.assign(**{name: other[name] for name in reason.parts}))
        assert (mixed[rfm.RECENCY] <= mixed[rfm.T]).all()
        assert ((mixed[rfm.FREQUENCY] > 0) | (mixed[rfm.RECENCY] == 0)).all()
        for window in (28, 84, 182, 364):
            count = mixed[f"purchases_{window}"]
            assert ((count > 0) == (mixed["days_since_last"] <= window)).all()
            assert (count <= mixed[rfm.PURCHASES]).all()
        np.testing.assert_allclose(mixed[rfm.GROSS] / mixed[rfm.PURCHASES], (other if reason.name == "much" else parts)["mean_gross"])


def test_explain__of_contracts_adds_up_and_says_whose_has_lapsed(subscribers):
    model = ClvPredictor(draws=32)
    model.fit(model.training_table(subscribers))
    assert set(model.forecast_.contracts.by_segment) == {"plan"}
    inputs = model.inputs(subscribers)
    found = wide(assert_adds_up(model, inputs))
    history = inputs.set_index(c.ENTITY_ID).loc[found.index]
    pays = history["days_since_last"] < 40
    of_plan = history[c.SEGMENT] == "plan"
    assert (found.loc[of_plan & ~pays, "lately"] < found.loc[of_plan & pays, "lately"].min()).all()
    assert (found.loc[of_plan & ~pays].sum(axis=1).abs() < 1e-9).all()
    assert (found.loc[of_plan, "who"] != 0).all()
    assert (found.loc[~of_plan, "who"] == 0).all()


@pytest.fixture(scope="module")
def subscribers(book) -> Snapshot:
    """60 customers who pay every 30 days, a third of whom left, and 90 who buy as it comes."""
    rng, start, end = np.random.default_rng(4), pd.Timestamp("2023-01-01"), pd.Timestamp("2024-07-01")
    rows = []
    for i in range(60):
        last = end if i % 3 else start + pd.Timedelta(days=150 + 3 * i)
        rows += [(f"plan{i:02d}", day, 50.0) for day in pd.date_range(start + pd.Timedelta(days=i), last, freq="30D", inclusive="left")]
    for i in range(90):
        days = rng.integers(0, 546, rng.integers(1, 6))
        rows += [(f"free{i:02d}", start + pd.Timedelta(days=int(day)), float(rng.gamma(3.0, 20.0))) for day in days]
    names = sorted({row[0] for row in rows})
    facts: MemoryFacts = book(rows, accounts=[(name, "plan" if name.startswith("plan") else "free", start) for name in names])
    return Snapshot(facts, end)


def test_usual_customer__is_one_that_could_be(inputs):
    bought = inputs[inputs[rfm.PURCHASES] > 0]
    row = UsualCustomer.of(bought).row(bought).iloc[0]
    assert row[rfm.FREQUENCY] == bought[rfm.FREQUENCY].quantile(0.5, interpolation="lower")
    assert row[rfm.T] == row[rfm.RECENCY] + row["days_since_last"]
    assert row[c.SEGMENT] == "SMB"
    assert bought[rfm.T].min() <= row[rfm.T] <= bought[rfm.T].max()


def test_save__keeps_the_reasons(learned, inputs, tmp_path):
    learned.save(tmp_path)
    pd.testing.assert_frame_equal(ClvPredictor.load(tmp_path).explain(inputs), learned.explain(inputs))


def test_explain__mixes_instants_and_customers_without_a_trace_on_one_another(learned, drawn, inputs):
    early = learned.inputs(drawn.snapshot(drawn.end - pd.Timedelta(days=300))).iloc[:5]
    both = learned.explain(pd.concat([early, inputs.iloc[:5]]))
    apart = pd.concat([learned.explain(early), learned.explain(inputs.iloc[:5])], ignore_index=True)
    pd.testing.assert_frame_equal(both, apart)
    assert learned.explain(inputs.iloc[:0]).empty


def test_titles__are_there_in_both_languages(learned):
    for reason in (*REASONS, *OTHERS):
        assert learned.reason_title(reason.name) == reason.title["en"]
        assert title_of(reason.name, "de") != title_of(reason.name, "en")
    assert title_of("unheard") == "unheard"


def test_shapley__is_the_mean_over_all_orders():
    """Parity with the definition: every order in which six parts can turn, one after the other."""
    values = np.random.default_rng(3).gamma(1.0, 1.0, (2 ** len(REASONS), 2))
    naive = np.zeros((2, len(REASONS)))
    orders = list(permutations(range(len(REASONS))))
    for order in orders:
        turned = 0
        for part in order:
            naive[:, part] += values[turned | 1 << part] - values[turned]
            turned |= 1 << part
    np.testing.assert_allclose(_shapley(values), naive / len(orders))
