"""The registry on a real ``mlflow server`` with PostgreSQL, our models in MLflow's own hands; both started as the folder mlflow says."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pandas as pd
import pytest

import predictkpi.predictors
from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.pipelines.train import train
from predictkpi.predictors import predictor_names
from predictkpi.registry import Erasing, Registry, TrainingRecord
from predictkpi.registry.artifact import read_artifact
from predictkpi.store import Store
from toy.company import END, orders
from toy.model import Toy
from tracking.server import COMPOSE, ROOT, answering, free_port, replaced

GOLDEN = ROOT / "tests" / "golden" / "artifacts"
README = (ROOT / "mlflow" / "README.md").read_text(encoding="utf-8")
SERVER = COMPOSE["services"]["mlflow"]
SERVE_COMMAND = shlex.split(re.search(r"^    \.venv/bin/(mlflow models serve .*)$", README, flags=re.MULTILINE)[1])


@pytest.fixture(scope="module")
def tracking_uri(postgres, tmp_path_factory):
    """The compose file's server, with its environment, on a free port and a PostgreSQL of the tests'."""
    folder = tmp_path_factory.mktemp("server")
    url, port = urlsplit(postgres.new_database()), free_port()
    database = {"PGHOST": parse_qs(url.query)["host"][0], "PGUSER": url.username, "PGDATABASE": url.path.strip("/"), "PGPASSWORD": ""}
    hosts = re.search(r"MLFLOW_ALLOWED_HOSTS:-(.*)}", shlex.join(SERVER["command"]))[1]
    command = replaced(SERVER["command"], host="127.0.0.1", port=port, artifacts_destination=folder / "artifacts", allowed_hosts=hosts)
    command = replaced(command, workers=1)
    with answering(command, f"http://127.0.0.1:{port}/health", log=folder / "log", **SERVER["environment"] | database):
        yield f"http://127.0.0.1:{port}"
    import mlflow

    mlflow.set_tracking_uri("")  # it is an environment variable too, which later tests' processes would take for a server
    mlflow.set_registry_uri("")


@pytest.fixture
def registry(tracking_uri, tmp_path):
    """A registry that has nothing in memory."""
    return Registry(tracking_uri, tmp_path / "not used with a server")


def golden(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inputs of a saved model, and what it predicts for them."""
    return pd.read_parquet(GOLDEN / name / "inputs.parquet"), pd.read_parquet(GOLDEN / name / "predictions.parquet")


@pytest.fixture(scope="module")
def champions(tracking_uri, tmp_path_factory):
    """A saved model of each predictor, registered and promoted; its versions by name."""
    registry, found = Registry(tracking_uri, tmp_path_factory.mktemp("unused")), {}
    for name in predictor_names():
        run_id = registry.log_training(name, TrainingRecord(params={"from": "golden"}, metrics={"n": 1.0}), run_name="golden")
        version = registry.register(read_artifact(GOLDEN / name / "artifact"), run_id=run_id, inputs=golden(name)[0]).version
        found[name] = registry.promote(name, version).version
    return found


def loaded(tracking_uri: str, model_uri: str):
    """The model as a person with MLflow alone would load it."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    return mlflow.pyfunc.load_model(model_uri)


def body(inputs: pd.DataFrame) -> dict:
    """What the README says to send."""
    return {"dataframe_split": json.loads(inputs.to_json(orient="split", date_format="iso", date_unit="us", double_precision=15))}


def answered(answer: httpx.Response, like: pd.DataFrame) -> pd.DataFrame:
    """The predictions in an answer of MLflow's scoring server, in our dtypes."""
    assert answer.status_code == 200, answer.text
    rows = pd.DataFrame(answer.json()["predictions"])[like.columns.tolist()]
    return rows.assign(**{c.AS_OF: pd.to_datetime(rows[c.AS_OF])}).astype(like.dtypes.to_dict())


@pytest.mark.parametrize("name", predictor_names())
def test_champion__is_read_back_through_the_server_and_predicts_the_same(name, registry, champions):
    inputs, expected = golden(name)
    predictor, ref = registry.champion(name)
    assert (ref.version, ref.kind) == (champions[name], "model")
    pd.testing.assert_frame_equal(predictor.predict_inputs(inputs), expected, rtol=1e-9)


@pytest.mark.parametrize("name", predictor_names())
def test_pyfunc__loads_the_model_as_it_is_and_predicts_the_same(name, tracking_uri, champions):
    inputs, expected = golden(name)
    model = loaded(tracking_uri, f"models:/{name}@champion")
    assert model.metadata.signature is not None
    # MLflow hands instants over in nanoseconds
    pd.testing.assert_frame_equal(model.predict(inputs), expected, check_dtype=False, rtol=1e-9)


def test_pyfunc__takes_inputs_in_which_a_stage_is_not_spoken_of_any_more(tracking_uri, champions):
    inputs, _ = golden("close_time")
    fewer = inputs.drop(columns=[name for name in inputs if name.startswith(("stage.Discovery.", "activity.call."))])
    assert len(fewer.columns) < len(inputs.columns)
    expected = read_artifact(GOLDEN / "close_time" / "artifact").predict_inputs(fewer)
    found = loaded(tracking_uri, "models:/close_time@champion").predict(fewer)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-9)


def test_pyfunc__refuses_inputs_without_a_column_that_every_company_has(tracking_uri, champions):
    from mlflow.exceptions import MlflowException

    inputs, _ = golden("close_time")
    with pytest.raises(MlflowException, match="age_days"):
        loaded(tracking_uri, "models:/close_time@champion").predict(inputs.drop(columns="age_days"))


@pytest.mark.parametrize("name", predictor_names())
def test_scoring_server__answers_the_same_over_json(name, tracking_uri, champions):
    from mlflow.pyfunc.scoring_server import init

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(init(loaded(tracking_uri, f"models:/{name}@champion")))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("/invocations", json=body(inputs))

    inputs, expected = golden(name)
    answer = asyncio.run(ask())
    pd.testing.assert_frame_equal(answered(answer, expected), expected, rtol=1e-9)


def test_models_serve__is_the_readmes_command_and_answers_the_same(tracking_uri, champions, tmp_path):
    inputs, expected = golden("close_time")
    port = free_port()
    command = replaced(SERVE_COMMAND, port=port)
    with answering(command, f"http://127.0.0.1:{port}/ping", log=tmp_path / "log", MLFLOW_TRACKING_URI=tracking_uri):
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json=body(inputs), timeout=60)
    pd.testing.assert_frame_equal(answered(answer, expected), expected, rtol=1e-9)


def test_train__writes_run_artifacts_and_versions_to_the_server(registry, tracking_uri, tmp_path, monkeypatch):
    monkeypatch.setattr(predictkpi.predictors, "PREDICTORS", ("toy.model.Toy",))
    (tmp_path / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n", encoding="utf-8")
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.load({"orders": orders()}, company=Company(name="Toys"), now=END)
    (report,) = train(store, registry, predictors=["toy"], as_of=None, models_dir=tmp_path, now=END)

    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    run = client.get_run(report.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/"), "artifacts go through the server"
    assert run.data.params["factor"] == "1.0"
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["store"]
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{report.run_id}'")
    assert {child.info.status for child in children} == {"FINISHED"}
    picture = next(file.path for file in client.list_artifacts(report.run_id, "backtest") if file.path.endswith(".png"))
    assert Path(client.download_artifacts(report.run_id, picture, str(tmp_path))).read_bytes().startswith(b"\x89PNG")

    snapshot = store.snapshot()
    served, ref = Registry(tracking_uri, tmp_path).champion("toy")
    assert ref == report.champion
    pd.testing.assert_frame_equal(served.predict(snapshot), Toy().fit(Toy().training_table(snapshot)).predict(snapshot))


def test_train__takes_a_fourth_predictor(registry, tracking_uri, sample_store, company, tmp_path, monkeypatch):
    monkeypatch.setattr(predictkpi.predictors, "__path__", [*predictkpi.predictors.__path__, str(ROOT / "examples")])
    monkeypatch.setattr(predictkpi.predictors, "PREDICTORS", ("predictkpi.predictors.churn.model.ChurnPredictor",))
    now = pd.Timestamp(company.end)
    (report,) = train(sample_store, registry, predictors=["churn"], as_of=None, models_dir=tmp_path, now=now)
    assert report.champion.kind == "model", report.reason
    predictor, _ = Registry(tracking_uri, tmp_path).champion("churn")
    inputs = predictor.inputs(sample_store.snapshot())
    predicted = loaded(tracking_uri, "models:/churn@champion").predict(inputs)
    pd.testing.assert_frame_equal(predicted, predictor.predict_inputs(inputs), check_dtype=False)


def test_server__refuses_to_be_called_by_another_name(tracking_uri):
    url = f"{tracking_uri}/api/2.0/mlflow/experiments/search"
    refused = httpx.post(url, json={"max_results": 1}, headers={"Host": "elsewhere.example"})
    assert refused.status_code == 403
    assert httpx.post(url, json={"max_results": 1}, headers={"Host": "mlflow:5000"}).status_code == 200


def test_erase__rewrites_the_input_example_that_the_server_keeps(registry, champions, monkeypatch):
    import mlflow

    monkeypatch.setattr("predictkpi.registry.client._sample", lambda inputs, are_series: inputs.head(2))  # as earlier versions did
    inputs = golden("clv")[0]
    gone, stays = inputs[c.ENTITY_ID].head(2)
    run_id = registry.log_training("clv", TrainingRecord(params={}), run_name="example")
    ref = registry.register(read_artifact(GOLDEN / "clv" / "artifact"), run_id=run_id, inputs=inputs)

    def example() -> list[str]:
        with registry._connection.speaking("read"), registry._connection.fluent():
            path = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/clv/{ref.version}/input_example.json")
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        return [row[held["columns"].index(c.ENTITY_ID)] for row in held["data"]]

    assert example() == [gone, stays]
    changed = registry.erase(Erasing(lambda ids: np.array([one == gone for one in ids]), lambda text: text))
    assert changed["models"] == 2  # the example, and the one for the scoring server
    assert example() == [stays]
    registry.version("clv", ref.version)
