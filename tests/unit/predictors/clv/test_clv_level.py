from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.features.purchase_days import DAY
from predictkpi.predictors.clv.cutoffs import STEP, YEAR, practice, span_of
from predictkpi.predictors.clv.level import DEFAULT_SPREAD, PERSISTENCE, Level, foretell

AS_OF = pd.Timestamp("2026-01-01")


def quarters(*logs: float, span: int = STEP) -> dict[pd.Timestamp, float]:
    """Log ratios at cutoffs one quarter apart, the newest one span before `AS_OF`."""
    return {AS_OF - (span + STEP * number) * DAY: value for number, value in enumerate(logs)}


def level_of(logs: dict[pd.Timestamp, float], *, error: float = 0.0, span: int = STEP) -> Level:
    return Level.find(span, list(logs), list(np.exp(list(logs.values()))), [error] * len(logs), AS_OF)


def test_practice__of_a_long_history_stands_a_quarter_apart_and_a_year_back():
    plan = practice(AS_OF, history_days=1400, horizons=[91.3, 182.6, 365.25, 730.5])
    assert plan.spans == (91, 182, 364)
    backs = [int((AS_OF - cutoff) / DAY) for cutoff in plan.cutoffs]
    assert backs[:4] == [91, 182, 273, 364]
    assert YEAR in backs
    assert len(backs) == 12


@pytest.mark.parametrize("years", [2, 3, 4])
def test_practice__knows_a_year_before_for_every_horizon(years):
    plan = practice(AS_OF, history_days=years * 366, horizons=[91.3, 182.6, 365.25, 730.5])
    for span in plan.spans:
        assert "seasonal" in foretell(dict.fromkeys(plan.cutoffs, 0.1), AS_OF, span)


def test_practice__of_a_short_history_looks_no_further_than_half_of_it():
    plan = practice(AS_OF, history_days=200, horizons=[91.0, 365.0])
    assert plan.spans == (91, 100)
    assert [int((AS_OF - cutoff) / DAY) for cutoff in plan.cutoffs] == [91, 119]


def test_practice__of_a_very_short_history_is_none():
    assert practice(AS_OF, history_days=50, horizons=[91.0]).cutoffs == ()


@pytest.mark.parametrize(("horizon", "span"), [(91.3, 91), (182.0, 182), (365.25, 364), (730.5, 364), (30.0, 91)])
def test_span_of__is_the_longest_that_is_no_longer(horizon, span):
    assert span_of(horizon, [91, 182, 364]) == span


def test_foretell__takes_only_cohorts_whose_span_was_over():
    logs = quarters(0.4, 0.3, 0.2)
    then = AS_OF - STEP * DAY
    assert foretell(logs, then, STEP)["recent"] == pytest.approx(PERSISTENCE * 0.3)
    assert foretell(logs, AS_OF - 3 * STEP * DAY, STEP) == {"customers": 0.0}


def test_foretell__leaves_out_a_cohort_that_is_still_running():
    logs = {AS_OF - 91 * DAY: 0.4, AS_OF - 182 * DAY: 0.3}
    assert foretell(logs, AS_OF, 182)["recent"] == pytest.approx(PERSISTENCE * 0.3)


def test_foretell__of_a_season_is_between_the_year_before_and_the_whole_year():
    logs = quarters(0.0, 0.1, 0.2, 0.5)
    assert foretell(logs, AS_OF, STEP)["seasonal"] == pytest.approx((0.5 + 0.2) / 2)


def test_foretell__of_cohorts_that_do_not_fill_a_year_is_the_year_before_alone():
    logs = {AS_OF - 91 * DAY: 0.3, AS_OF - 119 * DAY: 0.3, AS_OF - YEAR * DAY: 0.02}
    assert foretell(logs, AS_OF, STEP)["seasonal"] == pytest.approx(0.02)


def test_level__finds_a_season():
    before_a_strong_quarter = [0.0, -0.1, 0.1, 0.3]
    found = level_of(quarters(*before_a_strong_quarter * 3))
    assert found.rule == "seasonal"
    assert found.factor == pytest.approx(np.exp((0.3 + np.mean(before_a_strong_quarter)) / 2))


def test_level__turns_to_another_rule_only_where_that_was_clearly_better():
    """Errors of alternating sign a year apart: looking a year back is always wrong by twice the error, nothing at all by once."""
    swinging = quarters(*([0.3] * 4 + [-0.3] * 4 + [0.3] * 4))
    assert level_of(swinging).rule != "seasonal"
    assert level_of(quarters(*[0.2] * 12)).rule == "seasonal"


def test_level__draws_what_may_be_chance_to_nothing():
    logs = quarters(*[0.2] * 8)
    sure, unsure = level_of(logs), level_of(logs, error=DEFAULT_SPREAD)
    assert sure.factor == pytest.approx(np.exp(0.2))
    assert unsure.factor == pytest.approx(np.exp(0.1))


def test_level__spread_follows_what_was_missed():
    assert level_of(quarters(*[0.0] * 12)).spread < DEFAULT_SPREAD
    noisy = np.random.default_rng(0).normal(0.0, 0.5, 12)
    assert level_of(quarters(*noisy)).spread > DEFAULT_SPREAD


def test_level__without_any_other_cohort_is_as_unsure_as_experience_says():
    assert level_of(quarters(0.0)).spread == pytest.approx(DEFAULT_SPREAD)
