"""When a predictor is due, one process at a time, and a process that is killed at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from nursery import Nursery
from predictkpi.cli import main
from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import LockedError
from predictkpi.pipelines import retrain as pipeline
from predictkpi.pipelines.findings import Finding, Severity
from predictkpi.pipelines.retrain import WORK, retrain
from predictkpi.pipelines.train import train
from predictkpi.registry import Registry
from predictkpi.store import Store
from toy import company

KILLS = int(os.environ.get("PREDICTKPI_KILLS", "3"))
NOW = pd.Timestamp("2024-01-03 09:00")
FIRST = pd.Timestamp("2023-09-01")

pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.fixture
def models_dir(tmp_path):
    (tmp_path / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n")
    return tmp_path


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A registry whose tables are made, to be copied: making them takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    Registry(f"sqlite:///{folder}/tracking.db", folder / "artifacts").check()
    return folder / "tracking.db"


@pytest.fixture
def registry(template, tmp_path):
    shutil.copyfile(template, tmp_path / "tracking.db")
    return Registry(f"sqlite:///{tmp_path}/tracking.db", tmp_path / "artifacts")


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    return store


def load(store, *, before: pd.Timestamp) -> None:
    orders = company.orders()
    store.load({"orders": orders[orders[c.DS] < before]}, company=Company(name="Toys"), now=NOW)


def run(store, registry, models_dir, **options):
    return retrain(store, registry, predictors=["toy"], models_dir=models_dir, now=NOW, **options)


def decided(report):
    (decision,) = report.decisions
    return decision.is_due, decision.reason


def rule(models_dir, text):
    (models_dir / "monitor.yaml").write_text(text)


def test_retrain__without_a_champion_trains_once_and_then_leaves_it(store, registry, models_dir):
    load(store, before=FIRST)
    first = run(store, registry, models_dir)
    assert decided(first) == (True, "no champion yet")
    assert first.trained[0].champion is not None
    again = run(store, registry, models_dir)
    assert decided(again) == (False, "trained on all that is known, up to 2023-08-11")
    assert again.trained == ()
    assert run(store, registry, models_dir, if_needed=False).trained


def test_retrain__too_little_data_is_nothing_to_do(store, registry, models_dir):
    store.load({"orders": company.orders(customers=3, months=2)}, company=Company(name="Toys"), now=NOW)
    is_due, reason = decided(run(store, registry, models_dir))
    assert not is_due
    assert "too little to learn from" in reason


@pytest.mark.parametrize(
    ("until", "text", "is_due", "words"),
    [
        ("2023-10-01", "retrain_new_share: 0.5\n", False, "31 days since the last training's data, up to 2023-08-11: not old enough"),
        ("2023-10-01", "retrain_new_share: 0.05\n", True, "orders grew from 800 to 840"),
        ("2023-10-01", "{retrain_new_share: 0.01, retrain_least_days: 40}\n", False, "too little new"),
        ("2024-01-01", "{retrain_new_share: 9, retrain_after_days: 100}\n", True, "122 days, 100 are allowed"),
    ],
)
def test_retrain__when_it_is_due(store, registry, models_dir, until, text, is_due, words):
    load(store, before=FIRST)
    run(store, registry, models_dir)
    load(store, before=pd.Timestamp(until))
    rule(models_dir, text)
    report = run(store, registry, models_dir)
    assert decided(report)[0] is is_due
    assert words in decided(report)[1]
    assert bool(report.trained) is is_due


def test_retrain__max_age_wins_over_the_rule(store, registry, models_dir):
    load(store, before=FIRST)
    run(store, registry, models_dir)
    load(store, before=pd.Timestamp("2023-10-01"))
    rule(models_dir, "retrain_new_share: 9\n")
    assert not decided(run(store, registry, models_dir))[0]
    assert decided(run(store, registry, models_dir, max_age_days=30))[0]


def test_retrain__an_alarm_is_a_reason_and_a_broken_source_is_one_against_it(store, registry, models_dir, monkeypatch):
    load(store, before=FIRST)
    run(store, registry, models_dir)
    load(store, before=pd.Timestamp("2023-11-01"))
    rule(models_dir, "retrain_new_share: 9\n")
    alarm = Finding("matured error", "toy", Severity.ALARM, "twice as large")
    monkeypatch.setattr(pipeline, "watched_champion", lambda *_, **__: [alarm])
    monkeypatch.setattr(pipeline, "watch_sources", lambda *_, **__: [Finding("volume", "orders", Severity.ALARM, "too few")])
    is_due, reason = decided(run(store, registry, models_dir))
    assert not is_due
    assert "something is wrong with orders" in reason
    monkeypatch.setattr(pipeline, "watch_sources", lambda *_, **__: [])
    is_due, reason = decided(run(store, registry, models_dir))
    assert is_due
    assert "an alarm of the monitor (matured error: twice as large)" in reason
    assert not decided(run(store, registry, models_dir))[0]


def test_retrain__a_champion_that_stayed_is_not_tried_again_on_the_same_data(store, registry, models_dir):
    load(store, before=FIRST)
    run(store, registry, models_dir)
    stayed = registry.champion_version("toy")
    load(store, before=pd.Timestamp("2024-01-01"))
    assert run(store, registry, models_dir).trained
    registry.promote("toy", stayed)  # rolled back: the newest training was no good
    assert decided(run(store, registry, models_dir)) == (False, "trained on all that is known, up to 2023-12-11")


def test_retrain__one_process_at_a_time(store, registry, models_dir):
    load(store, before=FIRST)
    with store.lock(WORK, holder="host-b, process 7"), pytest.raises(LockedError, match="host-b, process 7"):
        run(store, registry, models_dir)
    assert registry.versions("toy") == []


@pytest.fixture
def cli(store, registry, models_dir, monkeypatch, capsys):
    monkeypatch.chdir(models_dir)
    for name, value in {
        "PREDICTKPI_DATABASE_URL": str(store.url),
        "MLFLOW_TRACKING_URI": registry.tracking_uri,
        "PREDICTKPI_ARTIFACT_ROOT": str(models_dir / "artifacts"),
        "PREDICTKPI_MODELS_DIR": str(models_dir),
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["predictkpi", "retrain", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


def test_command__says_what_it_decided_and_the_second_at_once_who_is_at_it(store, registry, cli):
    load(store, before=FIRST)
    with store.lock(WORK, holder="host-b, process 7"):
        code, out, err = cli("--if-needed")
    assert (code, out) == (5, "")
    assert "retrain is being done by host-b, process 7 just now" in " ".join(err.split())
    code, out, _ = cli("--if-needed", "toy")
    assert code == 0
    assert out.startswith("toy: train: no champion yet\n")
    assert registry.champion_version("toy") in out
    code, out, _ = cli("--if-needed")
    assert (code, out) == (0, "toy: leave: trained on all that is known, up to 2023-08-11\n")


IMPORTS = """
from pathlib import Path
import mlflow, pandas as pd
import predictkpi.predictors
predictkpi.predictors.PREDICTORS = ("toy.model.Toy",)
from predictkpi.pipelines.retrain import retrain
from predictkpi.registry import Registry
from predictkpi.store import Store
import toy.model

def work(folder):
    registry = Registry(f"sqlite:///{folder}/tracking.db", Path(folder) / "artifacts")
    store = Store(f"sqlite:///{folder}/facts.db")
    retrain(store, registry, predictors=["toy"], models_dir=Path(folder), now=pd.Timestamp("2024-01-03"))
"""


@pytest.mark.long
def test_retrain__killed_at_any_moment_leaves_the_former_champion_and_the_next_run_completes(store, registry, models_dir, tmp_path):
    load(store, before=FIRST)
    train(store, registry, predictors=["toy"], as_of=None, models_dir=models_dir, now=NOW)
    former = registry.champion_version("toy")
    load(store, before=pd.Timestamp("2024-01-01"))
    store.close()

    def copy(name: str) -> tuple[Path, Registry]:
        folder = tmp_path / name
        folder.mkdir()
        for file in ("facts.db", "tracking.db", "evaluation.yaml"):
            shutil.copyfile(tmp_path / file, folder / file)
        return folder, Registry(f"sqlite:///{folder}/tracking.db", folder / "artifacts")

    nursery, rng, serving = Nursery(imports=IMPORTS, work="work(*words)"), random.Random(7), []
    folder, whole = copy("whole")
    started = time.perf_counter()
    assert nursery.run(folder) == 0
    duration = time.perf_counter() - started
    assert whole.champion_version("toy") > former
    while len(serving) < KILLS:
        folder, left = copy(f"kill{len(list(tmp_path.iterdir()))}")
        started = time.perf_counter()
        code = nursery.run(folder, seconds=duration * (len(serving) + rng.random()) / KILLS)
        if code == 0:  # faster than its kill: the next ones come a little earlier
            duration = time.perf_counter() - started
            continue
        assert code == -signal.SIGKILL
        champion, model = left.champion("toy")
        assert len(champion.rates_) == 40
        serving.append(model.version)
        assert nursery.run(folder) == 0
        mark = Store(f"sqlite:///{folder}/facts.db").marks("predictkpi retrain")
        assert mark == {"toy": "2023-12-11T00:00:00"}
        assert left.champion_version("toy") >= max(serving[-1], str(int(former) + 1))
    nursery.close()
    print(f"{KILLS} kills: the former champion served after {serving.count(former)} of them")
    assert former in serving
