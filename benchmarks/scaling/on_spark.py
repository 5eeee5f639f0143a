"""The same steps on Spark: the company's Parquet files are what it reads, and Parquet is what it writes; two cores of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import yaml

from predictkpi.core.types import Company, ModelRef
from predictkpi.engines.places import read_facts
from predictkpi.engines.session import open_session
from predictkpi.engines.spark import SparkEngine
from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.score import stated
from predictkpi.protocol import Predictor
from predictkpi.registry import Registry
from predictkpi.registry.artifact import read_artifact
from predictkpi.registry.records import TrainingRecord
from scaling.company import END, MAPPING
from scaling.local import Place

MASTER = "local[2]"
SETTINGS = {"spark.driver.memory": "5g", "spark.driver.maxResultSize": "4g"}  # what deals share is 2 GB at a million customers


@contextmanager
def engine_at(place: Place) -> Iterator[tuple[SparkEngine, Registry]]:
    """An engine over the company's files, and a registry for it."""
    registry = Registry(f"sqlite:///{place.folder}/spark-tracking.db", place.folder / "spark-artifacts")
    company = Company(**yaml.safe_load((place.folder / MAPPING).read_text(encoding="utf-8"))["company"])
    with place.timed("session"):
        spark, _ = open_session(MASTER, SETTINGS | {"spark.local.dir": str(place.folder / "spark")})
    try:
        facts = read_facts(spark, f"parquet:{place.folder}", known_before=END)
        yield SparkEngine(spark, facts, company=company, as_of=END, udf_of=registry.spark_udf), registry
    finally:
        spark.stop()
        shutil.rmtree(place.folder / "spark", ignore_errors=True)


def train_one(place: Place, predictor: str) -> int:
    """The training table made on Spark, and the fit on this machine; rows of the table."""
    model = make_model(predictor, place.models_dir)
    with engine_at(place) as (engine, _):
        with place.timed("table"):
            table = engine.training_table(model)
        with place.timed("fit"):
            model.fit(table)
    return len(table)


def score_one(place: Place, predictor: str) -> int:
    """Inputs, the version that is registered as a UDF, and its predictions as Parquet; rows of predictions."""
    trained = place.trained(predictor)
    place.parts["model of customers"] = trained.customers
    loaded = read_artifact(trained.artifact(predictor))
    with engine_at(place) as (engine, registry):
        model = _registered(registry, loaded, engine)
        _, rows = engine.predictions(loaded, model, partial(stated, model=model)).write(str(place.folder / "predictions" / predictor))
    return rows


def _registered(registry: Registry, loaded: Predictor, engine: SparkEngine) -> ModelRef:
    """The model as a version that Spark can ask, registered once."""
    name = loaded.spec.name
    known = registry.versions(name)
    if not known:
        run = registry.log_training(name, TrainingRecord(params={}), run_name="scale")
        return registry.register(loaded, run_id=run, inputs=engine.inputs(loaded))
    return registry.version(name, known[0]["version"])[1]
