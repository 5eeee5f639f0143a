"""Odd customers and odd companies: each has a defined answer with status and reason, with and without a learnt shape."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.errors import InsufficientDataError
from predictkpi.features import rfm
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.predictors.clv.spec import SPEC
from predictkpi.snapshot import Snapshot


@pytest.fixture(scope="module")
def odd(drawn, book) -> Snapshot:
    """Customers drawn from the model, and one of each odd kind among them."""
    end, before = drawn.end, pd.Timedelta
    orders = drawn.facts.read("orders", known_before=end)[["customer_id", "ds", "amount"]]
    usual, day = float(orders["amount"].median()), end - before(days=30)
    rows = [
        ("refunds", day, -50.0),
        ("refunds", day + before(days=2), -70.0),
        ("nothing", day, 0.0),
        ("cancelled", day, 80.0),
        ("cancelled", day, -80.0),
        ("returned", day, 80.0),
        ("returned", day + before(days=9), -80.0),
        ("loss", day, 80.0),
        ("loss", day + before(days=9), -30_000.0),
        ("once", day, 80.0),
        ("once long ago", end - before(days=890), 80.0),
        ("just now", end - before(minutes=1), 80.0),
        *(("one day", day + before(hours=hour), 80.0) for hour in range(9)),
        ("giant", day, 1000.0 * usual),
        *(("giant among others", end - before(days=50 * back), usual * (1000.0 if back == 3 else 1.0)) for back in range(1, 8)),
        ("cent", day, 0.01),
        *(("early", end - before(days=400 - 40 * step), 80.0) for step in range(9)),
        *(("daily", end - before(days=back), 80.0) for back in range(1, 300)),
    ]
    accounts = drawn.facts.read("customers", known_before=end)[["customer_id", "segment", "created_at"]]
    extra = [("early", "SMB", end - before(days=100)), ("once", "SMB", day + before(hours=5)), ("giant", "never seen before", day)]
    facts = book(
        pd.concat([orders, pd.DataFrame(rows, columns=orders.columns)], ignore_index=True),
        accounts=pd.concat([accounts, pd.DataFrame(extra, columns=accounts.columns)], ignore_index=True),
    )
    return Snapshot(facts, end)


ODD = {
    "refunds": (Status.LIMITED, "no purchase, only refunds or orders of no value"),
    "nothing": (Status.LIMITED, "no purchase, only refunds or orders of no value"),
    "cancelled": (Status.LIMITED, "no purchase, only refunds or orders of no value"),
    "returned": (Status.LIMITED, "as much was refunded as bought"),
    "loss": (Status.LIMITED, "as much was refunded as bought"),
    "once": (Status.FULL, ""),
    "once long ago": (Status.FULL, ""),
    "just now": (Status.FULL, ""),
    "one day": (Status.FULL, ""),
    "giant": (Status.LIMITED, "one purchase over 100 times the usual one decides the value"),
    "giant among others": (Status.LIMITED, "one purchase over 100 times the usual one decides the value"),
    "cent": (Status.FULL, ""),
    "early": (Status.FULL, "an order is dated before the account was opened"),
    "daily": (Status.FULL, ""),
    "new000": (Status.PRIOR, "no order yet"),
}
NOTHING = ["refunds", "nothing", "cancelled"]


@pytest.fixture(scope="module", params=["plain", "learned"])
def model(request, odd) -> ClvPredictor:
    model = ClvPredictor() if request.param == "plain" else ClvPredictor(learn_from=100, rounds=20, min_rows=20)
    model.fit(model.training_table(odd))
    assert bool(model.forecast_.blends) == (request.param == "learned")
    return model


@pytest.fixture(scope="module")
def predictions(model, odd) -> pd.DataFrame:
    return model.predict(odd)


def assert_defined(predictions: pd.DataFrame) -> None:
    assert np.isfinite(predictions[c.VALUE]).all()
    assert (predictions[c.VALUE] >= 0).all()
    assert (predictions.loc[predictions[c.STATUS] != Status.FULL, c.REASON] != "").all()
    assert set(predictions[c.HORIZON]) == set(SPEC.horizons)
    wide = predictions.pivot(index=[c.ENTITY_ID, c.HORIZON], columns=c.STATISTIC, values=c.VALUE)
    assert (wide["q10"] <= wide["q50"]).all()
    assert (wide["q50"] <= wide["q90"]).all()
    assert (wide["discounted"] <= wide["mean"] + 1e-9).all()
    assert (wide["p_alive"] <= 1).all()


def test_odd_customers__are_all_answered(predictions, odd):
    assert_defined(predictions)
    assert set(ODD) <= set(predictions[c.ENTITY_ID])


@pytest.mark.parametrize("name", ODD)
def test_odd_customers__stand_on_their_rung_for_their_reason(predictions, name):
    status, reason = ODD[name]
    rows = predictions[(predictions[c.ENTITY_ID] == name) & (predictions[c.HORIZON] == 3)]
    assert set(rows[c.STATUS]) == {status}
    told = rows.set_index(c.STATISTIC)[c.REASON]
    assert reason in told["mean"]
    assert (told["mean"] == "") == (reason == "")
    if name != "early":
        assert told.nunique() == 1
    else:
        assert set(told.drop("mean")) == {""}, "a note on the value, that makes nothing less sure"


def test_odd_customers__are_worth_what_their_history_bears(predictions):
    year = predictions[predictions[c.HORIZON] == 12].pivot(index=c.ENTITY_ID, columns=c.STATISTIC, values=c.VALUE)
    assert (year.loc[NOTHING] == 0).all().all()
    mean = year["mean"]
    assert 0 < mean["loss"] <= mean["once"]
    assert 0 < mean["returned"] < mean["once"]
    assert mean["one day"] > mean["once"], "nine orders of a day are one larger purchase"
    assert year.loc["one day", "expected_purchases"] == pytest.approx(year.loc["once", "expected_purchases"], rel=0.5)
    assert mean["once long ago"] < mean["once"]
    assert mean["giant"] > mean["once"]
    assert 0 < mean["cent"] < mean["once"]
    assert mean["daily"] < 366 * 80.0
    assert year.loc["daily", "expected_purchases"] < 366


def test_odd_customers__have_reasons_that_add_up(model, odd, predictions):
    names = list(ODD)
    totals = model.explain(model.inputs(odd, entity_ids=names)).groupby(c.ENTITY_ID)["contribution"].sum()
    year = predictions[(predictions[c.HORIZON] == 12) & (predictions[c.STATISTIC] == "mean")].set_index(c.ENTITY_ID)[c.VALUE]
    assert totals[names].to_numpy() == pytest.approx(year[names].to_numpy(), rel=1e-9, abs=1e-9)


def test_odd_customers__do_not_move_the_others(model, drawn, predictions):
    plain = ClvPredictor(**{name: getattr(model, name) for name in ("learn_from", "rounds", "min_rows")})
    before = plain.fit(plain.training_table(drawn.snapshot())).predict(drawn.snapshot())
    totals = [
        found[(found[c.HORIZON] == 12) & (found[c.STATISTIC] == "mean") & found[c.ENTITY_ID].str.match(r"c\d")][c.VALUE].sum()
        for found in (before, predictions)
    ]
    assert totals[1] == pytest.approx(totals[0], rel=0.1)


def test_opened_late__is_told_by_the_stated_day_alone(odd):
    late = ClvPredictor().inputs(odd).set_index(c.ENTITY_ID)["opened_late"]
    assert late["early"] == 300.0
    assert late["once"] == 0.0, "opened some hours after the first order of that day"
    assert late[["daily", "new000"]].eq(0.0).all()


def company(n: int, *, seed: int, repeats: int = 3, days: int = 500) -> list[tuple[str, str, float]]:
    rng, start = np.random.default_rng(seed), pd.Timestamp("2023-01-01")
    return [
        (f"c{i:03d}", start + pd.Timedelta(days=int(day)), float(rng.gamma(3.0, 20.0)))
        for i in range(n)
        for day in rng.integers(0, days, repeats)
    ]


@pytest.mark.parametrize(
    ("rows", "status", "reason"),
    [
        (company(40, seed=1), Status.LIMITED, "few repeat customers"),
        (company(400, seed=2, repeats=1), Status.PRIOR, "0 customers bought more than once"),
        ([(name, "2023-05-01", amount) for name, _, amount in company(200, seed=3)], Status.PRIOR, "0 customers bought more than once"),
        ([("a", "2023-05-01", 100.0)], Status.PRIOR, "0 customers bought more than once"),
        ([*company(200, seed=4), *((f"c{i:03d}", "2024-05-01", -1000.0) for i in range(200))], Status.LIMITED, "as much was refunded"),
        ([(name, day, 1e12 * amount) for name, day, amount in company(200, seed=5)], Status.FULL, ""),
        ([(name, day, 1e-6 * amount) for name, day, amount in company(200, seed=6)], Status.FULL, ""),
        ([(f"c{i:03d}", day, 10.0) for i in range(120) for day in pd.date_range("2023-01-01", periods=18, freq="30D")], Status.FULL, ""),
    ],
    ids=["40 customers", "nobody twice", "all on one day", "one order", "all net negative", "giant money", "tiny money", "clockwork"],
)
def test_odd_companies__are_learnt_and_answered_for_a_stated_reason(book, rows, status, reason):
    snapshot = Snapshot(book(rows), pd.Timestamp("2024-06-15"))
    model = ClvPredictor(learn_from=100, draws=64)
    predictions = model.fit(model.training_table(snapshot)).predict(snapshot)
    assert_defined(predictions)
    quarter = predictions[predictions[c.HORIZON] == 3]
    assert set(quarter[c.STATUS]) == {status}
    assert quarter[c.REASON].str.contains(reason, regex=False).all()
    bought = float(snapshot.orders[c.AMOUNT].clip(lower=0.0).sum())
    assert 0 < quarter.loc[quarter[c.STATISTIC] == "mean", c.VALUE].sum() < 2.0 * bought
    explained = model.explain(model.inputs(snapshot))["contribution"]
    year = predictions[(predictions[c.HORIZON] == 12) & (predictions[c.STATISTIC] == "mean")][c.VALUE]
    assert explained.sum() == pytest.approx(year.sum(), rel=1e-9)


def test_odd_companies__everybody_refunded_only_is_refused_before_and_in_fit(book):
    snapshot = Snapshot(book([(f"c{i}", "2024-05-01", -10.0) for i in range(50)]), pd.Timestamp("2024-06-15"))
    model = ClvPredictor()
    assert model.readiness(snapshot).status == Status.INSUFFICIENT_DATA
    assert (model.inputs(snapshot)[rfm.PURCHASES] == 0).all()
    with pytest.raises(InsufficientDataError, match="no customer has a purchase"):
        model.fit(model.training_table(snapshot))
