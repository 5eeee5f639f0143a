"""The same champion behind other servers: MLflow's own, and BentoML. Their requests are frames of features, ready made."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from load.company import snapshot_of
from load.servers import Server, free_port, running
from predictkpi.registry import Registry

BENTO_PATH, MLFLOW_PATH = "/predict", "/invocations"


def frames(registry: Registry, folder: Path, count: int) -> list[pd.DataFrame]:
    """One-row frames of the features of open deals, as `Predictor.inputs` makes them."""
    predictor, _ = registry.champion("close_time")
    inputs = predictor.inputs(snapshot_of(folder))
    return [inputs.iloc[[row]] for row in range(min(count, len(inputs)))]


def as_bodies(rows: list[pd.DataFrame]) -> list[str]:
    """In MLflow's ``dataframe_split`` form."""
    return [json.dumps({"dataframe_split": json.loads(row.to_json(orient="split", index=False, date_format="iso"))}) for row in rows]


@contextmanager
def mlflow(folder: Path, env: dict[str, str]) -> Iterator[Server]:
    """`mlflow models serve` on the registered champion, in this environment."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/close_time@champion", "--env-manager", "local"]
    command += ["-p", str(port), "-w", "1"]
    own = env | {"PATH": f"{Path(sys.executable).parent}:{env.get('PATH', '')}"}  # it starts uvicorn by its name
    with running(command, port=port, ready="/ping", env=own, cwd=folder, log=folder / "mlflow.log") as server:
        yield server


@contextmanager
def bentoml(python: Path, artifact: Path, folder: Path, env: dict[str, str]) -> Iterator[Server]:
    """BentoML's server, of an environment of its own, on the champion's artifact."""
    port = free_port()
    shutil.copy(Path(__file__).with_name("bento_service.py"), folder / "service.py")
    command = [str(python.with_name("bentoml")), "serve", "service:CloseTime", "--port", str(port)]
    own = env | {"CLOSE_TIME": str(artifact), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "bentoml")}
    with running(command, port=port, ready="/readyz", env=own, cwd=folder, log=folder / "bentoml.log") as server:
        yield server
