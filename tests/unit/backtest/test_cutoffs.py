from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from predictkpi.backtest.cutoffs import FoldRule, choose_cutoffs
from toy import company
from toy.model import SPEC

DAYS = SPEC.model_copy(update={"time_unit": "day", "horizons": (7, 30, 60)})


def known_since(first: str):
    return lambda past: past.as_of >= pd.Timestamp(first)


def test_choose_cutoffs__newest_leaves_the_gap_and_the_others_step_back():
    chosen = choose_cutoffs(FoldRule(folds=3, step=4, gap=2), SPEC, company.snapshot(), is_usable=known_since("2000-01-01"))
    assert [f"{day:%Y-%m-%d}" for day in chosen.dates] == ["2023-03-01", "2023-07-01", "2023-11-01"]
    assert chosen.note == ""


def test_choose_cutoffs__months_start_on_the_first_even_when_the_data_ends_inside_one():
    snapshot = company.snapshot(as_of=pd.Timestamp("2023-12-15 08:00"))
    chosen = choose_cutoffs(FoldRule(folds=1, step=1, gap=2), SPEC, snapshot, is_usable=known_since("2000-01-01"))
    assert chosen.dates == (pd.Timestamp("2023-10-01"),)


def test_choose_cutoffs__days_are_midnights():
    snapshot = company.snapshot(as_of=pd.Timestamp("2023-12-15 08:00"))
    chosen = choose_cutoffs(FoldRule(folds=2, step=10, gap=30), DAYS, snapshot, is_usable=known_since("2000-01-01"))
    assert chosen.dates == (pd.Timestamp("2023-11-05"), pd.Timestamp("2023-11-15"))


def test_choose_cutoffs__short_history_gets_fewer_folds_and_says_so():
    chosen = choose_cutoffs(FoldRule(folds=5, step=2, gap=2), SPEC, company.snapshot(), is_usable=known_since("2023-08-01"))
    assert [f"{day:%Y-%m}" for day in chosen.dates] == ["2023-09", "2023-11"]
    assert "2 of 5 folds" in chosen.note


def test_choose_cutoffs__very_short_history_is_judged_on_near_horizons():
    chosen = choose_cutoffs(FoldRule(folds=2, step=5, gap=60), DAYS, company.snapshot(), is_usable=known_since("2023-11-20"))
    assert chosen.gap == 30
    assert chosen.dates == (pd.Timestamp("2023-11-27"), pd.Timestamp("2023-12-02"))
    assert "30 instead of 60 days" in chosen.note


def test_choose_cutoffs__no_usable_past_gives_none():
    chosen = choose_cutoffs(FoldRule(folds=2, step=1, gap=2), SPEC, company.snapshot(), is_usable=lambda past: False)
    assert chosen.dates == ()
    assert "0 of 2 folds" in chosen.note


def test_fold_rule__refuses_unknown_keys_and_nonsense():
    with pytest.raises(ValidationError):
        FoldRule(folds=0, step=1, gap=1)
    with pytest.raises(ValidationError):
        FoldRule.model_validate({"step": 1, "gap": 1, "stepp": 2})
