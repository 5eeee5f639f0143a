"""A search for settings in MLflow: a parent run, and below it a child run a trial, written as the trial goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from predictkpi.registry.connection import Connection

SEARCH_TAG, STATE_TAG, REASON_TAG = "predictkpi.search", "predictkpi.state", "predictkpi.reason"
PARENT_TAG = "mlflow.parentRunId"
State = Literal["complete", "pruned", "failed", "killed"]
_MLFLOW_STATES: Mapping[State, str] = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
MOST_AT_ONCE = 1000


class SearchRuns:
    """The runs of one search in an experiment. Every method raises `RegistryError` where MLflow cannot be reached or refuses."""

    def __init__(self, connection: Connection, experiment_id: str) -> None:
        self._connection = connection
        self._experiment_id = experiment_id
        self.run_id = ""
        """The parent run, once `open` has been called."""

    def open(self, digest: str, *, name: str, params: Mapping[str, object], fresh: bool = False) -> None:
        """Go on with the newest run of the search with that digest, or begin one; trials that a dead process left running are killed."""
        with self._connection.speaking("open a search") as client:
            found = [] if fresh else self._search(f"tags.`{SEARCH_TAG}` = '{digest}'")
            if found:
                self.run_id = found[0]
                client.update_run(self.run_id, status="RUNNING")
                for run_id in self._search(f"tags.`{PARENT_TAG}` = '{self.run_id}' AND attributes.status = 'RUNNING'"):
                    self.end(run_id, "killed")
            else:
                self.run_id = client.create_run(self._experiment_id, run_name=name, tags={SEARCH_TAG: digest}).info.run_id
                self._log_params(self.run_id, params)

    def begin(self, name: str, params: Mapping[str, object]) -> str:
        """Begin a trial's run; returns its id."""
        with self._connection.speaking(f"log {name}") as client:
            run = client.create_run(self._experiment_id, run_name=name, tags={PARENT_TAG: self.run_id, STATE_TAG: "running"})
            self._log_params(run.info.run_id, params)
        return run.info.run_id

    def log_fold(self, run_id: str, fold: int, metrics: Mapping[str, float]) -> None:
        """Metrics of one fold, by its number from 1, the oldest."""
        with self._connection.speaking("log a fold") as client:
            for name, value in metrics.items():
                client.log_metric(run_id, name, value, step=fold)

    def end(self, run_id: str, state: State, *, reason: str = "") -> None:
        """Close a trial's run."""
        with self._connection.speaking(f"log a {state} trial") as client:
            client.set_tag(run_id, STATE_TAG, state)
            if reason:
                client.set_tag(run_id, REASON_TAG, reason)
            client.set_terminated(run_id, _MLFLOW_STATES[state])

    def close(self, metrics: Mapping[str, float], *, reason: str, settings: str) -> None:
        """Write down what the search has found so far; ``settings`` is the YAML of the best ones, kept as an artifact."""
        with self._connection.speaking("close a search") as client:
            for name, value in metrics.items():
                client.log_metric(self.run_id, name, value)
            client.set_tag(self.run_id, REASON_TAG, reason)
            client.log_text(self.run_id, settings, "settings.yaml")
            client.set_terminated(self.run_id)

    def trials(self) -> list[dict[str, object]]:
        """Trials of the open search, oldest first: ``name, state, params, folds`` (losses, oldest fold first)."""
        with self._connection.speaking("read a search") as client:
            rows: list[dict[str, object]] = []
            for run_id in reversed(self._search(f"tags.`{PARENT_TAG}` = '{self.run_id}'")):
                run = client.get_run(run_id)
                folds = [metric.value for metric in sorted(client.get_metric_history(run_id, "loss"), key=lambda metric: metric.step)]
                rows.append({"name": run.info.run_name, "state": run.data.tags[STATE_TAG], "params": run.data.params, "folds": folds})
        return rows

    def _search(self, condition: str) -> list[str]:
        """Ids of the experiment's runs that fit, newest first."""
        client = self._connection.client
        found = client.search_runs([self._experiment_id], condition, max_results=MOST_AT_ONCE, order_by=["attributes.start_time DESC"])
        return [run.info.run_id for run in found]

    def _log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        self._connection.client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])
