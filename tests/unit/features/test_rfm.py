from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features import rfm

AS_OF = pd.Timestamp("2024-03-01")


def orders(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "ds", "amount"])
    return frame.assign(ds=pd.to_datetime(frame["ds"], format="ISO8601"))


def naive(frame: pd.DataFrame, as_of: pd.Timestamp) -> dict[str, dict[str, float]]:
    """The definitions, customer by customer and day by day."""
    found = {}
    for customer, rows in frame.groupby("customer_id"):
        net = rows.groupby(rows["ds"].dt.normalize())["amount"].sum()
        bought = net[net > 0]
        one = {"orders": float(len(rows)), "purchases": float(len(bought)), "total": float(net.sum()), "gross": float(bought.sum())}
        one |= {"frequency": max(len(bought) - 1.0, 0.0), "recency": 0.0, "T": 0.0, "monetary_value": np.nan, "largest": 0.0}
        if len(bought):
            one["recency"] = float((bought.index[-1] - bought.index[0]).days)
            one["T"] = (as_of - bought.index[0]) / pd.Timedelta(days=1)
            one["largest"] = float(bought.max())
            if len(bought) > 1:
                one["monetary_value"] = float(bought.iloc[1:].mean())
        found[str(customer)] = one
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_build_rfm__agrees_with_a_naive_loop(seed):
    rng = np.random.default_rng(seed)
    n = 400
    amounts = np.where(rng.random(n) < 0.3, -1.0, 1.0) * rng.integers(1, 50, n)
    seconds = rng.integers(0, 40 * 86_400, n)
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in rng.integers(0, 60, n)], "amount": amounts.astype(float)})
    frame["ds"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")

    found = rfm.build_rfm(frame, as_of=AS_OF)

    expected = pd.DataFrame.from_dict(naive(frame, AS_OF), orient="index")[rfm.RFM_COLUMNS].sort_index()
    pd.testing.assert_frame_equal(found, expected, check_names=False, check_index_type=False)


def test_build_rfm__nets_a_return_of_the_same_day_and_keeps_a_later_one_out_of_frequency():
    found = rfm.build_rfm(
        orders(
            ("same-day", "2024-01-01 09:00", 50.0),
            ("same-day", "2024-01-01 17:00", -50.0),
            ("later", "2024-01-01", 50.0),
            ("later", "2024-01-10", 30.0),
            ("later", "2024-01-20", -30.0),
            ("refund", "2024-01-05", -10.0),
        ),
        as_of=AS_OF,
    )
    assert found.loc["same-day", ["purchases", "total", "orders"]].tolist() == [0.0, 0.0, 2.0]
    assert found.loc["later", ["purchases", "frequency", "recency", "total", "gross"]].tolist() == [2.0, 1.0, 9.0, 50.0, 80.0]
    assert found.loc["refund", ["purchases", "T", "total"]].tolist() == [0.0, 0.0, -10.0]


def test_build_rfm__counts_age_from_the_midnight_of_the_first_purchase():
    found = rfm.build_rfm(orders(("a", "2024-02-29 23:59", 1.0), ("b", "2024-02-28 00:00", 1.0)), as_of=AS_OF)
    assert found["T"].to_dict() == {"a": 1.0, "b": 2.0}


def test_build_rfm__of_no_orders_has_no_rows_and_all_columns():
    found = rfm.build_rfm(orders(), as_of=AS_OF)
    assert list(found.columns) == rfm.RFM_COLUMNS
    assert len(found) == 0


def test_spend_in__is_half_open():
    frame = orders(("a", "2024-01-01", 1.0), ("a", "2024-01-31 23:59", 2.0), ("a", "2024-02-01", 4.0), ("b", "2024-02-01", 8.0))
    found = rfm.spend_in(frame, start=pd.Timestamp("2024-01-01"), end=pd.Timestamp("2024-02-01"))
    assert found["total"].to_dict() == {"a": 3.0}
    assert found["purchases"].to_dict() == {"a": 2.0}
