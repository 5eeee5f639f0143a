"""The truth: calibrated against what happened, blind to what happens later, and exact where it can be checked by other means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import DataError, UnknownEntityError
from predictkpi.synthetic import make_company
from predictkpi.synthetic.deal_truth import believe

CUTS = pd.DatetimeIndex(["2022-11-20", "2023-06-10", "2024-01-05", "2024-08-15"])


@pytest.fixture(scope="module")
def large():
    return make_company(seed=21, customers=1200, years=4, deals=6000, orders=13000)


@pytest.fixture(scope="module")
def ends(large):
    events = large.snapshot().deal_events
    return events[events["stage"].isin(["won", "lost"])].set_index("deal_id")[["ds", "stage"]]


def happened(ends, frame, as_of, stage):
    found = ends.reindex(frame["deal_id"])
    before = (found["ds"].to_numpy() - as_of.to_datetime64()) < frame["horizon"].to_numpy() * np.timedelta64(1, "D")
    return ((found["stage"] == stage).to_numpy() & before).astype(float)


@pytest.mark.parametrize("as_of", CUTS, ids=str)
def test_deal_incidence__is_calibrated_and_beats_the_base_rate(large, ends, as_of):
    frame = large.truth.deal_incidence(as_of, [30, 90])
    for (_, rows), (column, stage) in (
        (group, pair) for group in frame.groupby("horizon") for pair in (("cif_won", "won"), ("cif_lost", "lost"))
    ):
        actual, chance = happened(ends, rows, as_of, stage), rows[column].to_numpy()
        error = np.sqrt((chance * (1 - chance)).sum())
        assert abs(actual.sum() - chance.sum()) < 3 * error
        assert ((chance - actual) ** 2).mean() < 0.92 * actual.mean() * (1 - actual.mean())


def test_deal_incidence__is_calibrated_at_every_level(large, ends):
    frames = [large.truth.deal_incidence(as_of, [90]).assign(as_of=as_of) for as_of in CUTS]
    actual = np.concatenate([happened(ends, frame, as_of, "won") for frame, as_of in zip(frames, CUTS, strict=True)])
    chance = pd.concat(frames)["cif_won"].to_numpy()
    level = np.digitize(chance, [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7])
    for place in range(8):
        here = level == place
        assert here.sum() > 20
        error = np.sqrt((chance[here] * (1 - chance[here])).sum())
        assert abs(actual[here].sum() - chance[here].sum()) < 3.5 * error, place


def test_deal_incidence__grows_with_the_horizon_and_stays_below_one(large):
    frame = large.truth.deal_incidence(CUTS[1], [7, 30, 90, 400])
    wide = frame.pivot(index="deal_id", columns="horizon", values=["cif_won", "cif_lost"])
    for column in ("cif_won", "cif_lost"):
        assert (wide[column].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert ((wide["cif_won"][400] + wide["cif_lost"][400]) < 1.0).all()
    assert (wide["cif_won"] > 0).all(axis=None)


def test_deal_incidence__covers_exactly_the_open_deals(large):
    as_of = CUTS[2]
    events = large.snapshot(as_of).deal_events.sort_values("ds").drop_duplicates("deal_id", keep="last")
    is_open = events.loc[~events["stage"].isin(["won", "lost"]), "deal_id"]
    assert set(large.truth.deal_incidence(as_of, [30])["deal_id"]) == set(is_open)


def test_deal_incidence__silence_lowers_every_chance(large):
    belief = believe(large.truth.deals, large.truth.accounts, large.truth.calendar, 900)
    asleep = 1.0 - belief.alive.sum(axis=(1, 2))
    truly = large.truth.deals.dormant_on[belief.deal]
    truly = ((truly >= 0) & (truly < 900)).astype(float)
    error = np.sqrt((asleep * (1 - asleep)).sum())
    assert abs(truly.sum() - asleep.sum()) < 3 * error
    assert ((asleep - truly) ** 2).mean() < 0.5 * truly.mean() * (1 - truly.mean())


def test_deal_incidence__names_the_deals_asked_for_or_refuses(large, ends):
    as_of = CUTS[0]
    frame = large.truth.deal_incidence(as_of, [30, 60])
    some = list(frame["deal_id"].unique()[:3])
    assert large.truth.deal_incidence(as_of, [30, 60], some).equals(frame[frame["deal_id"].isin(some)].reset_index(drop=True))
    gone = ends.index[ends["ds"] < as_of][0]
    with pytest.raises(UnknownEntityError, match=gone):
        large.truth.deal_incidence(as_of, [30], [gone])
    with pytest.raises(DataError, match="midnight"):
        large.truth.deal_incidence(as_of + pd.Timedelta(hours=1), [30])


def test_truth__uses_nothing_after_as_of(large):
    as_of = CUTS[1]
    day = large.truth.calendar.day_of(as_of)
    rng = np.random.default_rng(0)
    deals, orders = large.truth.deals, large.truth.orders
    later = deals.event_day >= day
    other = replace(
        deals,
        event_stage=np.where(later, rng.integers(0, 6, len(later)), deals.event_stage),
        event_owner=np.where(later, rng.integers(0, 12, len(later)), deals.event_owner),
        event_amount=np.where(later, 1.0, deals.event_amount),
        dormant_on=np.full(len(deals), -1),
        active_from=np.where((deals.active_from >= day), deals.active_from + 50, deals.active_from),
    )
    other_orders = replace(orders, amount=np.where(orders.day >= day, 1e6, orders.amount))
    changed = replace(large.truth, deals=other, orders=other_orders)
    pd.testing.assert_frame_equal(changed.deal_incidence(as_of, [30, 90]), large.truth.deal_incidence(as_of, [30, 90]))
    pd.testing.assert_frame_equal(changed.customer_spend(as_of, 6), large.truth.customer_spend(as_of, 6))
    before = replace(large.truth, deals=replace(deals, event_amount=deals.event_amount * 2))
    assert not before.customer_spend(as_of, 6).equals(large.truth.customer_spend(as_of, 6)), "the control must differ"


def test_customer_spend__meets_what_was_spent(large):
    orders = large.snapshot().orders
    ratios = []
    for as_of in pd.DatetimeIndex(["2022-07-01", "2023-09-14", "2024-11-20"]):
        for months in (3, 12):
            frame = large.truth.customer_spend(as_of, months)
            span = orders[(orders["ds"] >= as_of) & (orders["ds"] < as_of + pd.DateOffset(months=months))]
            actual = span.groupby("customer_id")["amount"].sum().reindex(frame["customer_id"]).fillna(0.0).to_numpy()
            expected = frame["expected_spend"].to_numpy()
            assert abs(actual.sum() - expected.sum()) < 3.5 * np.sqrt(((actual - expected) ** 2).sum())
            assert np.corrcoef(actual, expected)[0, 1] > 0.6
            ratios.append(actual.sum() / expected.sum())
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.04)


def test_customer_spend__meets_what_those_who_left_still_spent(large):
    as_of = CUTS[2]
    frame = large.truth.customer_spend(as_of, 12).merge(large.truth.customer_alive(as_of), on="customer_id")
    left = frame[~frame["is_alive"]]
    orders = large.snapshot().orders
    span = orders[(orders["ds"] >= as_of) & (orders["ds"] < as_of + pd.DateOffset(months=12))]
    actual = span.groupby("customer_id")["amount"].sum().reindex(left["customer_id"]).fillna(0.0).to_numpy()
    expected = left["expected_spend"].to_numpy()
    assert abs(actual.sum() - expected.sum()) < 3.5 * np.sqrt(((actual - expected) ** 2).sum())
    assert 0 < expected.mean() < 0.2 * frame.loc[frame["is_alive"], "expected_spend"].mean()


def test_customer_spend__covers_the_customers_there(large):
    as_of = CUTS[0]
    frame = large.truth.customer_spend(as_of, [3, 12])
    assert list(frame.columns) == ["customer_id", "months", "expected_spend"]
    assert set(frame["customer_id"]) == set(large.snapshot(as_of).customers["customer_id"])
    wide = frame.pivot(index="customer_id", columns="months", values="expected_spend")
    assert wide[12].sum() > 3 * wide[3].sum()


def test_monthly_revenue__meets_what_was_booked(large):
    expected = large.truth.monthly_revenue().set_index("ds")["expected_revenue"]
    orders = large.snapshot().orders
    actual = orders.groupby(orders["ds"].dt.to_period("M").dt.start_time)["amount"].sum()
    assert len(expected) == 48
    ratio = actual.reindex(expected.index) / expected
    assert ratio.between(0.75, 1.25).all()
    assert actual.sum() / expected.sum() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(actual.reindex(expected.index), expected)[0, 1] > 0.88
