from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.deal_asof import DAY
from predictkpi.features.deal_history import DealHistory
from predictkpi.features.deal_outcomes import Closes
from predictkpi.predictors.close_time.landmarks import count_candidates, entries, history_start, rate_of, sample
from predictkpi.predictors.close_time.model import CloseTimePredictor


def landmarks_of(snapshot, **settings):
    history = DealHistory(snapshot)
    closes = Closes(history)
    start = history_start(closes)
    rate = rate_of(count_candidates(history, closes, start=start), budget=settings.get("budget", 10**9), max_rate=0.3)
    return history, sample(history, closes, start=start, rate=rate, seed=settings.get("seed", 0))


@pytest.fixture(scope="module")
def two_lengths(make_snapshot):
    """300 deals that lived 10 days and 300 that lived 100, and a first close that starts history."""
    opened = pd.date_range("2024-01-02", periods=300, freq="D")
    deals = [("first", "2023-12-30")] + [(f"{kind}{i}", day) for kind in ("short", "long") for i, day in enumerate(opened)]
    events = [("first", "2023-12-30", "Lead"), ("first", "2024-01-01", "won")]
    for kind, lived in (("short", 10), ("long", 100)):
        events += [(f"{kind}{i}", day, "Lead") for i, day in enumerate(opened)]
        events += [(f"{kind}{i}", day + pd.Timedelta(days=lived), "lost") for i, day in enumerate(opened)]
    return make_snapshot(deals, sorted(events, key=lambda row: pd.Timestamp(row[1])))


def test_sample__keeps_candidates_at_one_rate_however_long_a_deal_lived(two_lengths):
    table = CloseTimePredictor(landmark_rate=0.3).training_table(two_lengths)
    sampled = table[table["is_sampled"]]
    per_deal = sampled["entity_id"].str.replace(r"\d+", "", regex=True).value_counts()
    entry_and_midnights = {"short": 300 * (1 + 10), "long": 300 * (1 + 100)}
    assert per_deal["short"] / entry_and_midnights["short"] == pytest.approx(0.3, abs=0.03)
    assert per_deal["long"] / entry_and_midnights["long"] == pytest.approx(0.3, abs=0.01)


def test_sample__of_a_deal_is_the_same_whatever_becomes_of_it(two_lengths, make_snapshot):
    deals = two_lengths.history("deals")
    early = CloseTimePredictor(landmark_rate=0.3).training_table(two_lengths.at(pd.Timestamp("2024-03-01")))
    late = CloseTimePredictor(landmark_rate=0.3).training_table(two_lengths)
    before = late[late["as_of"] < "2024-03-01"].set_index(["entity_id", "as_of"]).index
    assert len(deals) == 601
    assert set(early.set_index(["entity_id", "as_of"]).index) == set(before)


def test_sample__stays_within_its_budget_by_a_lower_rate_for_all(two_lengths):
    _, chosen = landmarks_of(two_lengths, budget=2000)
    assert chosen.rate < 0.1
    assert 1700 < chosen.is_sampled.sum() < 2300


def test_sample__changes_with_the_seed(two_lengths):
    first, second = (landmarks_of(two_lengths, seed=seed)[1] for seed in (0, 1))
    assert set(zip(first.deal, first.instant, strict=True)) != set(zip(second.deal, second.instant, strict=True))


def test_entries__do_not_look_before_the_first_close_known(make_snapshot):
    events = [
        ("old", "2024-01-01", "Lead"), ("closer", "2024-02-01", "Lead"), ("closer", "2024-04-10 15:00", "won"),
        ("new", "2024-05-01 09:00", "Lead"),
    ]  # fmt: skip
    snapshot = make_snapshot([(key, at) for key, at, stage in events if stage == "Lead"], events)
    history = DealHistory(snapshot)
    closes = Closes(history)
    assert pd.Timestamp(history_start(closes), unit="us") == pd.Timestamp("2024-04-10")
    first = entries(history, start=history_start(closes))
    found = dict(zip(history.deals.text(first.deal), pd.to_datetime(first.instant, unit="us"), strict=True))
    assert found["old"] == found["closer"] == pd.Timestamp("2024-04-10")
    assert pd.Timedelta(0) < found["new"] - pd.Timestamp("2024-05-01 09:00") < pd.Timedelta(seconds=1)


def test_entries__of_a_history_without_a_close_are_none(make_snapshot):
    history = DealHistory(make_snapshot([("A", "2024-01-01")], [("A", "2024-01-01", "Lead")]))
    assert len(entries(history, start=history_start(Closes(history))).deal) == 0


def test_sample__lies_at_midnights_before_as_of(two_lengths):
    history, chosen = landmarks_of(two_lengths)
    later = chosen.instant[~chosen.is_entry]
    assert len(later) > 1000
    assert np.all(later % DAY == 0)
    assert chosen.instant.max() < history.as_of
