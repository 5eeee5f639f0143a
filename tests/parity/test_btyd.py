"""Purchase and spend models against the numbers of the literature, on the data sets they were published for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.rfm import build_rfm, spend_in
from predictkpi.metrics.ranking import normalised_gini, total_bias
from predictkpi.predictors.clv.btyd import Btyd, fit_btyd
from predictkpi.predictors.clv.gamma_gamma import GammaGamma, fit_gamma_gamma

pytestmark = pytest.mark.real


def weekly(orders: pd.DataFrame, *, end: str) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Histories up to and with the day ``end``; the papers count T in weeks to the last day, not to the midnight after it."""
    after = pd.Timestamp(end) + pd.Timedelta(days=1)
    table = build_rfm(orders[orders["ds"] < after], as_of=after)
    return table, (table["frequency"].to_numpy(), table["recency"].to_numpy() / 7.0, (table["T"].to_numpy() - 1.0) / 7.0)


@pytest.fixture(scope="module")
def cdnow_sample(real_data) -> pd.DataFrame:
    path = real_data("clv", "cdnow", "CDNOW_sample.txt")
    frame = pd.read_csv(path, sep=r"\s+", header=None, names=["master", "customer_id", "ds", "cds", "amount"], dtype={"customer_id": str})
    return frame.assign(ds=pd.to_datetime(frame["ds"].astype("str"), format="%Y%m%d"))


@pytest.fixture(scope="module")
def cdnow(real_data) -> pd.DataFrame:
    path = real_data("clv", "cdnow", "CDNOW_master.txt")
    names = ["customer_id", "ds", "cds", "amount"]
    frame = pd.read_csv(path, sep=r"\s+", header=0, names=names, dtype={"customer_id": str})
    return frame.assign(ds=pd.to_datetime(frame["ds"].astype("str"), format="%Y%m%d"))


def counted(orders: pd.DataFrame) -> pd.DataFrame:
    """The published counts include free orders: every order is worth 1."""
    return orders.assign(amount=1.0)


def test_bg_nbd__is_the_published_fit_of_the_cdnow_sample(cdnow_sample):
    # Fader, Hardie & Lee (2005), table 2
    _, history = weekly(counted(cdnow_sample), end="1997-09-30")
    fitted = fit_btyd(*history, modified=False)
    assert fitted.n_customers == 2357
    assert (fitted.r, fitted.alpha, fitted.a, fitted.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=6e-4)
    assert fitted.loglik == pytest.approx(-9582.43, abs=0.01)


def test_bg_nbd__forecasts_the_cdnow_sample_as_published(cdnow_sample):
    # the correlation of expectation and outcome in weeks 40 to 78 is .626 in the paper
    orders = counted(cdnow_sample)
    table, history = weekly(orders, end="1997-09-30")
    expected = Btyd(0.243, 4.414, 0.793, 2.426, modified=False).expected_purchases(39.0, *history)
    later = spend_in(orders, start=pd.Timestamp("1997-10-01"), end=pd.Timestamp("1998-07-01"))
    actual = later["purchases"].reindex(table.index).fillna(0.0).to_numpy()
    assert actual.sum() == 1882
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(0.626, abs=0.001)
    assert total_bias(actual, expected) == pytest.approx(-0.121, abs=0.002)


def test_mbg_nbd__fits_the_cdnow_sample_at_least_as_well(cdnow_sample):
    _, history = weekly(counted(cdnow_sample), end="1997-09-30")
    assert fit_btyd(*history, modified=True).loglik > -9582.43


def test_gamma_gamma__is_the_published_fit_on_repeat_purchases(cdnow_sample):
    # Fader & Hardie (2013): 946 customers with a repeat purchase of positive value
    orders = cdnow_sample[cdnow_sample["ds"] <= "1997-09-30"]
    by_day = orders.groupby(["customer_id", "ds"])["amount"].sum().reset_index().sort_values(["customer_id", "ds"])
    repeats = by_day[(by_day.groupby("customer_id").cumcount() > 0) & (by_day["amount"] > 0)]
    by_customer = repeats.groupby("customer_id")["amount"].agg(["count", "mean"]).astype(float)
    fitted = fit_gamma_gamma(by_customer["count"].to_numpy(), by_customer["mean"].to_numpy())
    assert fitted.n_customers == 946
    assert (fitted.p, fitted.q, fitted.gamma) == pytest.approx((6.25, 3.74, 15.44), abs=6e-3)
    assert fitted.loglik == pytest.approx(-4055.92, abs=0.01)


def test_mbg_nbd__orders_the_buyers_of_the_grocer(real_data):
    # 1,525 buyers of the first quarter of 2006, 52 weeks to learn from and 52 to come
    frame = pd.read_csv(real_data("clv", "grocery_btydplus", "groceryElog.csv"), dtype={"cust": str})
    orders = pd.DataFrame({"customer_id": frame["cust"], "ds": pd.to_datetime(frame["date"], format="%Y-%m-%d"), "amount": 1.0})
    table, history = weekly(orders, end="2006-12-31")
    later = spend_in(orders, start=pd.Timestamp("2007-01-01"), end=pd.Timestamp("2007-12-31"))
    actual = later["purchases"].reindex(table.index).fillna(0.0).to_numpy()
    assert (len(table), table["frequency"].sum(), actual.sum()) == (1525, 5569, 3389)
    gini = {}
    for modified in (False, True):
        fitted = fit_btyd(*history, modified=modified)
        gini[modified] = normalised_gini(actual, fitted.expected_purchases(52.0, *history))
    assert gini[True] > 0.83
    assert gini[True] > gini[False] + 0.004


def test_purchase_and_spend_models__order_all_cdnow_customers_by_spend(cdnow):
    # 39 weeks to learn from and 39 to come; Gamma-Gamma on all purchases, the first one too
    table, history = weekly(cdnow, end="1997-09-30")
    bought = (table["purchases"] > 0).to_numpy()
    history = tuple(column[bought] for column in history)
    purchases, value = table.loc[bought, "purchases"].to_numpy(), (table["total"] / table["purchases"])[bought].to_numpy()
    worth = fit_gamma_gamma(purchases, value).expected_value(purchases, value)
    later = spend_in(cdnow, start=pd.Timestamp("1997-10-01"), end=pd.Timestamp("1998-07-01"))
    actual = later["total"].reindex(table.index[bought]).fillna(0.0).to_numpy()

    bg, mbg = (fit_btyd(*history, modified=modified).expected_purchases(39.0, *history) * worth for modified in (False, True))

    assert normalised_gini(actual, bg) == pytest.approx(0.709, abs=0.001)
    assert total_bias(actual, bg) == pytest.approx(-0.19, abs=0.005)
    assert normalised_gini(actual, mbg) == pytest.approx(0.714, abs=0.001)


def test_gamma_gamma__mean_value_at_the_published_parameters():
    # p gamma / (q - 1) of the paper's rounded parameters
    assert GammaGamma(6.25, 3.74, 15.44).mean_value == pytest.approx(35.22, abs=0.01)
