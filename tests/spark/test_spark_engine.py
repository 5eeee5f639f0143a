"""The same answers from Spark as from this machine, on two executors, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest

from odd_company import odd_snapshot
from predictkpi.core import columns as c
from predictkpi.engines import LocalEngine
from predictkpi.engines.places import export_facts, read_facts
from predictkpi.engines.spark import SparkEngine
from predictkpi.errors import SourceError
from predictkpi.pipelines.on_spark import spark_engine
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.score import score, score_to_folder, served_by
from predictkpi.predictors import predictor_names

pytestmark = pytest.mark.long

NAMES = predictor_names()


@pytest.fixture(scope="module")
def doors(settings):
    """Store and registry."""
    return open_store(settings), open_registry(settings)


@pytest.fixture(scope="module")
def engines(doors, cluster):
    """Spark's, and this machine's."""
    store, registry = doors
    with spark_engine(store, registry, master=cluster) as spark:
        yield spark, LocalEngine(store.snapshot())


def in_order(frame):
    keys = [c.ENTITY_ID, c.AS_OF, *(name for name in (c.DS, c.HORIZON, c.STATISTIC) if name in frame)]
    return frame.sort_values(keys, kind="stable", ignore_index=True)[sorted(frame)]


def assert_same(found, expected):
    pd.testing.assert_frame_equal(in_order(found), in_order(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_predictions__are_those_of_this_machine(engines, doors, name):
    spark, local = engines
    predictor, model = doors[1].champion(name)
    found = served_by(spark, predictor, model)
    assert len(found) > 100
    assert_same(found, served_by(local, predictor, model))


@pytest.fixture(scope="module")
def odd_engines(engines, company, tmp_path_factory):
    """The same of a company whose records went with somebody else at first, and other oddities."""
    odd, folder = odd_snapshot(company), tmp_path_factory.mktemp("odd")
    export_facts(odd, folder)
    session = engines[0]._spark
    facts = read_facts(session, f"parquet:{folder}", known_before=odd.as_of)
    return SparkEngine(session, facts, company=odd.company, as_of=odd.as_of, udf_of=None, n_parts=4), LocalEngine(odd)


@pytest.mark.parametrize("facts", ["engines", "odd_engines"])
@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_training_table__are_those_of_this_machine(request, doors, facts, name):
    spark, local = request.getfixturevalue(facts)
    predictor, _ = doors[1].champion(name)
    assert_same(spark.inputs(predictor), local.inputs(predictor))
    assert_same(spark.training_table(predictor), local.training_table(predictor))


def test_score__keeps_the_same_in_the_store_and_in_a_folder(engines, doors, tmp_path):
    (spark, local), (store, registry) = engines, doors
    kept = {}
    for engine in (local, spark):
        (report,) = score(store, registry, predictors=["clv"], engine=engine)
        held = store.read_predictions(predictor="clv", model_version=report.model.version, as_of=report.as_of)
        kept[engine.name] = report.entities, report.rows, held
    assert kept["spark"][:2] == kept["local"][:2] == (kept["local"][2][c.ENTITY_ID].nunique(), len(kept["local"][2]))
    assert_same(kept["spark"][2], kept["local"][2])
    reports = score_to_folder(registry, spark, predictors=["clv", "revenue"], folder=str(tmp_path), as_of=report.as_of)
    assert (reports[0].entities, reports[0].rows) == kept["local"][:2]
    for report in reports:
        expected = served_by(local, *registry.champion(report.predictor))
        assert_same(pd.read_parquet(tmp_path / report.predictor).astype(expected.dtypes.to_dict()), expected)
    with pytest.raises(SourceError, match=r"cannot be written: .*Delta needs its jars"):
        score_to_folder(registry, spark, predictors=["clv"], folder=f"delta:{tmp_path}", as_of=report.as_of)


def test_lost_executor__changes_nothing(doors, cluster):
    store, registry = doors
    predictor, model = registry.champion("close_time")
    expected = served_by(LocalEngine(store.snapshot()), predictor, model)
    with spark_engine(store, registry, master=cluster) as spark:
        session, killed = spark._spark, []
        lost = threading.Thread(target=_kill_one, args=(session.sparkContext.statusTracker(), killed))
        lost.start()
        found = served_by(spark, predictor, model)
        lost.join(60)
    assert killed
    assert_same(found, expected)


def _kill_one(tracker, killed):
    """End one executor as soon as a stage has tasks that run."""
    waiting = threading.Event()
    for _ in range(6_000):
        stages = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
        executors = _executors()
        if len(executors) == 2 and any(stage and stage.numActiveTasks for stage in stages):
            os.kill(executors[0], signal.SIGKILL)
            killed.append(executors[0])
            return
        waiting.wait(0.01)


def _executors():
    """Process ids of executors whose driver is this process's."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line, status = (place / "cmdline").read_bytes(), (place / "stat").read_text()
        except OSError:
            continue
        if b"CoarseGrainedExecutorBackend" in line and _is_below(int(status.rpartition(")")[2].split()[1])):
            found.append(int(place.name))
    return sorted(found)


def _is_below(parent):
    """Whether a process comes of this one."""
    while parent > 1:
        if parent == os.getpid():
            return True
        try:
            parent = int(Path("/proc", str(parent), "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False
