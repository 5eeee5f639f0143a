"""The steps as the command line does them: one process, the store in SQLite, tables as frames in memory."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from predictkpi.core.types import ModelRef
from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.score import score
from predictkpi.pipelines.train import train
from predictkpi.predictors import predictor_names
from predictkpi.protocol import MODEL, Predictor
from predictkpi.registry import Registry
from predictkpi.registry.artifact import MANIFEST, read_artifact, write_artifact
from predictkpi.snapshot import Facts, Snapshot
from predictkpi.store import Store
from predictkpi.tables import TABLES
from scaling.company import END, MAPPING, mapping

MODELS = Path(__file__).parents[2] / "models"
LOADED = "loaded"
LOAD_ROWS = 10_000_000
NOW = END + pd.Timedelta(hours=5)


@dataclass
class Place:
    """One company's folder: its Parquet files, its store and what it trained; ``parts`` takes the seconds that parts of a step took."""

    folder: Path
    models_dir: Path = MODELS
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def customers(self) -> int:
        """How large the company is: its folder's name."""
        return int(self.folder.name)

    @property
    def store(self) -> Store:
        """The company's store; raises where the files have not been loaded to the end."""
        if not (self.folder / LOADED).exists():
            raise RuntimeError("the store is not filled: its load met a limit, or was not asked for")
        return self._store()

    @contextmanager
    def filling(self) -> Iterator[Store]:
        """An empty store, which counts as filled once the block ends."""
        for file in [*self.folder.glob("facts.db*"), self.folder / LOADED]:
            file.unlink(missing_ok=True)
        yield self._store()
        (self.folder / LOADED).touch()

    def _store(self) -> Store:
        store = Store(f"sqlite:///{self.folder}/facts.db")
        store.migrate()
        return store

    def artifact(self, predictor: str) -> Path:
        """Where that predictor's model is kept."""
        return self.folder / "trained" / predictor

    def trained(self, predictor: str) -> Place:
        """The place of the model that scores: this one or, where its training did not come to an end, that of the next smaller company."""
        places = [Place(folder) for folder in self.folder.parent.iterdir() if folder.name.isdigit()]
        ready = [place for place in places if (place.artifact(predictor) / MANIFEST).exists() and place.customers <= self.customers]
        return max(ready, key=lambda place: place.customers)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of this block to that part."""
        started = time.perf_counter()
        yield
        self.parts[part] = self.parts.get(part, 0.0) + time.perf_counter() - started


class TimedFacts:
    """Facts that note how long reading them takes: a table is read when it is first asked for, in the middle of something else."""

    def __init__(self, facts: Facts, place: Place) -> None:
        self.company = facts.company
        self._facts, self._place = facts, place

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        with self._place.timed("read"):
            return self._facts.read(table, known_before=known_before)


class Trained:
    """What `score` asks of a registry, without MLflow: the one model there is."""

    def __init__(self, predictor: Predictor, version: str) -> None:
        self._predictor, self._version = predictor, version

    def champion(self, name: str) -> tuple[Predictor, ModelRef]:
        return self._predictor, ModelRef(predictor=name, version=self._version, run_id="scale", kind=MODEL)


def ingest_files(place: Place) -> int:
    """All files into an empty store, in one load; rows."""
    with place.filling() as store:
        report = ingest(store, mapping=place.folder / MAPPING, source=place.folder, now=NOW)
    return sum(feed.accepted for feed in report.feeds)


def ingest_in_loads(place: Place) -> int:
    """The same table by table, a load of at most `LOAD_ROWS` rows after the other; rows."""
    rows = 0
    with place.filling() as store:
        for name in TABLES:
            for number, part in enumerate(loads_of(place.folder / f"{name}.parquet")):
                with place.timed(f"{name} {number + 1}"):
                    rows += _one_load(store, name, part)
    return rows


def _one_load(store: Store, name: str, rows: pa.Table) -> int:
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(rows, Path(folder) / f"{name}.parquet")
        (Path(folder) / MAPPING).write_text(yaml.safe_dump(mapping([name])), encoding="utf-8")
        report = ingest(store, mapping=Path(folder) / MAPPING, source=Path(folder), now=NOW)
    return sum(feed.accepted for feed in report.feeds)


def loads_of(file: Path) -> Iterator[pa.Table]:
    """The file's row groups, as many at once as `LOAD_ROWS` allow; none of a table that has no file."""
    if not file.exists():
        return
    held, groups, rows = pq.ParquetFile(file), [], 0
    for group in range(held.num_row_groups):
        size = held.metadata.row_group(group).num_rows
        if groups and rows + size > LOAD_ROWS:
            yield held.read_row_groups(groups)
            groups, rows = [], 0
        groups, rows = [*groups, group], rows + size
    yield held.read_row_groups(groups)


def read_snapshot(place: Place) -> int:
    """Every table as of the end; rows."""
    snapshot = place.store.snapshot()
    return sum(len(snapshot.table(name)) for name in TABLES)


def train_one(place: Place, predictor: str) -> int:
    """Training table, fit and save, as `train` does them once the test on the past is over; rows of the training table."""
    snapshot = Snapshot(TimedFacts(place.store.facts(), place), END)
    model = make_model(predictor, place.models_dir)
    with place.timed("table"):
        table = model.training_table(snapshot)
    place.parts["table"] -= place.parts["read"]
    with place.timed("fit"):
        model.fit(table)
    shutil.rmtree(place.artifact(predictor), ignore_errors=True)
    with place.timed("save"):
        write_artifact(model, place.artifact(predictor))
    return len(table)


def train_with_backtest(place: Place) -> int:
    """The whole of `predictkpi train`, all predictors: tests on the past beside the baselines, the gate, and the registry; predictors."""
    for folder in ("artifacts", "served"):
        shutil.rmtree(place.folder / folder, ignore_errors=True)
    (place.folder / "tracking.db").unlink(missing_ok=True)
    registry = Registry(f"sqlite:///{place.folder}/tracking.db", place.folder / "artifacts")
    names = predictor_names()
    reports = train(place.store, registry, predictors=names, as_of=None, models_dir=place.models_dir, now=NOW)
    place.parts.update({report.predictor: report.seconds for report in reports})
    return len(names)


def score_one(place: Place, predictor: str) -> int:
    """Inputs, predictions and their rows in the store; rows of predictions."""
    trained = place.trained(predictor)
    place.parts["model of customers"] = trained.customers
    registry = Trained(read_artifact(trained.artifact(predictor)), "1")
    reports = score(place.store, registry, predictors=[predictor], as_of=END, now=NOW)  # type: ignore[arg-type]
    return sum(report.rows for report in reports)
