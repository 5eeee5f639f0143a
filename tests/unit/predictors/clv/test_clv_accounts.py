from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.predictors.clv.accounts import AccountPrior, fit_account_prior, wait_likelihood
from predictkpi.predictors.clv.btyd import Btyd


def table_of(*, n, share, rate, seed=0, segments=("SMB",), opened_within=600.0, history=900.0) -> pd.DataFrame:
    """Accounts of which ``share`` (by segment) buy first after an exponential wait; observed for up to ``opened_within`` days."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(segments, n)
    age = rng.uniform(2.0, opened_within, n)
    ever = rng.random(n) < np.array([share[s] for s in segment])
    wait = 1.0 + rng.exponential(1.0 / rate, n)
    bought = ever & (wait < age)
    return pd.DataFrame(
        {
            "segment": segment,
            "purchases": bought.astype(float),
            "orders": bought.astype(float),
            "T": np.where(bought, age - wait, 0.0),
            "account_days": age,
            "history_days": history,
        }
    )


def test_fit__recovers_share_and_rate():
    table = table_of(n=8000, share={"SMB": 0.4}, rate=1 / 50)
    prior = fit_account_prior(table, pd.Series(100.0, index=table.index), shrinkage=20.0)
    assert prior.odds / (1 + prior.odds) == pytest.approx(0.4, abs=0.02)
    assert prior.rate == pytest.approx(1 / 50, rel=0.06)
    # none of the others has ever bought in over a million days of waiting: next to nothing, but not nothing
    assert 0.0 < prior.slow_rate < 1e-5
    assert prior.value_ratio == {"SMB": pytest.approx(1.0)}


def test_fit__tells_segments_apart_and_shrinks_small_ones():
    table = table_of(n=4000, share={"SMB": 0.2, "Enterprise": 0.6}, rate=1 / 50, segments=("SMB", "Enterprise"))
    value = pd.Series(np.where(table["segment"] == "SMB", 50.0, 150.0)).where(table["purchases"] > 0)
    few = table.iloc[:3].assign(segment="Tiny", purchases=1.0, orders=1.0, T=0.5)
    table, value = pd.concat([table, few], ignore_index=True), pd.concat([value, pd.Series([1e4] * 3)], ignore_index=True)
    prior = fit_account_prior(table, value, shrinkage=20.0)
    age, segment = np.zeros(3), pd.Series(["SMB", "Enterprise", "never seen"])
    small, large, unknown = prior.p_first_purchase(300.0, age=age, segment=segment)
    assert small < unknown < large
    ratios = prior.value_ratios(pd.Series(["SMB", "Enterprise", "Tiny", "never seen"]))
    assert ratios[0] < 0.6 < 1.0 == ratios[3] < ratios[1]
    assert ratios[2] < 15.0


def test_fit__takes_no_lesson_from_accounts_older_than_the_order_history():
    table = table_of(n=2000, share={"SMB": 0.4}, rate=1 / 50)
    # bought before the history began, and once again in it: to us a wait of years
    old = pd.DataFrame(
        {
            "segment": "SMB",
            "purchases": 1.0,
            "orders": 1.0,
            "T": 400.0,
            "account_days": np.linspace(950.0, 3000.0, 2000),
            "history_days": 900.0,
        }
    )
    alone, mixed = (
        fit_account_prior(frame, pd.Series(1.0, index=frame.index), shrinkage=20.0)
        for frame in (table, pd.concat([table, old], ignore_index=True))
    )
    assert (mixed.odds, mixed.rate) == (alone.odds, alone.rate)


def test_fit__without_any_account_to_learn_from_keeps_the_prior():
    table = table_of(n=50, share={"SMB": 1.0}, rate=1e6).assign(T=lambda t: t["account_days"])
    prior = fit_account_prior(table, pd.Series(1.0, index=table.index), shrinkage=20.0)
    assert 0.05 < prior.odds / (1 + prior.odds) < 0.5
    assert prior.rate == pytest.approx(1 / 60, rel=0.01)


def test_fit__old_silent_accounts_are_worth_what_such_accounts_did():
    table = table_of(n=4000, share={"SMB": 0.3}, rate=1 / 40, opened_within=890.0)
    # one in 10 of the oldest others came late after all
    silent = np.flatnonzero((table["purchases"] == 0) & (table["account_days"] > 700))[::10]
    late = table.copy()
    late.loc[silent, ["purchases", "orders"]] = 1.0
    late.loc[silent, "T"] = 100.0
    old, segment = np.array([600.0]), pd.Series(["SMB"])
    chances = [
        fit_account_prior(frame, pd.Series(1.0, index=frame.index), shrinkage=20.0).p_first_purchase(365.0, age=old, segment=segment)[0]
        for frame in (table, late)
    ]
    # without a single late one, the prior stands for about two in a million days
    assert 0.0 < chances[0] < 0.003
    assert 4.0 * chances[0] < chances[1] < 0.05


def test_wait_likelihood__has_the_gradient_of_finite_differences():
    rng = np.random.default_rng(0)
    wait, event = rng.exponential(100.0, 80), rng.random(80) < 0.4
    theta = np.array([-0.5, -4.0, -8.0])
    _, gradient = wait_likelihood(theta, wait=wait, event=event)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-5
        up, down = (wait_likelihood(theta + sign * step, wait=wait, event=event)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-6)


def test_waits__follow_the_chance_to_buy():
    prior = AccountPrior(odds=0.8, rate=1 / 40, slow_rate=1 / 3000, odds_ratio={}, value_ratio={})
    segment, age = pd.Series(["x", "x"]), np.array([0.0, 100.0])
    p_soon = prior.p_soon(age=age, segment=segment)
    uniforms = (np.arange(20_000) + 0.5) / 20_000
    waits = np.array([prior.waits(float(u), p_soon=p_soon) for u in uniforms])
    for days in (5.0, 90.0, 5000.0):
        np.testing.assert_allclose((waits <= days).mean(axis=0), prior.p_first_purchase(days, age=age, segment=segment), atol=1e-3)
    assert p_soon[0] > p_soon[1] > 0


def test_expected_purchases__agree_with_a_sum_over_days():
    prior = AccountPrior(odds=0.8, rate=1 / 40, slow_rate=1 / 3000, odds_ratio={}, value_ratio={})
    btyd = Btyd(0.6, 60.0, 0.8, 2.3)
    age, segment, zero = np.array([10.0]), pd.Series(["x"]), np.zeros(1)
    days = 365
    by_day = np.array([prior.p_first_purchase(float(d), age=age, segment=segment)[0] for d in range(days + 1)])
    after = np.array([btyd.expected_purchases(days - d - 0.5, zero, zero, zero)[0] for d in range(days)])
    found = prior.expected_purchases(float(days), age=age, segment=segment, btyd=btyd)[0]
    assert found == pytest.approx(np.diff(by_day) @ (1.0 + after), rel=1e-3)
