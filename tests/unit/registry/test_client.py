from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import NoChampionError, NotFoundError, RegistryError
from predictkpi.registry import CHALLENGER, Registry, TrainingRecord
from toy import company
from toy.model import Toy, ToyBaseline

pytestmark = pytest.mark.usefixtures("catalogue")


def fitted(kind=Toy, **settings):
    model = kind(**settings)
    return model.fit(model.training_table(company.snapshot()))


def registered(registry, predictor, **named):
    run_id = registry.log_training("toy", TrainingRecord(params={"factor": 1.0}), run_name="test")
    return registry.register(predictor, run_id=run_id, inputs=predictor.inputs(company.snapshot()), **named)


def test_champion__round_trip_predicts_the_same(registry, tmp_path):
    model = fitted(factor=1.5)
    ref = registered(registry, model)
    registry.promote("toy", ref.version)
    # a registry that has nothing in memory, as after a restart
    loaded, found = Registry(registry.tracking_uri, tmp_path).champion("toy")
    assert found == ref
    pd.testing.assert_frame_equal(loaded.predict(company.snapshot()), model.predict(company.snapshot()))
    assert registry.champion_version("toy") == ref.version


def test_champion__is_read_once_a_version(registry):
    first = registered(registry, fitted())
    registry.promote("toy", first.version)
    one, _ = registry.champion("toy")
    assert registry.champion("toy")[0] is one
    second = registered(registry, fitted(factor=2.0))
    registry.promote("toy", second.version)
    assert registry.champion("toy")[0] is not one
    registry.promote("toy", first.version)
    assert registry.champion("toy")[0] is one


def test_champion__baseline_keeps_its_kind_and_reason(registry):
    ref = registered(registry, fitted(ToyBaseline), status="baseline", reason="The model does not beat the baseline.")
    registry.promote("toy", ref.version)
    loaded, found = registry.champion("toy")
    assert type(loaded) is ToyBaseline
    assert (found.kind, found.reason) == ("baseline", "The model does not beat the baseline.")


def test_versions__list_newest_first_with_aliases_and_tags(registry):
    model = registered(registry, fitted(), status="limited", reason="short", as_of="2024-01-01T00:00:00")
    baseline = registered(registry, fitted(ToyBaseline), status="baseline")
    registry.promote("toy", model.version, alias=CHALLENGER)
    registry.promote("toy", baseline.version)
    first, second = registry.versions("toy")[:2]
    assert (first["version"], first["kind"], first["aliases"]) == (baseline.version, "baseline", ["champion"])
    assert (second["version"], second["status"], second["aliases"]) == (model.version, "limited", ["challenger"])
    assert (second["reason"], second["as_of"], second["run_id"]) == ("short", "2024-01-01T00:00:00", model.run_id)
    assert registry.versions("never trained") == []


def test_promote__unknown_version_names_those_there_are(registry):
    ref = registered(registry, fitted())
    with pytest.raises(NotFoundError, match=rf"no version '999'; there are: {ref.version}"):
        registry.promote("toy", "999")


def test_version__is_any_that_was_registered(registry):
    first = registered(registry, fitted(), status="full")
    second = registered(registry, fitted(ToyBaseline), status="baseline", reason="too few")
    registry.promote("toy", second.version)
    found, ref = registry.version("toy", first.version)
    assert isinstance(found, Toy)
    assert ref == first
    assert registry.version("toy", second.version) == registry.champion("toy")
    with pytest.raises(NotFoundError, match=r"no version '999'; there are: "):
        registry.version("toy", "999")


def test_champion__none_yet_says_how_to_get_one(registry):
    with pytest.raises(NoChampionError, match="predictkpi train revenue"):
        registry.champion("revenue")
    with pytest.raises(NoChampionError):
        registry.champion_version("revenue")


def test_log_training__keeps_params_metrics_folds_tables_and_figures(registry):
    folds = pd.DataFrame({c.AS_OF: pd.to_datetime(["2023-01-01", "2023-02-01"]), "metric": "model.mae", c.VALUE: [3.0, 5.0]})
    record = TrainingRecord(
        params={"rounds": 200},
        metrics={"model.mae": 4.0, "model.undefined": float("nan")},
        fold_metrics=folds,
        tags={"data.sha256": "abc"},
        tables={"folds.csv": folds},
        figures={"picture.png": b"\x89PNG"},
    )
    run_id = registry.log_training("toy", record, run_name="a run")
    import mlflow

    client = mlflow.MlflowClient(registry.tracking_uri)
    run = client.get_run(run_id)
    assert run.data.params["rounds"] == "200"
    assert run.data.tags["predictkpi.data.sha256"] == "abc"
    assert registry.metrics(run_id) == {"model.mae": 4.0}
    history = client.get_metric_history(run_id, "fold.model.mae")
    assert [(metric.step, metric.value) for metric in history] == [(1, 3.0), (2, 5.0)]
    assert {file.path for file in client.list_artifacts(run_id, "backtest")} == {"backtest/folds.csv", "backtest/picture.png"}
    assert client.get_experiment(run.info.experiment_id).name == "predictkpi-toy"


def test_register__artifact_is_data_that_mlflow_loads_as_it_is(registry):
    model = fitted()
    ref = registered(registry, model)
    import mlflow

    mlflow.set_tracking_uri(registry.tracking_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/toy/{ref.version}")
    inputs = model.inputs(company.snapshot())
    # MLflow hands instants over in nanoseconds
    pd.testing.assert_frame_equal(loaded.predict(inputs), model.predict_inputs(inputs), check_dtype=False)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/toy/{ref.version}"))
    assert not [path.name for path in folder.rglob("*") if path.suffix in {".pkl", ".pickle", ".joblib"}]
    assert any(line.startswith("predictkpi==") for line in (folder / "requirements.txt").read_text().splitlines())


def test_register__says_nothing(registry, capfd):
    registered(registry, fitted())
    assert capfd.readouterr() == ("", "")


def test_check__closed_port_is_a_clear_error_within_seconds(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(RegistryError, match=f"cannot look for experiments in MLflow at http://127.0.0.1:{port}"):
        Registry(f"http://user:secret@127.0.0.1:{port}", tmp_path).check()
    assert time.monotonic() - started < 5


def test_check__another_server_on_the_port_is_a_clear_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(RegistryError, match="cannot look for experiments"):
            Registry(f"http://127.0.0.1:{port}", tmp_path).check()
        listener.shutdown(socket.SHUT_RDWR)


def test_check__unwritable_place_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RegistryError, match="cannot look for experiments"):
        Registry(f"sqlite:///{tmp_path}/file/tracking.db", tmp_path).check()


def test_error__does_not_show_the_password(tmp_path):
    with pytest.raises(RegistryError) as caught:
        Registry("http://user:secret@127.0.0.1:1", tmp_path).check()
    assert "secret" not in str(caught.value)


def test_error__of_an_address_with_a_password_shows_none(tmp_path):
    away = Registry("http://ada:hunter2@127.0.0.1:1/mlflow", tmp_path)
    with pytest.raises(RegistryError) as caught:
        away.check()
    assert "127.0.0.1:1" in str(caught.value)
    connection = away._connection
    connection._client = object()  # past the first knock: MLflow itself fails
    failing = connection._failures()[0]("API request to http://ada:hunter2@127.0.0.1:1/mlflow/api failed")
    with pytest.raises(RegistryError) as later, connection.speaking("look"):
        raise failing
    assert "ada" not in str(caught.value) + str(later.value)
    assert "hunter2" not in str(caught.value) + str(later.value)
    assert "API request to http://127.0.0.1:1/mlflow/api failed" in str(later.value)
