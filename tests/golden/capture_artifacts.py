"""Capture saved predictors, some inputs and what they predicted, under the Python that runs this: see README.md beside it."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

from predictkpi.core import columns as c
from predictkpi.predictors import predictor_class
from predictkpi.registry.artifact import write_artifact
from predictkpi.synthetic import make_company

FOLDER = Path(__file__).resolve().parent / "artifacts"
SETTINGS = {
    "revenue": {"draws": 100, "origins": 2, "pool_series": 4},
    "clv": {"draws": 32, "rounds": 3, "learn_from": 500, "leaves": 4, "min_rows": 20},
    "close_time": {"rounds": 3, "landmark_budget": 1500, "min_rows": 20, "leaves": 4},
}
ENTITIES = 4
SMALL = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
LIBRARIES = ("lightgbm", "numpy", "pandas", "pyarrow", "scipy", "statsforecast")


def capture(name: str, snapshot, folder: Path) -> None:
    """The artifact, a few entities' inputs and their predictions; of all entities spread over the cohort."""
    predictor = predictor_class(name)(**SETTINGS[name])
    predictor.fit(predictor.training_table(snapshot))
    write_artifact(predictor, folder / "artifact")
    ids = predictor.inputs(snapshot)[c.ENTITY_ID].unique().tolist()
    inputs = predictor.inputs(snapshot, entity_ids=ids[:: max(len(ids) // ENTITIES, 1)][:ENTITIES])
    inputs.to_parquet(folder / "inputs.parquet", index=False, **SMALL)
    predictor.predict_inputs(inputs).to_parquet(folder / "predictions.parquet", index=False, **SMALL)


def main() -> None:
    """Write everything anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    snapshot = make_company(seed=11, customers=450, years=4, deals=500, orders=3000).snapshot()
    for name in SETTINGS:
        (FOLDER / name).mkdir(parents=True)
        capture(name, snapshot, FOLDER / name)
    written_by = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    (FOLDER / "written_by.json").write_text(json.dumps(written_by, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
