"""What the series of a company have in common: heard where it proved itself, and never told of what came after."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from predictkpi.predictors.revenue import shared
from predictkpi.predictors.revenue.explain import STEPS, Explained
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.point import point_path, prepare
from predictkpi.predictors.revenue.shared import SharedMember
from predictkpi.predictors.revenue.table import inputs_of

MONTHS, HORIZON, SERIES = 84, 12, 16


def cycles(seed: int = 0, *, months: int = MONTHS) -> list[np.ndarray]:
    """Series that swing every 30 months, each at its own time: no model of one series knows, all together tell."""
    rng = np.random.default_rng(seed)
    phase, t = rng.uniform(0, 30, SERIES), np.arange(months)
    return [100 * np.exp(0.4 * np.sin(2 * np.pi * (t + p) / 30) + 0.03 * rng.standard_normal(months)) for p in phase]


def errors(series: list[np.ndarray], member: SharedMember | None) -> np.ndarray:
    """Mean absolute error of the last year of each series, forecast from what was known before."""
    found = []
    for y in series:
        known = prepare(y[:-HORIZON])
        path = point_path(known, HORIZON)
        found.append(np.abs(y[-HORIZON:] - (member.blended(known, path) if member else path)).mean())
    return np.array(found)


@pytest.fixture(scope="module")
def series() -> list[np.ndarray]:
    return cycles(months=MONTHS + HORIZON)


@pytest.fixture(scope="module")
def member(series) -> SharedMember:
    return SharedMember.learn([prepare(y[:-HORIZON]) for y in series], horizon=HORIZON)


def test_member__is_heard_where_the_series_have_something_in_common_and_helps_on_months_it_never_saw(series, member):
    assert member.weight > 0
    assert member.saved > 0.1
    assert "saves +" in member.reason
    assert errors(series, member).mean() < 0.85 * errors(series, None).mean()


def test_member__is_silent_where_they_have_nothing_in_common():
    rng = np.random.default_rng(3)
    walks = [prepare(100 * np.exp(np.cumsum(0.05 * rng.standard_normal(MONTHS)))) for _ in range(SERIES)]
    member = SharedMember.learn(walks, horizon=HORIZON)
    assert (member.weight, member.trees, member.saved < 0.05) == (0.0, "", True)
    path = point_path(walks[0], HORIZON)
    assert member.blended(walks[0], path) is path


@pytest.mark.parametrize("series", [[], [np.full(MONTHS, 5.0)] * 3, [np.full(40, 5.0)] * 20, [np.zeros(MONTHS)] * 20])
def test_member__of_few_short_or_empty_series_says_what_is_needed(series):
    member = SharedMember.learn([prepare(y) for y in series], horizon=HORIZON)
    assert member.weight == 0
    assert "8 are needed" in member.reason


def test_member__leaves_series_alone_that_it_cannot_speak_for(member):
    for y in (cycles()[0][:20], np.where(np.arange(MONTHS) % 7 == 0, 0.0, cycles()[0])):
        series = prepare(y)
        path = point_path(series, HORIZON)
        assert not member.hears(series)
        assert member.blended(series, path) is path


def test_questions__are_blind_to_what_came_after():
    x = np.log(cycles()[0])
    changed = x.copy()
    changed[60:] += 3
    t, step = np.array([40, 59, 59]), np.array([1, 1, 12])
    for mine, theirs in zip(shared._asked(x, t, step, 12), shared._asked(changed, t, step, 12), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    seen = shared._asked(changed, np.array([60]), np.array([1]), 12)[0]
    assert (seen != shared._asked(x, np.array([60]), np.array([1]), 12)[0]).any()


def test_training_rows__answer_with_what_came_and_keep_to_their_budget():
    x = np.log(cycles()[0])
    rng = np.random.default_rng(0)
    features, answers = shared._training_rows(x, 12, HORIZON, 10_000, rng)
    origins = np.arange(23, MONTHS - 1)
    assert len(answers) == np.minimum(MONTHS - 1 - origins, HORIZON).sum()
    step, unit, months = features[:, -3].astype(int), features[:, -2], features[:, -1].astype(int)
    same = months - 1 + step - 12
    np.testing.assert_allclose(x[same] + unit * answers, x[months - 1 + step])
    assert len(shared._training_rows(x, 12, HORIZON, 50, rng)[1]) == 50


def test_member__comes_back_from_json_as_it_was(member, series):
    again = SharedMember.from_json(json.loads(json.dumps(member.to_json())))
    known = prepare(series[0])
    path = point_path(known, HORIZON)
    np.testing.assert_array_equal(again.blended(known, path), member.blended(known, path))
    assert again.saved == member.saved
    with pytest.raises(KeyError):
        SharedMember.from_json({"weight": 1.0})


@pytest.fixture(scope="module")
def forecaster() -> tuple[RevenueForecaster, pd.DataFrame]:
    as_of = pd.Timestamp("2020-01-01")
    months = pd.date_range(end=as_of, periods=MONTHS + 1, freq="MS", unit="us")[:-1]
    series = {f"s{k:02d}": y for k, y in enumerate(cycles())}
    by_origin = {}
    for name, y in series.items():
        by_origin[name] = {as_of - pd.DateOffset(months=k): pd.Series(y[: MONTHS - k], index=months[: MONTHS - k]) for k in range(5)}
    model = RevenueForecaster(origins=4, draws=400).learn(by_origin)
    return model, pd.concat([inputs_of(name, as_of, months, y) for name, y in series.items()], ignore_index=True)


def test_forecaster__follows_the_shared_member_with_narrower_paths_and_tells_so(forecaster, tmp_path):
    model, inputs = forecaster
    heard, member = model.answers(inputs)[0].paths, model.shared_
    assert member.weight > 0
    model.save(tmp_path)
    np.testing.assert_array_equal(RevenueForecaster.load(tmp_path).answers(inputs)[0].paths, heard)
    step = model.explain(inputs).query("entity_id == 's00' and feature == 'other_series'")["contribution"].to_numpy()
    model.shared_ = SharedMember(0.0, "")
    alone = model.answers(inputs)[0].paths
    model.shared_ = member
    assert step == pytest.approx(heard.mean(axis=0) - alone.mean(axis=0), abs=0.05 * alone.mean())
    assert np.abs(step).max() > 0.02 * alone.mean()
    assert (np.log(heard).std(axis=0) / np.log(alone).std(axis=0)).mean() == pytest.approx(1 - member.saved, abs=0.05)


def test_steps__with_a_shared_member_add_up(member):
    y = cycles()[0]
    final = np.linspace(90, 110, HORIZON)
    ones = np.ones(HORIZON)
    found = Explained(y, 1.1 * ones, 0.9 * ones, member, drawn=final + 1, completed=final + 2, final=final).steps()
    assert set(found) == set(STEPS)
    assert sum(found.values()) == pytest.approx(final)
    assert np.abs(found["other_series"]).max() > 0
