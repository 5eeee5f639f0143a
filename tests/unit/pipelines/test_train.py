from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company, Status
from predictkpi.errors import InsufficientDataError, NoChampionError, RegistryError, SettingsError, UnknownNameError
from predictkpi.pipelines.evaluate import evaluate
from predictkpi.pipelines.score import score
from predictkpi.pipelines.train import train
from predictkpi.registry import Registry
from predictkpi.store import Store
from toy import company
from toy.model import Toy, ToyBaseline

NOW = pd.Timestamp("2024-01-03 09:00")


pytestmark = pytest.mark.usefixtures("catalogue", "no_champion")


@pytest.fixture
def models_dir(tmp_path):
    (tmp_path / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n")
    return tmp_path


def store_of(folder, frame) -> Store:
    store = Store(f"sqlite:///{folder}/facts.db")
    store.migrate()
    if frame is not None:
        store.load({"orders": frame}, company=Company(name="Toys"), now=NOW)
    return store


def run(store, registry, models_dir, **named):
    (report,) = train(store, registry, **{"predictors": ["toy"], "as_of": None, "models_dir": models_dir, "now": NOW} | named)
    return report


def test_train__better_model_becomes_champion(tmp_path, registry, models_dir):
    told = []
    store = store_of(tmp_path, company.orders())
    report = run(store, registry, models_dir, on_progress=lambda *event: told.append(event))
    assert report.status is Status.FULL
    assert report.trial.is_passed
    assert report.champion.kind == "model"
    assert report.challenger is None
    loaded, ref = registry.champion("toy")
    assert ref == report.champion
    snapshot = store.snapshot()
    expected = Toy().fit(Toy().training_table(snapshot)).predict(snapshot)
    pd.testing.assert_frame_equal(loaded.predict(snapshot), expected)
    assert ("toy", "backtest", 4, 4) in told
    assert told[-1] == ("toy", "done", 1, 1)
    metrics = registry.metrics(report.run_id)
    assert metrics["model.tweedie_deviance"] < metrics["baseline.tweedie_deviance"]
    assert metrics["gate.promote"] == 1.0


def test_train__model_that_is_not_better_leaves_the_baseline_to_serve_and_says_so(tmp_path, registry, models_dir):
    report = run(store_of(tmp_path, company.orders(spread=0.0)), registry, models_dir)
    assert report.status is Status.BASELINE
    assert report.champion.kind == "baseline"
    assert report.challenger.kind == "model"
    loaded, ref = registry.champion("toy")
    assert type(loaded) is ToyBaseline
    assert ref.reason == report.reason
    assert "the baseline" in ref.reason
    assert registry.champion_version("toy", alias="challenger") == report.challenger.version


def test_train__history_too_short_for_a_fold_serves_the_baseline(tmp_path, registry, models_dir):
    report = run(store_of(tmp_path, company.orders(customers=30, months=1)), registry, models_dir)
    assert report.trial.decision is None
    assert report.champion.kind == "baseline"
    assert report.status is Status.BASELINE
    assert report.reason.startswith("No past cutoff to test the model on")


def test_train__too_little_for_anything_registers_nothing(tmp_path, registry, models_dir):
    before = registry.versions("toy")
    report = run(store_of(tmp_path, company.orders(customers=3, months=3)), registry, models_dir)
    assert report.status is Status.INSUFFICIENT_DATA
    assert (report.champion, report.run_id) == (None, "")
    assert "9 orders of 20" in report.reason
    assert registry.versions("toy") == before


def test_train__as_of_hides_what_came_later(tmp_path, registry, models_dir):
    as_of = pd.Timestamp("2023-06-01")
    report = run(store_of(tmp_path, company.orders()), registry, models_dir, as_of=as_of)
    assert max(report.trial.cutoffs.dates) == pd.Timestamp("2023-04-01")
    assert registry.versions("toy")[0]["as_of"] == as_of.isoformat()


def test_train__as_of_a_past_day_leaves_a_champion_that_knows_more(tmp_path, registry, models_dir):
    store = store_of(tmp_path, company.orders())
    now = run(store, registry, models_dir)
    past = run(store, registry, models_dir, as_of=store.default_as_of() - pd.DateOffset(months=2))
    assert past.challenger is not None
    assert past.champion.version == now.champion.version == registry.champion_version("toy")


def test_train__hyperparameters_reach_the_constructor(tmp_path, registry, models_dir):
    (models_dir / "toy.yaml").write_text("factor: 3.0\n")
    report = run(store_of(tmp_path, company.orders()), registry, models_dir)
    assert not report.trial.is_passed
    assert report.trial.result.metrics["model"]["total_bias"] == pytest.approx(2.0, abs=0.5)


def test_train__unknown_hyperparameter_names_it_and_the_valid_ones(tmp_path, registry, models_dir):
    (models_dir / "toy.yaml").write_text("factr: 3.0\n")
    with pytest.raises(SettingsError, match=r"toy\.yaml: unknown setting 'factr'; there are: factor, random_state"):
        run(store_of(tmp_path, company.orders()), registry, models_dir)


@pytest.mark.parametrize("text", ["toy: {folds: 2, stepp: 1, step: 1, gap: 1}", "toy: {step: 0, gap: 1}", "- a list", "a: [broken"])
def test_train__broken_evaluation_file_is_a_settings_error(tmp_path, registry, models_dir, text):
    (models_dir / "evaluation.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"evaluation\.yaml"):
        run(store_of(tmp_path, company.orders()), registry, models_dir)


def test_train__empty_store_and_unknown_predictor_are_clear(tmp_path, registry, models_dir):
    store = store_of(tmp_path, None)
    with pytest.raises(InsufficientDataError, match="predictkpi ingest"):
        run(store, registry, models_dir)
    with pytest.raises(UnknownNameError, match="there are: toy"):
        run(store, registry, models_dir, predictors=["nope"])


def test_train__unreachable_registry_is_found_before_the_work(tmp_path, models_dir):
    told = []
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:1"):
        run(
            store_of(tmp_path, company.orders()),
            Registry("http://127.0.0.1:1", tmp_path),
            models_dir,
            on_progress=lambda *event: told.append(event),
        )
    assert told == []


def test_score__writes_the_champions_answers_once(tmp_path, registry, models_dir):
    store = store_of(tmp_path, company.orders(spread=0.0))
    trained = run(store, registry, models_dir)
    assert trained.champion.kind == "baseline"
    for _ in range(2):
        (report,) = score(store, registry, predictors=["toy"])
        assert (report.entities, report.rows, report.model) == (40, 80, trained.champion)
    kept = store.read_predictions(predictor="toy", model_version=trained.champion.version, as_of=report.as_of)
    assert len(kept) == 80
    # the toy says "full" of itself; what serves is a baseline, and every row says so and why
    assert set(kept[c.STATUS]) == {"baseline"}
    assert set(kept[c.REASON]) == {trained.reason}


def test_score__without_champion_says_how_to_get_one(tmp_path, registry):
    with pytest.raises(NoChampionError, match="predictkpi train untrained"):
        score(store_of(tmp_path, company.orders()), registry, predictors=["untrained"])


def test_evaluate__gives_figures_for_machines_at_any_cutoff(tmp_path, models_dir):
    store = store_of(tmp_path, company.orders())
    found = evaluate(store, "toy", [pd.Timestamp("2023-05-01"), pd.Timestamp("2023-11-01")], models_dir=models_dir).as_dict()
    assert found["cutoffs"] == ["2023-05-01T00:00:00", "2023-11-01T00:00:00"]
    assert set(found["metrics"]) == {"model", "baseline"}
    assert found["would_promote"] is True
    assert found["unscored"] == [{"as_of": "2023-11-01T00:00:00", "reason": "not yet mature", "n": 40}]
    assert evaluate(store, "toy", [], models_dir=models_dir).result.cutoffs == (pd.Timestamp("2023-06-01"), pd.Timestamp("2023-10-01"))


def test_evaluate__refuses_cutoffs_it_cannot_judge(tmp_path, models_dir):
    store = store_of(tmp_path, company.orders())
    with pytest.raises(SettingsError, match="does not lie before"):
        evaluate(store, "toy", [pd.Timestamp("2024-02-01")], models_dir=models_dir)
    with pytest.raises(InsufficientDataError, match="0 orders of 20"):
        evaluate(store, "toy", [pd.Timestamp("2021-02-01")], models_dir=models_dir)
