"""What the benchmark of customer value computes, against naive loops and on orders few enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv_cost import DAYS, FIRST_DAY, ORDERS_EACH, draw_histories, exponent, make_facts, trained
from customers.company_part import against_truth, of_each_model
from customers.datasets import SOURCES, Split, facts_of_orders, load_splits
from customers.judging import Answer, Resampled, central_coverage, interval_scores, point_scores, resamples
from customers.ours import ours
from customers.peers import LIFETIMES, PEERS, inner, lifetimes, mean_spend, rfm_features, timed
from predictkpi.metrics.ranking import normalised_gini, pit_coverage, randomised_pit
from predictkpi.snapshot import Snapshot

CUTOFF, END = pd.Timestamp("2023-07-01"), pd.Timestamp("2023-10-01")


@pytest.fixture(scope="module")
def split() -> Split:
    """600 customers of a year with rates, sizes and lives of their own."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(600):
        gaps = rng.exponential(rng.gamma(2.0, 20.0), 60)
        days = rng.uniform(0, 150) + np.concatenate([[0.0], np.cumsum(gaps)])
        days = days[: 1 + rng.geometric(0.12)]
        rows += [(f"c{number:03}", day, rng.lognormal(3 + number % 2, 0.5)) for day in days[days < 364]]
    orders = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    orders["ds"] = pd.Timestamp("2023-01-01") + pd.to_timedelta(orders["day"], unit="D").dt.round("s")
    facts = facts_of_orders(orders.sort_values("ds", ignore_index=True), name="made")
    return Split("made", Snapshot(facts, pd.Timestamp("2024-01-01")), CUTOFF, END)


def of_four() -> Split:
    """A bought before and after, B only before, C a free order before, D only after."""
    rows = [
        ("A", "2023-06-01", 10.0),
        ("A", "2023-07-01", 4.0),
        ("A", "2023-07-01", 3.0),
        ("A", "2023-09-30", 5.0),
        ("A", "2023-10-01", 99.0),
    ]
    rows += [("B", "2023-06-30", 8.0), ("C", "2023-06-02", 0.0), ("D", "2023-08-01", 36.0)]
    orders = pd.DataFrame(rows, columns=["customer_id", "ds", "amount"])
    facts = facts_of_orders(orders.assign(ds=pd.to_datetime(orders["ds"])), name="four")
    return Split("four", Snapshot(facts, pd.Timestamp("2024-01-01")), CUTOFF, END)


def test_split__knows_the_past_only_and_judges_whom_it_knew():
    split = of_four()
    assert split.days == 92
    assert split.history_days == 30
    assert split.snapshot.orders["customer_id"].tolist() == ["A", "B", "C"]
    assert split.actual.to_dict("index") == {
        "A": {"total": 12.0, "purchases": 2.0},
        "B": {"total": 0.0, "purchases": 0.0},
        "C": {"total": 0.0, "purchases": 0.0},
    }
    assert split.new_share == pytest.approx(36 / 48)


def test_load_splits__names_a_data_set_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="clv/cdnow is not in"):
        load_splits(tmp_path, "cdnow")


def test_load_splits__reads_each_file_as_it_is(tmp_path):
    files = {
        "clv/cdnow/CDNOW_master.txt": " customer_id  date cds dollar_value\n 00001 19970101  1   11.77\n 00001 19980401  1   12.00\n",
        "clv/grocery_btydplus/groceryElog.csv": "cust,date\n1,2006-01-01\n1,2006-01-01\n1,2007-12-30\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {split.name: split.actual["total"].to_dict() for split in load_splits(tmp_path, "cdnow")} == {
        "CDNOW 39 weeks": {"00001": 12.0},
        "CDNOW 13 weeks": {"00001": 12.0},
    }
    (grocery,) = load_splits(tmp_path, "grocery")
    assert (len(grocery.snapshot.orders), grocery.actual["total"].to_dict(), grocery.counts) == (1, {"0001": 1.0}, True)


def test_resampled__equals_the_metrics_on_the_resampled_customers():
    rng = np.random.default_rng(1)
    actual = np.where(rng.random(40) < 0.5, 0.0, rng.gamma(2, 10, 40))
    predicted = {"fine": np.round(actual + rng.normal(0, 8, 40), -1), "flat": np.full(40, 3.0)}
    found = Resampled.of(actual, predicted, draws=70, seed=3)
    weights = np.concatenate(list(resamples(40, draws=70, seed=3)))
    assert weights.shape == (71, 40)
    assert set(weights.sum(axis=1)) == {40.0}
    for number in (0, 1, 45, 70):
        rows = np.repeat(np.arange(40), weights[number].astype(int))
        for name, values in predicted.items():
            expected = point_scores(actual[rows], values[rows])
            assert found.gini[name][number] == pytest.approx(normalised_gini(actual[rows], values[rows]), abs=1e-12)
            for measure in ("mae", "rmse", "bias"):
                assert getattr(found, measure)[name][number] == pytest.approx(expected[measure])


def test_against__is_zero_for_the_same_and_signed_for_a_worse_one():
    actual = np.arange(200.0)
    rng = np.random.default_rng(0)
    noisy = np.maximum(actual + rng.normal(0, 60, 200), 0) * 1.2
    near = actual + 1.0
    drawn = Resampled.of(actual, {"ours": near, "same": near, "noisy": noisy}, draws=60)
    assert set(drawn.against("ours", "same").values()) == {0.0}
    gain = drawn.against("ours", "noisy")
    assert 0 < gain["gini_gain_low"] <= gain["gini_gain"] <= gain["gini_gain_high"]
    assert gain["mae_change_high"] < -0.9
    assert gain["rmse_change_high"] < -0.9
    assert gain["bias_change_high"] < 0


def test_central_coverage__is_the_mean_over_random_tie_breaks():
    rng = np.random.default_rng(2)
    draws = rng.poisson(0.7, (300, 64)).astype(float)
    actual = rng.poisson(0.7, 300).astype(float)
    coverages = [pit_coverage(randomised_pit(actual, draws, rng.random(300))) for _ in range(400)]
    assert central_coverage(actual, draws) == pytest.approx(np.mean(coverages), abs=0.003)


def test_interval_scores__see_a_level_that_all_customers_share():
    rng = np.random.default_rng(4)
    draws = rng.gamma(1.0, 1.0, (1200, 200))
    actual = rng.gamma(1.0, 1.0, 1200) * 1.25
    alone = interval_scores(actual, draws)
    shared = interval_scores(actual, draws * rng.lognormal(0.0, 0.25, 200))
    assert alone["coverage80"] == pytest.approx(0.77, abs=0.04)
    assert alone["groups500"] < alone["groups100"] < 0.6
    assert shared["groups500"] > 0.75
    assert (alone["whole_base"], shared["whole_base"]) == (0.0, 1.0)


def test_inner__is_the_holdouts_length_back_or_half_the_history(split):
    at, scale = inner(split)
    assert (at, scale) == (CUTOFF - pd.Timedelta(days=90), pytest.approx(92 / 90))
    short = Split("", split.full, CUTOFF, CUTOFF + pd.Timedelta(days=10))
    assert inner(short) == (CUTOFF - pd.Timedelta(days=10), 1.0)


def test_rfm_features__know_recent_spend():
    split = of_four()
    features = rfm_features(split.snapshot.orders, as_of=split.cutoff)
    assert features.loc["A", ["since_last", "spend_30", "spend_90", "purchases_180"]].tolist() == [30.0, 10.0, 10.0, 1.0]
    assert np.isnan(features.loc["A", "mean_gap"])
    assert features.loc["C", rfm_columns_of_spend(features)].sum() == 0.0


def rfm_columns_of_spend(features: pd.DataFrame) -> list[str]:
    return [name for name in features if name.startswith(("spend_", "purchases_"))]


def test_mean_spend__carries_on_the_rate():
    answer = mean_spend(of_four())
    # A and B have lived 30 days at least by the rule, C has bought nothing
    assert answer.mean == pytest.approx([10 / 30 * 92, 8 / 30 * 92, 0.0])
    assert answer.purchases == pytest.approx([92 / 30, 92 / 30, 0.0])


@pytest.mark.parametrize("name", ["ours", *[name for name in PEERS if name != LIFETIMES]])
def test_every_model__answers_the_cohort_better_than_chance(split, name):
    answer = timed(ours if name == "ours" else PEERS[name], split)
    actual = split.actual["total"].to_numpy()
    assert answer.mean.shape == actual.shape
    assert (answer.mean >= 0).all()
    assert normalised_gini(actual, answer.mean) > 0.2
    if answer.draws is not None:
        assert answer.draws.shape[0] == len(actual)
        assert answer.draws.mean() == pytest.approx(answer.mean.mean(), rel=0.1)


def test_a_model_of_counts__expects_purchases_and_nothing_else(split):
    days = split.full.orders.assign(ds=split.full.orders["ds"].dt.normalize(), amount=1.0)
    counted = days.drop_duplicates(["customer_id", "ds"]).reset_index(drop=True)
    counts = Split("counts", Snapshot(facts_of_orders(counted, name="counts"), split.full.as_of), CUTOFF, END, counts=True)
    answer = PEERS["MBG/NBD + GG, all purchases"](counts)
    assert answer.mean.tolist() == answer.purchases.tolist()
    assert answer.draws.mean() == pytest.approx(answer.mean.mean(), rel=0.1)
    assert np.abs(answer.draws - np.round(answer.draws)).max() < 0.05


def test_lifetimes__says_why_it_has_no_answer(split, monkeypatch, tmp_path):
    monkeypatch.setattr("customers.peers._OWN_ENVIRONMENT", tmp_path / "python")
    answer = lifetimes(split)
    assert answer.missing
    assert "make bench" in answer.note


def test_sources__name_their_splits_once():
    names = [name for source in SOURCES.values() for name, _, _ in source.splits]
    assert len(names) == len(set(names)) == 6


def test_against_truth__knows_the_truth_when_it_sees_it(monkeypatch):
    monkeypatch.setattr("customers.company_part.PEERS", {"mean spend": mean_spend})
    seen = []

    def knowing(split: Split) -> Answer:
        seen.append(split)
        return mean_spend(split)

    rows = against_truth(knowing, quick=True, tell=lambda step: None)
    assert {(row["seed"], row["months"], row["model"]) for row in rows} == {
        (seed, months, model) for seed in (200, 201) for months in (6, 12) for model in ("ours", "mean spend")
    }
    assert all(split.days > 180 for split in seen)
    means = of_each_model(rows)
    assert len(means) == 4
    # the same answer under two names is judged the same; and it does not know who has gone
    for _, pair in means.groupby("months"):
        assert pair["slope"].nunique() == pair["bias"].nunique() == 1
        assert pair["bias"].iloc[0] > 0.1
        assert 0.3 < pair["gini_share"].iloc[0] < 1.0


def test_draw_histories__are_possible_ones_in_whole_days():
    x, tx, T = draw_histories(3000)
    assert ((tx == 0) == (x == 0)).all()
    assert (tx <= T).all()
    assert (x <= tx).all()
    assert (np.floor(T) == T).all()
    assert 0.3 < (x > 0).mean() < 0.7


def test_cost__is_of_customers_with_ten_orders_each():
    orders = Snapshot(make_facts(500), FIRST_DAY + pd.Timedelta(days=DAYS)).orders
    assert orders["customer_id"].nunique() == 500
    assert len(orders) / 500 == pytest.approx(ORDERS_EACH, rel=0.15)
    _, snapshot, took = trained(500)
    assert (took["customers"], took["orders"]) == (500, len(snapshot.orders))


def test_exponent__is_one_where_the_time_grows_with_the_customers():
    rows = [{"customers": 10, "fit": 0.5}, {"customers": 100, "fit": 9.0}, {"customers": 1000, "fit": 50.0}]
    assert exponent(rows, "fit") == pytest.approx(1.0)
