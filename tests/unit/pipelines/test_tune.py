from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import predictkpi.predictors
from predictkpi.backtest.cutoffs import FoldRule, choose_cutoffs
from predictkpi.core.types import Company
from predictkpi.errors import ConflictError, InsufficientDataError, RegistryError, SettingsError
from predictkpi.pipelines.search_days import choose_days
from predictkpi.pipelines.search_space import read_space
from predictkpi.pipelines.study import Bound, open_search
from predictkpi.pipelines.tune import Comparison, Limits, tune
from predictkpi.predictors import predictor_names
from predictkpi.registry import Registry
from predictkpi.store import Store
from toy import company
from toy.model import Toy

pytestmark = pytest.mark.usefixtures("catalogue")

NOW = pd.Timestamp("2024-01-03 09:00")
SEARCHED = tuple(pd.to_datetime(["2022-12-01", "2023-04-01"]))
HELD_OUT = tuple(pd.to_datetime(["2023-06-01", "2023-10-01"]))
SPACE = "toy: {factor: {kind: float, low: 0.25, high: 4.0, log: true}}\n"
TRIALS = 8


def store_of(folder, frame) -> Store:
    store = Store(f"sqlite:///{folder}/facts.db")
    store.migrate()
    store.load({"orders": frame}, company=Company(name="Toys"), now=NOW)
    return store


def models_in(folder: Path, *, factor: float = 1.6, space: str = SPACE) -> Path:
    (folder / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n")
    (folder / "toy.yaml").write_text(f"# what serves now\nfactor: {factor}\nrandom_state: 3\n")
    (folder / "search.yaml").write_text(space)
    return folder


def trials_of(registry: Registry, report) -> list[dict]:
    """Children of the search's run in MLflow; the first are the current settings."""
    runs = registry.search_runs("toy")
    runs.run_id = report.run_id
    return runs.trials()


class Killed(BaseException):
    """Takes the process away in the midst of a fit, as far as the search can tell."""


@pytest.fixture
def store(tmp_path):
    return store_of(tmp_path, company.orders())


@pytest.fixture
def models_dir(tmp_path):
    return models_in(tmp_path)


@pytest.fixture
def run(tmp_path, store, registry, models_dir):
    def call(trials=1, **named):
        return tune(
            named.pop("store", store), registry, "toy", **{"models_dir": models_dir, "folder": tmp_path, "limits": Limits(trials)} | named
        )

    return call


@pytest.fixture
def minutes(monkeypatch):
    """A clock, in seconds, that goes on by a minute with every fit."""
    fit, now = Toy.fit, [0.0]

    def fit_for_a_minute(self, table):
        now[0] += 60.0
        return fit(self, table)

    monkeypatch.setattr(Toy, "fit", fit_for_a_minute)
    return lambda: now[0]


@pytest.fixture(scope="module")
def searched(tmp_path_factory, registry):
    """A search that ran through, and the steps it told of."""
    folder, steps = tmp_path_factory.mktemp("searched"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictkpi.predictors, "PREDICTORS", ("toy.model.Toy",))
        store, models_dir = store_of(folder, company.orders()), models_in(folder)
        before = registry.versions("toy")
        report = tune(store, registry, "toy", models_dir=models_dir, folder=folder, limits=Limits(TRIALS), on_progress=steps.append)
        assert registry.versions("toy") == before, "a search registers nothing"
    return report, steps


@pytest.mark.long
def test_tune__finds_better_settings_and_shows_it_on_days_the_search_has_not_seen(searched):
    report, _ = searched
    assert (report.searched_on, report.held_out) == (SEARCHED, HELD_OUT)
    assert report.settings["factor"] == pytest.approx(1.0, abs=0.2)
    assert report.settings["random_state"] == 3
    assert report.share < 1
    assert report.comparison.low > 0
    assert "by more than chance explains" in report.verdict
    assert yaml.safe_load(report.as_yaml()) == report.settings


def test_tune__every_trial_is_a_run_with_its_settings_folds_and_state(searched, registry):
    report, _ = searched
    current, *trials = trials_of(registry, report)
    assert (current["name"], current["params"], len(current["folds"])) == ("current settings", {"factor": "1.6"}, 2)
    assert [trial["name"] for trial in trials] == [f"trial {number}" for number in range(1, TRIALS + 1)]
    assert {state: sum(trial["state"] == state for trial in trials) for state in ("complete", "pruned", "failed")} == report.counts
    best = min((trial for trial in trials if trial["state"] == "complete"), key=lambda trial: sum(trial["folds"]))
    assert float(best["params"]["factor"]) == report.settings["factor"]
    assert registry.metrics(report.run_id)["held_out.improvement"] == report.comparison.improvement


def test_tune__stops_trials_that_are_worse_than_the_median_after_their_first_fold(searched, registry):
    report, _ = searched
    current, *trials = trials_of(registry, report)
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert 0 < len(pruned) < TRIALS
    for trial in pruned:
        complete = [other["folds"][0] for other in [current, *trials[: trials.index(trial)]] if other["state"] == "complete"]
        assert trial["folds"][1:] == []
        assert trial["folds"][0] > pd.Series(complete).median()
    assert all(len(trial["folds"]) == 2 for trial in trials if trial["state"] == "complete")


def test_tune__tells_where_it_is_and_the_best_so_far(searched):
    report, steps = searched
    assert [(step.number, step.fold, step.folds, step.best) for step in steps[:3]] == [(0, 0, 2, None), (0, 1, 2, None), (1, 0, 2, None)]
    told = [step.best for step in steps if step.best is not None]
    assert told == sorted(told, reverse=True)
    assert min(told) == report.share


@pytest.mark.long
def test_tune__killed_and_resumed_goes_through_the_same_trials(searched, run, registry, monkeypatch):
    fit, fits = Toy.fit, []

    def fit_until_killed(self, table):
        fits.append(self.factor)
        if len(fits) == 13:  # two of the current settings, eleven of trials
            raise Killed
        return fit(self, table)

    monkeypatch.setattr(Toy, "fit", fit_until_killed)
    with pytest.raises(Killed):
        run(TRIALS)
    report = run(TRIALS)
    assert (report.note, report.killed) == ("the search goes on", 1)
    whole, _ = searched
    assert (report.counts, report.settings) == (whole.counts, whole.settings)
    trials = trials_of(registry, report)
    (killed,) = [trial for trial in trials if trial["state"] == "killed"]
    again = [trial for trial in trials if trial["state"] != "killed"]
    assert [(t["name"], t["params"], t["folds"]) for t in again] == [
        (t["name"], t["params"], t["folds"]) for t in trials_of(registry, whole)
    ]
    assert killed["params"] in [trial["params"] for trial in again]


@pytest.mark.long
def test_tune__budget_ends_the_search_between_folds_and_the_next_call_goes_on(run, registry, minutes):
    first = run(limits=Limits(None, 5 * 60.0), clock=minutes)
    assert first.counts == {"complete": 1, "pruned": 0, "failed": 0}, "2 minutes for the current settings, 2 for a trial, half of the next"
    *_, cut_off = trials_of(registry, first)
    assert (cut_off["name"], cut_off["state"], len(cut_off["folds"])) == ("trial 2", "killed", 1)
    second = run(limits=Limits(None, 3 * 60.0), clock=minutes)
    assert second.note == "the search goes on"
    assert second.counts["complete"] == 3, "a minute for the rest of the second, 2 for the third"
    again = trials_of(registry, second)[3]
    assert (again["name"], again["params"], again["folds"][:1]) == ("trial 2", cut_off["params"], cut_off["folds"])


@pytest.mark.long
def test_tune__budget_smaller_than_a_fold_still_gets_on(run, minutes):
    calls = [run(limits=Limits(None, 1.0), clock=minutes) for _ in range(4)]
    assert [report.counts["complete"] for report in calls] == [0, 0, 0, 1]
    assert calls[0].verdict == "No trial is complete yet: the same command goes on."


def test_tune__nothing_after_the_oldest_held_out_day_reaches_the_search(tmp_path, run, registry):
    before = run(2)
    orders = company.orders()
    orders["amount"] *= 1 + 5.0 * (orders["ds"] >= HELD_OUT[0])
    other = tmp_path / "other"
    other.mkdir()
    after = run(2, store=store_of(other, orders), folder=other)
    assert [trial["folds"] for trial in trials_of(registry, after)] == [trial["folds"] for trial in trials_of(registry, before)]
    assert after.share == before.share


@pytest.mark.long
def test_tune__a_change_begins_a_new_search_and_says_why(run, models_dir, store):
    assert run().note == "the first search"
    models_in(models_dir, factor=1.5)
    assert run().note.endswith("since the last one: the current settings")
    models_in(models_dir, factor=1.5, space=SPACE.replace("4.0", "3.0"))
    assert run().note.endswith("since the last one: the search space")
    earlier = run(seed=1, as_of=pd.Timestamp("2023-11-01"))
    assert earlier.note.endswith("since the last one: the data, the past days it is judged on, the seed")
    models_in(models_dir)
    assert run().note == "the search goes on", "earlier searches are kept"
    fresh = run(fresh=True)
    assert (fresh.note, sum(fresh.counts.values())) == ("asked to begin afresh", 1)


def test_tune__nothing_better_leaves_the_settings_and_compares_nothing(run, models_dir):
    models_in(models_dir, factor=1.0, space=SPACE.replace("0.25", "2.0"))
    report = run(2)
    assert report.share > 1
    assert (report.comparison, report.settings["factor"]) == (None, 1.0)
    assert report.verdict.startswith("No trial had a lower loss")


@pytest.mark.parametrize(
    ("figures", "n", "words"),
    [
        ((0.02, 0.01, 0.03), 90, "better than the current ones on the held-out days, by more than chance explains: +2.0% [+1.0%, +3.0%]"),
        ((0.02, -0.01, 0.05), 90, "not clearly better than the current ones"),
        ((-0.02, -0.05, 0.01), 90, "no better than the current ones, which should stay"),
        ((0.02, 0.01, 0.03), 12, "Too few outcomes on the held-out days"),
    ],
)
def test_verdict__tells_better_from_better_by_luck(figures, n, words):
    assert words in Comparison(*figures, n_outcomes=n, is_enough=n >= 30).verdict


@pytest.mark.long
def test_tune__settings_that_the_model_cannot_take_are_failed_trials(run, registry, monkeypatch):
    fit = Toy.fit

    def fit_small(self, table):
        if self.factor > 2:
            raise ArithmeticError("too much")
        return fit(self, table)

    monkeypatch.setattr(Toy, "fit", fit_small)
    report = run(4)
    assert report.counts["failed"] > 0
    assert report.counts["complete"] > 0
    assert sum(report.counts.values()) == 4
    failed = [trial for trial in trials_of(registry, report) if trial["state"] == "failed"]
    assert all(float(trial["params"]["factor"]) > 2 for trial in failed)
    monkeypatch.setattr(Toy, "fit", lambda self, table: fit(self, table) if self.factor == 1.6 else 1 / 0)
    with pytest.raises(SettingsError, match=r"all 5 trials failed, the last with ZeroDivisionError"):
        run(9, fresh=True)


def test_tune__without_optuna_names_the_command_that_installs_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"pip install 'predictkpi\[tune\]'"):
        run()


def test_tune__unreachable_registry_is_found_before_the_work(tmp_path, store, models_dir):
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:1"):
        tune(store, Registry("http://127.0.0.1:1", tmp_path), "toy", models_dir=models_dir, folder=tmp_path, limits=Limits(1))


def test_tune__two_at_once_are_refused(tmp_path, run):
    bound = Bound("data", "cutoffs", "space", "settings", "code", 0)
    with open_search(tmp_path, "toy", bound, {}), pytest.raises(ConflictError, match="another process searches for settings of toy"):
        run()


def test_tune__history_too_short_for_days_of_both_kinds_is_a_clear_error(tmp_path, run):
    short = tmp_path / "short"
    short.mkdir()
    with pytest.raises(InsufficientDataError, match="too short to search on past days and to compare on newer ones"):
        run(store=store_of(short, company.orders(months=3)))


def test_choose_days__holds_out_the_days_that_training_judges_on_and_searches_before_all_of_them():
    rule, snapshot = FoldRule(folds=3, step=2, gap=2), company.snapshot()
    days = choose_days(rule, Toy(), snapshot)
    assert days.held_out == choose_cutoffs(rule, Toy.spec, snapshot, is_usable=lambda past: True).dates
    assert (len(days.held_out), len(days.search)) == (3, 3)
    assert days.past.as_of == days.held_out[0]
    assert max(days.search) == days.past.as_of - pd.DateOffset(months=2), "what the search is judged on is known by then"


def test_choose_days__one_day_is_held_out_where_two_would_leave_the_search_less():
    days = choose_days(FoldRule(folds=2, step=4, gap=2), Toy(), company.snapshot(company.orders(months=10)))
    (newest,) = days.held_out
    assert days.past.as_of == newest == pd.Timestamp("2023-11-01")
    assert max(days.search) < days.past.as_of


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"search\.yaml: nothing to search for toy.*e\.g\. toy: \{learning_rate"),
        ("toy: {factr: {kind: float, low: 1.0, high: 2.0}}", r"toy has no setting 'factr' to search; there are: factor$"),
        ("toy: {random_state: {kind: int, low: 0, high: 9}}", r"no setting 'random_state'"),
        ("toy: {factor: {kind: float, low: 2.0, high: 1.0}}", r"toy\.factor=.*low must be below high, not 2 and 1"),
        ("toy: {factor: {kind: float, low: 0.0, high: 1.0, log: true}}", r"toy\.factor=.*log needs a low above 0"),
        ("toy: {factor: {kind: int, low: 0.5, high: 2}}", r"toy\.factor\.low=0\.5: .*integer"),
        ("toy: {factor: {kind: float, low: 0.5, high: 2.0, step: 1}}", r"toy\.factor\.step=1: .*write it like learning_rate"),
        ("toy: {factor: {kind: normal, low: 0.5}}", r"toy\.factor=.*'int', 'float', 'choice'"),
        ("toy: {factor: {kind: choice, options: [1]}}", r"toy\.factor\.options=\[1\]"),
        ("toy: 3", r"toy=3"),
    ],
)
def test_read_space__names_file_setting_value_and_the_way_out(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        read_space("toy", models_in(tmp_path, space=text))
    assert "search.yaml" in str(caught.value)


def test_read_space__a_bound_the_constructor_refuses_is_found_before_the_search(tmp_path, monkeypatch):
    monkeypatch.undo()
    (tmp_path / "search.yaml").write_text("revenue: {draws: {kind: int, low: 50, high: 500}}\n")
    with pytest.raises(SettingsError, match=r"search\.yaml: revenue\.draws=50 is refused: .*100 or more"):
        read_space("revenue", tmp_path)


def test_read_space__of_the_repository_is_valid_and_holds_the_current_settings(monkeypatch):
    from predictkpi.pipelines.candidates import hyperparameters, make_model

    monkeypatch.undo()
    folder = Path(__file__).parents[3] / "models"
    for name in predictor_names():
        space, settings = read_space(name, folder), hyperparameters(make_model(name, folder))
        assert [key for key, values in space.items() if not values.holds(settings[key])] == []
