"""How versions come to serve and give way: the champion kept, promotion, rollback, the audit log, a training made again."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company, Status
from predictkpi.errors import ArtifactError, ConflictError, NotFoundError, RegistryError, SettingsError, StoreError, UnknownNameError
from predictkpi.pipelines.promote import promote, rollback
from predictkpi.pipelines.registering import upload
from predictkpi.pipelines.reproduce import reproduce
from predictkpi.pipelines.train import train
from predictkpi.pipelines.training_record import CARD, CARD_DATA, GATE, settings_json
from predictkpi.registry import Registry, TrainingRecord
from predictkpi.store import Store
from toy import company
from toy.model import Toy

NOW = pd.Timestamp("2024-01-03 09:00")
pytestmark = pytest.mark.usefixtures("catalogue", "no_champion")


@pytest.fixture
def models_dir(tmp_path):
    (tmp_path / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n")
    return tmp_path


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.load({"orders": company.orders()}, company=Company(name="Toys"), now=NOW)
    return store


def run(store, registry, models_dir, **settings):
    (models_dir / "toy.yaml").write_text(json.dumps(settings))
    (report,) = train(store, registry, predictors=["toy"], as_of=None, models_dir=models_dir, now=NOW)
    return report


def test_train__does_not_give_way_to_a_model_that_is_worse_than_the_champion(store, registry, models_dir):
    good = run(store, registry, models_dir)
    worse = run(store, registry, models_dir, factor=0.9)
    assert worse.trial.decision.low > 0, "it does beat the baseline"
    assert "champion" in [check.name for check in worse.trial.decision.failed]
    assert worse.champion.version == good.champion.version == registry.champion_version("toy")
    assert worse.challenger.version == registry.champion_version("toy", alias="challenger")
    assert worse.status is Status.FULL
    assert worse.reason.endswith(f"Version {good.champion.version} goes on serving.")


def test_train__lets_a_model_pass_that_is_better_than_the_champion(store, registry, models_dir):
    registry.promote("toy", run(store, registry, models_dir, factor=0.5).challenger.version)
    better = run(store, registry, models_dir, factor=1.0)
    (check,) = [check for check in better.trial.decision.checks if check.name == "champion"]
    assert check.is_passed
    assert better.champion.kind == "model"
    assert better.challenger is None


def test_train__of_the_champions_own_settings_on_newer_data_passes_without_a_comparison(store, registry, models_dir):
    first, second = run(store, registry, models_dir), run(store, registry, models_dir)
    assert "champion" not in second.trial.result.metrics
    assert int(second.champion.version) > int(first.champion.version)


def test_train__gives_way_to_a_baseline_that_is_clearly_better(store, registry, models_dir):
    registry.promote("toy", run(store, registry, models_dir, factor=12.0).challenger.version)
    report = run(store, registry, models_dir, factor=12.0)
    assert report.trial.decision.is_champion_worse
    assert report.champion.kind == "baseline"
    registry.promote("toy", report.challenger.version)
    assert run(store, registry, models_dir, factor=11.0).champion.kind == "baseline", "the champion's settings are judged, not the new ones"


def test_train__of_settings_that_are_far_worse_leaves_a_good_champion(store, registry, models_dir):
    good = run(store, registry, models_dir)
    bad = run(store, registry, models_dir, factor=12.0)
    assert bad.trial.decision.high < 0
    assert registry.champion_version("toy") == bad.champion.version == good.champion.version


def test_train__that_cannot_be_judged_leaves_the_model_that_a_person_promoted(store, registry, models_dir, tmp_path):
    young = Store(f"sqlite:///{tmp_path}/young.db")
    young.migrate()
    young.load({"orders": company.orders(customers=30, months=1)}, company=Company(name="Young"), now=NOW)
    first = run(young, registry, models_dir)
    assert first.trial.decision is None
    promote(young, registry, "toy", first.challenger.version, now=NOW)
    again = run(young, registry, models_dir)
    assert again.champion.version == first.challenger.version == registry.champion_version("toy")
    assert again.reason.endswith(f"Version {first.challenger.version} goes on serving.")


def test_train__does_not_replace_a_champion_that_came_meanwhile(store, registry, models_dir, monkeypatch):
    other = run(store, registry, models_dir, factor=0.9).champion.version
    first = run(store, registry, models_dir, factor=1.0).champion.version
    assert registry.champion_version("toy") == first
    fit = Toy.fit

    def promote_meanwhile(self, table):
        registry.promote("toy", other)
        return fit(self, table)

    monkeypatch.setattr(Toy, "fit", promote_meanwhile)
    report = run(store, registry, models_dir, factor=1.0)
    assert registry.champion_version("toy") == report.champion.version == other
    assert report.challenger is not None


def test_train__writes_the_gates_figures_down(store, registry, models_dir):
    report = run(store, registry, models_dir)
    gate = json.loads(registry.read_text(report.run_id, GATE))
    assert gate["promote"] is True
    assert {check["name"] for check in gate["checks"]} == {"calibration: total", "speed"}
    assert gate["is_champion_worse"] is False
    (row,) = store.audit(subject="toy").itertuples()
    assert (row.action, row.at) == ("train", NOW)
    detail = json.loads(row.detail)
    assert detail["gate"]["low"] == gate["low"]
    assert detail["champion"] == report.champion.version


def test_train__is_a_run_with_a_child_for_every_candidate_and_cutoff(store, registry, models_dir):
    report = run(store, registry, models_dir)
    with registry._connection.speaking("look") as client:
        parent = client.get_run(report.run_id)
        children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{report.run_id}'")
    assert {child.info.run_name for child in children} == {
        f"{name} {day}" for name in ("model", "baseline") for day in ("2023-06-01", "2023-10-01")
    }
    folds = report.trial.result.fold_metrics
    for child in children:
        rows = folds[(folds["candidate"] == child.data.params["candidate"]) & (folds["as_of"] == child.data.params["cutoff"])]
        assert child.data.metrics == pytest.approx(dict(zip(rows["metric"], rows["value"], strict=True)))
    metrics = registry.metrics(report.run_id)
    assert metrics["model.loss.low"] < metrics["model.loss"] < metrics["model.loss.high"]
    assert metrics["model.loss"] == pytest.approx(metrics["model.tweedie_deviance"])
    (dataset,) = parent.inputs.dataset_inputs
    assert json.loads(dataset.dataset.source) == {
        "as_of": store.default_as_of().isoformat(),
        "newest_load": 1,
        "sha256": parent.data.tags["predictkpi.data.sha256"],
    }
    assert json.loads(dataset.dataset.profile)["rows"]["orders"] == len(company.orders())
    environment = json.loads(registry.read_text(report.run_id, "environment.json"))
    assert environment["packages"]["pandas"] == pd.__version__


def test_card__tells_what_a_reader_should_know(store, registry, models_dir):
    report = run(store, registry, models_dir, factor=0.99)
    card, text = json.loads(registry.read_text(report.run_id, CARD_DATA)), registry.read_text(report.run_id, CARD)
    assert card["cutoffs"] == ["2023-06-01", "2023-10-01"]
    assert card["outcomes"] == 80
    assert card["settings"]["factor"] == "0.99"
    assert card["metrics"]["model"]["tweedie_deviance"] < card["metrics"]["baseline"]["tweedie_deviance"]
    assert card["data_from"] == "2022-01-10"
    for told in ("# Toy: model card", "| orders | 960 |", "| tweedie_deviance |", "## Limits", "| factor | 0.99 |"):
        assert told in text


def test_reproduce__gives_the_same_predictions_after_later_corrections(store, registry, models_dir):
    report = run(store, registry, models_dir, factor=1.0)
    corrected = company.orders().head(200)
    late = corrected.assign(**{c.AMOUNT: corrected[c.AMOUNT] * 3, c.KNOWN_AT: corrected[c.KNOWN_AT] + pd.Timedelta(days=1)})
    store.load({"orders": late}, company=Company(name="Toys"), now=NOW + pd.Timedelta(days=1))
    (found,) = reproduce(store, registry, report.run_id)
    assert found.is_same_data
    assert found.is_equal
    assert found.difference == 0
    assert found.predictions == 80
    now, saved = store.snapshot(report.trial.cutoffs.dates[-1]), registry.version("toy", found.version)[0]
    assert saved.training_table(now)["rate"].sum() > saved.training_table(store.snapshot(now.as_of, loaded_by=1))["rate"].sum(), (
        "the correction reached the same past day"
    )


def test_reproduce__tells_a_training_that_cannot_be_made_again(store, registry, models_dir):
    report = run(store, registry, models_dir)
    other = company.orders().assign(**{c.ORDER_ID: lambda frame: "X" + frame[c.ORDER_ID]})
    with pytest.raises(NotFoundError, match="no run 'ffff'"):
        reproduce(store, registry, "ffff")
    bare = registry.log_training("toy", TrainingRecord(params={}), run_name="bare")
    with pytest.raises(SettingsError, match="keeps no settings"):
        reproduce(store, registry, bare)
    another = Store(f"sqlite:///{models_dir}/other.db")
    another.migrate()
    another.load({"orders": other.assign(**{c.AMOUNT: other[c.AMOUNT] * 1.01})}, company=Company(name="Toys"), now=NOW)
    (found,) = reproduce(another, registry, report.run_id)
    assert not found.is_same_data
    assert not found.is_equal
    assert found.difference == pytest.approx(0.01, rel=0.1)


def test_settings__go_to_the_constructor_and_back():
    from predictkpi.predictors.revenue.model import RevenueForecaster

    event = {"name": "fair", "months": ["2024-09"], "known_from": "2024-01-15", "effect": 0.1}
    model = RevenueForecaster(events=[event], origins=7)
    settings = {name: getattr(model, name) for name in ("draws", "origins", "crossed", "events", "random_state")}
    again = RevenueForecaster(**json.loads(settings_json(settings)))
    assert (again.events, again.origins, again.crossed) == (model.events, 7, model.crossed)


def test_promote_and_rollback__move_the_alias_step_by_step_and_are_kept(store, registry, models_dir):
    versions = [run(store, registry, models_dir).champion.version for _ in range(2)]
    promote(store, registry, "toy", versions[0], now=NOW, actor="ada")
    assert registry.champion_version("toy") == versions[0]
    with pytest.raises(ConflictError, match=f"back to version {versions[1]} by now, not {versions[0]}"):
        rollback(store, registry, "toy", now=NOW, expected=versions[0])
    assert rollback(store, registry, "toy", now=NOW, expected=versions[1]).version == versions[1]
    assert rollback(store, registry, "toy", now=NOW).version == versions[0]
    with pytest.raises(UnknownNameError):
        promote(store, registry, "nope", "1", now=NOW)
    with pytest.raises(NotFoundError, match="has no version '99'"):
        promote(store, registry, "toy", "99", now=NOW)
    log = store.audit(subject="toy")
    assert log["action"].tolist() == ["rollback", "rollback", "promote", "train", "train"]
    assert log["actor"].iloc[2] == "ada"
    assert json.loads(log["detail"].iloc[2]) == {"from": versions[1], "to": versions[0]}


def test_rollback__without_a_former_champion_says_so(store, registry, models_dir):
    run(store, registry, models_dir)
    before = registry.former_champions("toy")
    for _ in before:
        rollback(store, registry, "toy", now=NOW)
    with pytest.raises(NotFoundError, match="no champion before this one"):
        rollback(store, registry, "toy", now=NOW)


def test_two_promotions_at_once__leave_one_champion_and_a_way_back(store, registry, models_dir):
    versions = [run(store, registry, models_dir).champion.version for _ in range(3)]
    with ThreadPoolExecutor(2) as pool:
        moved = list(pool.map(lambda version: promote(store, registry, "toy", version, now=NOW).version, versions[:2]))
    assert moved == versions[:2]
    last = registry.champion_version("toy")
    assert registry.former_champions("toy")[-2:] == [versions[2], next(version for version in versions[:2] if version != last)]
    assert registry.champion_version("toy") in versions[:2]
    assert rollback(store, registry, "toy", now=NOW).version in versions


class GoneAtTheEnd(Registry):
    """A registry whose server goes away while the model learns."""

    def log_training(self, *arguments, **named):
        raise RegistryError("cannot log a training of toy: the server is gone")


def test_training__that_mlflow_cannot_take_is_kept_and_registered_later(store, registry, models_dir):
    away = GoneAtTheEnd(registry.tracking_uri, models_dir / "mlflow" / "artifacts")
    with pytest.raises(RegistryError, match=r"the server is gone\. Nothing is lost: `predictkpi train --upload (\S+)`") as error:
        run(store, away, models_dir)
    folder = Path(re.search(r"--upload (\S+)`", str(error.value))[1])
    assert folder.is_relative_to(models_dir)
    found = upload(store, registry, folder, now=NOW)
    assert found.champion.kind == "model"
    assert registry.champion_version("toy") == found.champion.version
    with pytest.raises(ArtifactError, match=f"was registered already, as run {found.run_id}"):
        upload(store, registry, folder, now=NOW)
    snapshot = store.snapshot()
    expected = Toy().fit(Toy().training_table(snapshot)).predict(snapshot)
    pd.testing.assert_frame_equal(registry.champion("toy")[0].predict(snapshot), expected)
    assert json.loads(registry.read_text(found.run_id, GATE))["promote"] is True
    assert {file.name for file in (folder / "figures").iterdir()} == {"loss_by_horizon.png", "deciles.png", "lorenz.png"}
    assert store.audit(subject="toy")["action"].tolist() == ["upload"]


def test_upload__of_what_was_compared_with_another_champion_becomes_the_challenger(store, registry, models_dir):
    away = GoneAtTheEnd(registry.tracking_uri, models_dir / "mlflow" / "artifacts")
    with pytest.raises(RegistryError):
        run(store, away, models_dir)
    newer = run(store, registry, models_dir)
    (folder,) = (models_dir / "mlflow" / "kept").iterdir()
    found = upload(store, registry, folder, now=NOW)
    assert found.champion.version == newer.champion.version
    assert registry.champion_version("toy", alias="challenger") == found.challenger.version


def test_upload__of_anything_else_says_so(store, registry, tmp_path):
    with pytest.raises(ArtifactError, match="holds no training that was kept"):
        upload(store, registry, tmp_path, now=NOW)


def test_promotion__that_cannot_be_logged_moves_nothing(store, registry, models_dir, monkeypatch):
    versions = [run(store, registry, models_dir).champion.version for _ in range(2)]

    def refuse(*arguments, **named):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "write_audit", refuse)
    for move in (lambda: promote(store, registry, "toy", versions[0], now=NOW), lambda: rollback(store, registry, "toy", now=NOW)):
        with pytest.raises(StoreError, match="the disk is full"):
            move()
        assert registry.champion_version("toy") == versions[1]


def test_rollback__after_a_promotion_that_was_killed_halfway_goes_back_one_step(store, registry, models_dir, monkeypatch):
    first, second = (run(store, registry, models_dir).champion.version for _ in range(2))

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "_move", die)
        with pytest.raises(KeyboardInterrupt):
            promote(store, registry, "toy", first, now=NOW)
    assert rollback(store, registry, "toy", now=NOW).version == first
    promote(store, registry, "toy", second, now=NOW)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "_keep_former", die)
        with pytest.raises(KeyboardInterrupt):
            rollback(store, registry, "toy", now=NOW)
    assert registry.champion_version("toy") == first
    former = [version for version in registry.former_champions("toy") if version != first]
    if former:
        assert rollback(store, registry, "toy", now=NOW).version == former[-1] != second


def test_training__is_kept_too_where_the_disk_is_full(store, registry, models_dir, monkeypatch):
    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Registry, "register", full)
    here = Registry(registry.tracking_uri, models_dir / "mlflow" / "artifacts")
    with pytest.raises(RegistryError, match=r"No space left on device.*Nothing is lost"):
        run(store, here, models_dir)
    assert len(list((models_dir / "mlflow" / "kept").iterdir())) == 1


def test_reproduce__knows_the_company_as_it_was_stated(store, registry, models_dir):
    report = run(store, registry, models_dir)
    corrected = company.orders().head(1).assign(**{c.KNOWN_AT: NOW})
    store.load({"orders": corrected}, company=Company(name="Toys", fiscal_year_starts=4, country="DE"), now=NOW)
    (found,) = reproduce(store, registry, report.run_id)
    assert found.is_same_data
    assert found.is_equal


def test_training__is_kept_elsewhere_where_nothing_can_be_written_beside_the_artifacts(store, registry, models_dir):
    (models_dir / "file").write_text("no folder can be made in here")
    away = GoneAtTheEnd(registry.tracking_uri, models_dir / "file" / "artifacts")
    with pytest.raises(RegistryError) as error:
        run(store, away, models_dir)
    folder = Path(re.search(r"--upload (\S+)`", str(error.value))[1])
    assert upload(store, registry, folder, now=NOW).champion.kind == "model"
    shutil.rmtree(folder.parent)
