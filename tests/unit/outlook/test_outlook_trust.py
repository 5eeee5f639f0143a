"""How far to listen to the open deals is learnt from a replay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from outlook_parts import month_trust, replayed

from predictkpi.outlook.trust import Trust


def test_learn__listens_to_deals_that_told_the_truth():
    trust = Trust.learn(replayed(with_deals=lambda actual, rng: actual + rng.normal(0, 5, len(actual))))
    assert (trust.weights(3) > 0.75).all()
    assert (trust.spreads(3) < 0.8).all()
    assert "better" in trust.verdict


def test_learn__does_not_listen_to_deals_that_misled():
    trust = Trust.learn(replayed(with_deals=lambda actual, rng: 2 * 1000 - actual + rng.normal(0, 5, len(actual))))
    assert (trust.weights(3) == 0).all()
    assert (trust.spreads(3) == 1).all()
    assert "do not change" in trust.verdict


def test_learn__never_makes_a_replayed_month_worse():
    trust = Trust.learn(replayed(with_deals=lambda actual, rng: rng.normal(1000, 150, len(actual))))
    assert all(month.mae_blend <= month.mae_time_series * 1.02 for month in trust.months)


def test_learn__corrects_deals_that_bring_less_than_expected_but_not_by_all_of_it():
    frame = replayed(with_deals=lambda actual, rng: actual).assign(deals_expected=100.0, deals_actual=50.0)
    assert Trust.learn(frame).yields(3) == pytest.approx(np.full(3, (12 * 50 + 400) / (12 * 100 + 400)), abs=0.05)


def test_learn__says_so_where_too_few_months_could_be_replayed():
    frame = replayed(with_deals=lambda actual, rng: actual)
    trust = Trust.learn(frame[frame["as_of"] < frame["as_of"].min() + pd.DateOffset(months=2)])
    assert not trust.months
    assert "2 past months" in trust.verdict


def test_trust__beyond_what_was_replayed_the_time_series_rules(trust):
    assert trust.weights(12)[3:].tolist() == [0.0] * 9
    assert trust.yields(12)[3:].tolist() == [1.0] * 9


def test_json__gives_the_same_trust_again(trust):
    assert Trust.from_json(trust.to_json()) == trust


def test_learn__seldom_praises_deals_that_say_nothing():
    def noise(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        useless = frame["time_series"] + rng.normal(0, 40, len(frame))
        return frame.assign(with_deals=useless, deals_expected=200.0, deals_actual=200 + rng.normal(0, 80, len(frame)))

    worlds = [noise(replayed(with_deals=lambda actual, rng: actual, seed=seed), seed + 1000) for seed in range(16)]
    verdicts = [Trust.learn(world).verdict for world in worlds]
    assert sum("better (" in verdict for verdict in verdicts) <= 5  # of 16; fitted and judged on the same rows 12 or 13


def test_learn__tells_errors_of_origins_that_taught_nothing_of_themselves():
    frame = replayed(with_deals=lambda actual, rng: actual + rng.normal(0, 5, len(actual)))
    month = Trust.learn(frame).months[0]
    rows = frame[frame["horizon"] == 1]
    fitted = (rows["actual"] - month.weight * rows["with_deals"] - (1 - month.weight) * rows["time_series"]).abs().mean()
    assert month.mae_blend != pytest.approx(fitted, rel=1e-4)
    assert 0 < month.mae_blend < month.mae_time_series


def test_verdict__names_no_month_whose_forecast_became_worse():
    trust = Trust((month_trust(1, mae_blend=110.0), month_trust(2, mae_blend=90.0)), "made up")
    assert "month 2" in trust.verdict
    assert "month 1" not in trust.verdict
