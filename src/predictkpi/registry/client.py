"""The registry of models: one experiment and one registered model a predictor, versions that never change, aliases that move."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef
from predictkpi.errors import NoChampionError, NotFoundError, RegistryError
from predictkpi.features.attributes import OF_CUSTOMERS, OF_DEALS
from predictkpi.protocol import Predictor
from predictkpi.registry.artifact import read_artifact, write_artifact
from predictkpi.registry.connection import Connection, public
from predictkpi.registry.erasure import Erasing, erase_below, erase_in_models
from predictkpi.registry.last_good import LastGood
from predictkpi.registry.provenance import requirements
from predictkpi.registry.pyfunc import LAYOUT, SPARK_TYPES, signature_of
from predictkpi.registry.records import RunRecord, TrainingRecord
from predictkpi.registry.runs import PARENT, TAG, write_run
from predictkpi.registry.search_runs import SearchRuns

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
LOADER = "predictkpi.registry.pyfunc"
SAMPLE_ENTITIES = 2
EXPERIMENT = "predictkpi-"
FORMER, MOST_FORMER = "former_champions", 20
# MLflow's error codes, as it writes them.
RESOURCE_ABSENT, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


class Registry:
    """Reads and writes MLflow. ``artifact_root`` is used where no server keeps the artifacts.

    Every method raises `RegistryError`, within seconds, where MLflow cannot be reached or refuses.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path) -> None:
        self.tracking_uri = tracking_uri
        self._artifact_root = artifact_root
        self._connection = Connection(tracking_uri)
        self.last_good = LastGood(artifact_root.parent / "served" / hashlib.sha256(tracking_uri.encode()).hexdigest()[:12])
        self._loaded: dict[tuple[str, str], tuple[Predictor, ModelRef]] = {}

    @property
    def address(self) -> str:
        """Where MLflow is, without user name and password."""
        return public(self.tracking_uri)

    @property
    def page(self) -> str:
        """The address of MLflow's own pages; empty where no server shows them."""
        return self.address.rstrip("/") if self._connection.is_server else ""

    @property
    def page_command(self) -> str:
        """What shows them where there is no server."""
        return f"mlflow server --backend-store-uri={self.address} --artifacts-destination={self._artifact_root}"

    @property
    def kept_root(self) -> Path:
        """Folder of trainings that wait for the registry to come back."""
        return self._artifact_root.parent / "kept"

    def check(self) -> None:
        """Raise `RegistryError` now, before hours of work, if MLflow cannot be reached."""
        with self._connection.speaking("look for experiments") as client:
            client.search_experiments(max_results=1)

    def log_training(self, predictor: str, record: TrainingRecord, *, run_name: str) -> str:
        """Write one run into the predictor's experiment; returns its id."""
        with self._connection.speaking(f"log a training of {predictor}") as client:
            return write_run(client, self._experiment(predictor), record, run_name=run_name)

    def register(
        self, predictor: Predictor, *, run_id: str, inputs: pd.DataFrame, status: str = "full", reason: str = "", as_of: str = ""
    ) -> ModelRef:
        """Save a fitted predictor as a new version of its registered model; no alias is touched.

        ``inputs``: some rows of `Predictor.inputs`; a few entities of them give the signature.
        """
        name, sample = predictor.spec.name, _sample(inputs, are_series=predictor.spec.entity == "series")
        with tempfile.TemporaryDirectory(prefix="predictkpi-") as folder:
            data = Path(folder) / "predictor"
            write_artifact(predictor, data)
            with self._connection.speaking(f"register {name}") as client, self._connection.fluent() as mlflow:
                with mlflow.start_run(run_id=run_id):
                    logged = mlflow.pyfunc.log_model(
                        name=predictor.kind,
                        loader_module=LOADER,
                        data_path=str(data),
                        pip_requirements=requirements(),
                        signature=signature_of(sample, predictor.predict_inputs(sample)) if len(sample) else None,
                        input_example=sample if len(sample) else None,
                    )
                tags = {"kind": predictor.kind, "status": status, "reason": reason, "as_of": as_of}
                if not client.search_registered_models(f"name = '{name}'"):
                    client.create_registered_model(name)
                made = client.create_model_version(name, source=logged.model_uri, run_id=run_id, tags=tags, model_id=logged.model_id)
                version = str(made.version)
        return _ref(name, version, run_id, tags)

    def spark_udf(self, spark: Any, model: ModelRef) -> Any:
        """The registered version as a Spark UDF over a struct of `Predictor.inputs`; its answer: see `PyfuncPredictor`.

        Raises `RegistryError` for a version that was registered before versions could be asked so.
        """
        uri = f"models:/{model.predictor}/{model.version}"
        with self._connection.speaking(f"fetch {model.predictor} {model.version}"), self._connection.fluent() as mlflow:
            signature = mlflow.models.get_model_info(uri).signature
            if signature is None or signature.params is None:
                raise RegistryError(
                    f"{model.predictor} version {model.version} was registered by an older predictkpi, which Spark cannot ask: "
                    "train anew (`predictkpi train`), or leave --engine spark out"
                )
            return mlflow.pyfunc.spark_udf(spark, uri, result_type=SPARK_TYPES, env_manager="local", params={LAYOUT: "entity"})

    def promote(self, predictor: str, version: str, *, alias: str = CHAMPION) -> ModelRef:
        """Move an alias to an existing version; `NotFoundError` lists the versions there are."""
        known = {row["version"]: row for row in self.versions(predictor)}
        if version not in known:
            there = ", ".join(known) or "none"
            raise NotFoundError(f"{predictor} has no version {version!r}; there are: {there}")
        held = next((row["version"] for row in known.values() if alias in row["aliases"]), None)
        if alias == CHAMPION and held not in (None, version):
            # Before the alias moves: killed in between, the newest former champion is the present one, which `rollback` passes over.
            self._keep_former(predictor, [*self.former_champions(predictor), held])
        self._move(predictor, version, alias)
        return _ref(predictor, version, known[version]["run_id"], known[version])

    def champion_version(self, predictor: str, *, alias: str = CHAMPION) -> str:
        """Version that holds the alias: one query, cheap enough to poll. `NoChampionError` where there is none."""
        return str(self._aliased(predictor, alias).version)

    def champion(self, predictor: str, *, alias: str = CHAMPION) -> tuple[Predictor, ModelRef]:
        """The loaded champion; downloaded and read once per version."""
        return self._read(predictor, self._aliased(predictor, alias))

    def version(self, predictor: str, version: str) -> tuple[Predictor, ModelRef]:
        """Any registered version, loaded; `NotFoundError` lists the versions there are."""
        known = [row["version"] for row in self.versions(predictor)]
        if version not in known:
            raise NotFoundError(f"{predictor} has no version {version!r}; there are: {', '.join(known) or 'none'}")
        with self._connection.speaking(f"look up {predictor} {version}") as client:
            found = client.get_model_version(predictor, version)
        return self._read(predictor, found)

    def versions(self, predictor: str) -> list[dict[str, Any]]:
        """All versions, newest first: version, kind, status, reason, aliases, as_of, run_id, created_at (UTC instant); maybe none."""
        with self._connection.speaking(f"list versions of {predictor}") as client:
            found = client.search_model_versions(f"name = '{predictor}'", max_results=1000)
            aliases: dict[str, list[str]] = {}
            if found:
                for alias, version in client.get_registered_model(predictor).aliases.items():
                    aliases.setdefault(str(version), []).append(alias)
        rows = [
            {
                "predictor": predictor,
                "version": str(version.version),
                **{tag: version.tags.get(tag, "") for tag in ("kind", "status", "reason", "as_of")},
                "aliases": sorted(aliases.get(str(version.version), [])),
                "run_id": version.run_id,
                "created_at": pd.Timestamp(version.creation_timestamp, unit="ms"),
            }
            for version in found
        ]
        return sorted(rows, key=lambda row: int(row["version"]), reverse=True)

    def metrics(self, run_id: str) -> dict[str, float]:
        """Metrics of one run by name, without those of single folds."""
        with self._connection.speaking(f"read run {run_id}") as client:
            metrics = client.get_run(run_id).data.metrics
        return {name: value for name, value in sorted(metrics.items()) if not name.startswith("fold.")}

    def tags_of_runs(self, name: str) -> list[dict[str, str]]:
        """Tags of an experiment's finished runs, newest first, as `log_training` was given them; none where nothing was logged."""
        return [tags for _, tags in self.runs_of(name)]

    def runs_of(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """The same with the id of each run."""
        with self._connection.speaking(f"look for runs of {name}") as client:
            found = client.get_experiment_by_name(f"{EXPERIMENT}{name}")
            if found is None:
                return []
            runs = client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'", order_by=["attributes.start_time DESC"])
            return [(run.info.run_id, _own_tags(run)) for run in runs if PARENT not in run.data.tags]

    def run(self, run_id: str) -> RunRecord:
        """A training's run; `NotFoundError` where there is none of that id."""
        from mlflow.exceptions import MlflowException

        with self._connection.speaking(f"read run {run_id}") as client:
            try:
                found = client.get_run(run_id)
                experiment = client.get_experiment(found.info.experiment_id).name
            except MlflowException as error:
                if error.error_code not in (RESOURCE_ABSENT, INVALID):
                    raise
                raise NotFoundError(f"no run {run_id!r}; `predictkpi models --format json` lists the runs of the versions") from error
        return RunRecord(run_id, experiment.removeprefix(EXPERIMENT), dict(found.data.params), _own_tags(found))

    def files(self, run_id: str, folder: str = "") -> list[str]:
        """Paths of a run's files in that folder, or at its top; none where there is no such folder."""
        with self._connection.speaking(f"list files of run {run_id}") as client:
            return [file.path for file in client.list_artifacts(run_id, folder or None) if not file.is_dir]

    def read_file(self, run_id: str, path: str) -> bytes | None:
        """A file of a run; None where it has none of that name."""
        if path not in self.files(run_id, path.rpartition("/")[0]):
            return None
        with (
            tempfile.TemporaryDirectory(prefix="predictkpi-") as folder,
            self._connection.speaking(f"read {path} of run {run_id}") as client,
        ):
            return Path(client.download_artifacts(run_id, path, folder)).read_bytes()

    def read_text(self, run_id: str, path: str) -> str | None:
        """The same as text."""
        found = self.read_file(run_id, path)
        return None if found is None else found.decode()

    def rollback(self, predictor: str) -> ModelRef:
        """Give the alias back to the version that held it before; `NotFoundError` where none did."""
        version, known = self.rollback_target(predictor), {row["version"]: row for row in self.versions(predictor)}
        former = self.former_champions(predictor)
        self._move(predictor, version, CHAMPION)
        self._keep_former(predictor, former[: len(former) - 1 - former[::-1].index(version)])
        return _ref(predictor, version, known[version]["run_id"], known[version])

    def rollback_target(self, predictor: str) -> str:
        """The version that `rollback` would let serve; `NotFoundError` where there is none."""
        known = {row["version"]: row for row in self.versions(predictor)}
        serving = next((version for version, row in known.items() if CHAMPION in row["aliases"]), None)
        before = [version for version in self.former_champions(predictor) if version in known]
        while before and before[-1] == serving:
            before.pop()
        if not before:
            raise NotFoundError(f"{predictor} has no champion before this one; `predictkpi promote {predictor} VERSION` takes any version")
        return before[-1]

    def former_champions(self, predictor: str) -> list[str]:
        """Versions that held the alias champion before the one that does, oldest first."""
        with self._connection.speaking(f"look up former champions of {predictor}") as client:
            found = client.search_registered_models(f"name = '{predictor}'")
            return json.loads(found[0].tags.get(FORMER, "[]")) if found else []

    def _move(self, predictor: str, version: str, alias: str) -> None:
        with self._connection.speaking(f"promote {predictor} {version}") as client:
            client.set_registered_model_alias(predictor, alias, version)

    def _keep_former(self, predictor: str, versions: list[str]) -> None:
        with self._connection.speaking(f"keep former champions of {predictor}") as client:
            client.set_registered_model_tag(predictor, FORMER, json.dumps(versions[-MOST_FORMER:]))

    def log_scores(self, predictor: str, version: str, figures: Mapping[str, float], *, as_of: pd.Timestamp) -> None:
        """Write what came of a version's predictions to its own run, as metrics ``scoreboard.v<version>.<name>``; the step counts days.

        A run may have made more than one version, hence its name. Raises `NotFoundError` for a version that is not registered.
        """
        known = {row["version"]: row for row in self.versions(predictor)}
        if version not in known:
            raise NotFoundError(f"{predictor} has no version {version!r}; there are: {', '.join(known) or 'none'}")
        step, at = (as_of - pd.Timestamp(0)).days, int(as_of.as_unit("ms").asm8.view("int64"))
        with self._connection.speaking(f"log the scoreboard of {predictor} {version}") as client:
            from mlflow.entities import Metric

            metrics = [Metric(f"scoreboard.v{version}.{name}", value, at, step) for name, value in figures.items()]
            for start in range(0, len(metrics), 500):
                client.log_batch(known[version]["run_id"], metrics=metrics[start : start + 500])

    def erase(self, erasing: Erasing) -> dict[str, int]:
        """Take what was erased out of all files that hold rows or names: model versions in MLflow, kept trainings, copies served here.

        Returns how many files were rewritten, by where they are. What is loaded in a running service stays until it ends.
        """
        with self._connection.speaking("erase in models") as client, self._connection.fluent() as mlflow:
            models = erase_in_models(client, mlflow, erasing)
        return {"models": models, "kept": erase_below(self.kept_root, erasing), "served": erase_below(self.last_good.root, erasing)}

    def _aliased(self, predictor: str, alias: str) -> ModelVersion:
        with self._connection.speaking(f"look up the {alias} of {predictor}") as client:
            from mlflow.exceptions import MlflowException

            try:
                return client.get_model_version_by_alias(predictor, alias)
            except MlflowException as error:
                if error.error_code not in (RESOURCE_ABSENT, INVALID):
                    raise
        raise NoChampionError(f"no {alias} of {predictor} yet: train it with `predictkpi train {predictor}`")

    def _read(self, predictor: str, found: ModelVersion) -> tuple[Predictor, ModelRef]:
        key = (predictor, str(found.version))
        if key not in self._loaded:
            self._loaded[key] = (self._load(*key), _ref(*key, found.run_id or "", dict(found.tags)))
        return self._loaded[key]

    def _load(self, predictor: str, version: str) -> Predictor:
        with tempfile.TemporaryDirectory(prefix="predictkpi-") as folder:
            with self._connection.speaking(f"download {predictor} {version}"), self._connection.fluent() as mlflow:
                path = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{predictor}/{version}", dst_path=folder)
            return read_artifact(Path(path) / "data" / "predictor")

    def _experiment(self, predictor: str) -> str:
        """Id of the predictor's experiment, created on first use."""
        name = f"{EXPERIMENT}{predictor}"
        client = self._connection.client
        found = client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        if self._connection.is_server:
            return client.create_experiment(name)
        return client.create_experiment(name, artifact_location=(self._artifact_root.resolve() / predictor).as_uri())

    def search_runs(self, predictor: str) -> SearchRuns:
        """Where a search for better settings of this predictor is written down."""
        with self._connection.speaking(f"look for the experiment of {predictor}"):
            return SearchRuns(self._connection, self._experiment(predictor))

    def fold_metrics(self, run_id: str, candidate: str) -> pd.DataFrame:
        """One candidate's metrics in each fold of a run's backtest: ``fold, metric, value``; empty where it had none."""
        prefix = f"fold.{candidate}."
        with self._connection.speaking(f"read the folds of run {run_id}") as client:
            names = [name for name in client.get_run(run_id).data.metrics if name.startswith(prefix)]
            rows = [
                (point.step, name.removeprefix(prefix), point.value) for name in names for point in client.get_metric_history(run_id, name)
            ]
        return pd.DataFrame(rows, columns=["fold", "metric", c.VALUE])


def _own_tags(run: Run) -> dict[str, str]:
    return {key.removeprefix(TAG): str(value) for key, value in run.data.tags.items() if key.startswith(TAG)}


def _sample(inputs: pd.DataFrame, *, are_series: bool) -> pd.DataFrame:
    """All rows of the first entities: an entity may have several (a series' months). No id, owner or own text of a customer or deal."""
    first = inputs[inputs[c.ENTITY_ID].isin(inputs[c.ENTITY_ID].unique()[:SAMPLE_ENTITIES])]
    if are_series:
        return first
    ids = {entity_id: f"example {number}" for number, entity_id in enumerate(first[c.ENTITY_ID].unique(), start=1)}
    own = [name for name in first if name == c.OWNER or str(name).startswith((OF_DEALS, OF_CUSTOMERS))]
    texts = {name: "text" for name in own if pd.api.types.is_string_dtype(first[name])}
    return first.assign(**{c.ENTITY_ID: first[c.ENTITY_ID].map(ids).astype("str")}, **texts)


def _ref(predictor: str, version: str, run_id: str, tags: Mapping[str, str]) -> ModelRef:
    kind = tags.get("kind") or "model"
    reason = tags.get("reason", "") if kind == "baseline" else ""
    return ModelRef.model_validate({"predictor": predictor, "version": version, "run_id": run_id, "kind": kind, "reason": reason})
