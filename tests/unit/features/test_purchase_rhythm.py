from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictkpi.core import columns as c
from predictkpi.features.purchase_days import PurchaseDays
from predictkpi.features.purchase_rhythm import RHYTHM_COLUMNS, WINDOWS, rhythm_of

AS_OF = pd.Timestamp("2025-01-01")


def rhythm(*rows: tuple[str, int, float], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """Of orders ``(customer, days before as_of, amount)``."""
    frame = pd.DataFrame(rows, columns=[c.CUSTOMER_ID, "back", c.AMOUNT])
    frame[c.DS] = as_of - pd.to_timedelta(frame["back"], unit="D")
    return rhythm_of(PurchaseDays.of(frame.astype({c.CUSTOMER_ID: "str"}), as_of=as_of))


def test_rhythm__of_an_even_buyer():
    found = rhythm(*(("a", back, 10.0) for back in (100, 70, 40, 10))).loc["a"]
    assert (found["gap"], found["gap_spread"], found["last_gap"], found["days_since_last"]) == (30.0, 0.0, 30.0, 10.0)
    assert found["silence"] == pytest.approx(1 / 3)
    assert [found[f"purchases_{days}"] for days in WINDOWS] == [1.0, 3.0, 4.0, 4.0]
    assert found["log_spend_84"] == pytest.approx(np.log1p(30.0))
    assert found["value_trend"] == pytest.approx(0.0)


def test_rhythm__of_one_purchase_has_no_gap():
    found = rhythm(("a", 5, 10.0)).loc["a"]
    assert found[["gap", "gap_spread", "last_gap", "silence"]].isna().all()
    assert found["log_last_value"] == found["log_first_value"] == pytest.approx(np.log1p(10.0))


def test_rhythm__of_refunds_only_has_no_purchase():
    found = rhythm(("a", 5, -10.0), ("b", 5, 20.0), ("b", 3, -5.0))
    assert found.loc["a", ["days_since_last", "log_mean_value", "refunded_share", "pace_trend"]].isna().all()
    assert found.loc["a", "purchases_28"] == 0.0
    assert found.loc["b", "refunded_share"] == pytest.approx(0.25)


def test_rhythm__looks_at_the_same_season_a_year_ago():
    found = rhythm(("a", 400, 1.0), ("a", 360, 20.0), ("a", 280, 30.0), ("a", 200, 40.0), ("young", 300, 5.0))
    assert found.loc["a", "season_purchases"] == 2.0
    assert found.loc["a", "log_season_spend"] == pytest.approx(np.log1p(50.0))
    assert np.isnan(found.loc["young", "season_purchases"]), "not a customer a year ago: nothing is known, not nothing was bought"


def test_rhythm__sees_a_pace_that_changes():
    slowing = [("slow", back, 1.0) for back in (100, 99, 98, 97, 1)]
    found = rhythm(*slowing, *(("fast", 101 - back, 1.0) for _, back, _ in slowing))
    assert found.loc["slow", "pace_trend"] < 0 < found.loc["fast", "pace_trend"]


def test_rhythm__of_nobody_has_all_columns():
    found = rhythm()
    assert list(found.columns) == RHYTHM_COLUMNS
    assert not len(found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 800), st.integers(-50, 200)), min_size=1, max_size=40))
def test_rhythm__of_a_customer_does_not_depend_on_the_others(rows):
    orders = [(name, back, float(amount)) for name, back, amount in rows]
    together = rhythm(*orders)
    for name in together.index:
        alone = rhythm(*(order for order in orders if order[0] == name))
        pd.testing.assert_series_equal(together.loc[name], alone.loc[name], rtol=1e-9)
