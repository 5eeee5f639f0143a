"""Pareto/NBD, BG/BB and shifted beta-geometric against the numbers of the literature, on the data sets they were published for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.rfm import build_rfm, spend_in
from predictkpi.predictors.clv.bg_bb import BgBb, fit_bg_bb
from predictkpi.predictors.clv.pareto_nbd import ParetoNbd, fit_pareto_nbd
from predictkpi.predictors.clv.shifted_beta_geometric import fit_shifted_beta_geometric

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def cdnow_counts(real_data) -> pd.DataFrame:
    """The CDNOW sample; the published counts include free orders, so every order is worth 1."""
    names = ["master", "customer_id", "ds", "cds", "dollars"]
    frame = pd.read_csv(real_data("clv", "cdnow", "CDNOW_sample.txt"), sep=r"\s+", header=None, names=names, dtype={"customer_id": str})
    return frame.assign(ds=pd.to_datetime(frame["ds"].astype("str"), format="%Y%m%d"), amount=1.0)


@pytest.fixture(scope="module")
def donors(real_data) -> pd.DataFrame:
    """Counted histories ``frequency, recency, periods, weights`` of the first-time donors of 1995."""
    return pd.read_csv(real_data("clv", "donations_bgbb", "donations.csv")).astype(float)


def in_weeks(orders: pd.DataFrame) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Histories of 39 weeks; the papers count T in weeks to the last day, not to the midnight after it."""
    after = pd.Timestamp("1997-10-01")
    table = build_rfm(orders[orders["ds"] < after], as_of=after)
    return table, (table["frequency"].to_numpy(), table["recency"].to_numpy() / 7.0, (table["T"].to_numpy() - 1.0) / 7.0)


def test_pareto_nbd__is_the_published_fit_of_the_cdnow_sample(cdnow_counts):
    # Fader, Hardie & Lee (2005), table 2; unrounded log-likelihood -9594.976
    _, history = in_weeks(cdnow_counts)
    fitted = fit_pareto_nbd(*history)
    assert (fitted.r, fitted.alpha, fitted.s, fitted.beta) == pytest.approx((0.553, 10.578, 0.606, 11.669), abs=6e-4)
    assert fitted.loglik == pytest.approx(-9594.976, abs=0.01)
    assert fitted.log_likelihood(*history).sum() == pytest.approx(fitted.loglik)


def test_pareto_nbd__forecasts_the_cdnow_sample_as_published(cdnow_counts):
    # the same paper: correlation .630 of expectation and outcome in weeks 40 to 78; those who never came again expected .14, in fact .24
    table, history = in_weeks(cdnow_counts)
    expected = ParetoNbd(0.553, 10.578, 0.606, 11.669).expected_purchases(39.0, *history)
    later = spend_in(cdnow_counts, start=pd.Timestamp("1997-10-01"), end=pd.Timestamp("1998-07-01"))
    actual = later["purchases"].reindex(table.index).fillna(0.0).to_numpy()
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(0.630, abs=0.001)
    never_again = history[0] == 0
    assert never_again.sum() == 1411
    assert (expected[never_again].mean(), actual[never_again].mean()) == pytest.approx((0.14, 0.24), abs=0.005)


def test_bg_bb__is_the_published_fit_of_the_donors(donors):
    # Fader, Hardie & Shang (2010), table 3; log-likelihood -33225.6, and -33225.58 at the published parameters
    history = [donors[name].to_numpy() for name in ("frequency", "recency", "periods")]
    fitted = fit_bg_bb(*history, donors["weights"].to_numpy())
    assert fitted.n_customers == 11_104
    assert (fitted.alpha, fitted.beta, fitted.gamma, fitted.delta) == pytest.approx((1.204, 0.750, 0.657, 2.783), abs=6e-4)
    assert fitted.loglik == pytest.approx(-33225.58, abs=0.01)
    at_published = BgBb(1.204, 0.750, 0.657, 2.783).log_likelihood(*history) @ donors["weights"].to_numpy()
    assert at_published == pytest.approx(-33225.58, abs=0.01)


@pytest.mark.parametrize(
    ("segment", "alpha", "beta", "loglik", "last"),
    [("regular", 0.704, 1.182, -1.680, 17.0), ("high_end", 0.668, 3.806, -1.611, 37.8)],
)
def test_shifted_beta_geometric__is_the_published_fit_of_two_survival_curves(real_data, segment, alpha, beta, loglik, last):
    # Fader & Hardie (2007): learnt from years 1 to 7, year 12 projected; log-likelihood a customer
    curves = pd.read_csv(real_data("clv", "sbg_retention", "sbg_survival.csv"))
    known = curves.loc[(curves["segment"] == segment) & (curves["year"] <= 7), "survival_pct"].to_numpy()
    fitted = fit_shifted_beta_geometric(known[1:], -np.diff(known))
    assert (fitted.alpha, fitted.beta) == pytest.approx((alpha, beta), abs=6e-4)
    assert fitted.loglik / 100 == pytest.approx(loglik, abs=6e-4)
    assert 100 * float(fitted.survival(12)) == pytest.approx(last, abs=0.05)
