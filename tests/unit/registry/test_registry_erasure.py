"""Names and rows go out of files, and what was rewritten is still whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from predictkpi.registry.artifact import MANIFEST, seal_again
from predictkpi.registry.erasure import Erasing, erase_below

ERASING = Erasing(lambda ids: np.array([one == "gone" for one in ids]), lambda text: "somebody" if text == "Ann" else text)


@pytest.fixture
def artifact(tmp_path) -> Path:
    state = tmp_path / "predictor" / "state"
    state.mkdir(parents=True)
    (state / "state.json").write_text(json.dumps({"categories": {"rep": ["Ann", "Bo"]}, "refused": {"Ann": "too thin"}, "name": "Anna"}))
    pd.DataFrame({"entity_id": ["gone", "stays"], "rep": ["Bo", "Ann"], "n": [1.0, 2.0]}).to_parquet(state / "rows.parquet")
    (state / "booster.txt").write_text("tree\n")
    manifest = {"format": 1, "predictor": "toy", "kind": "model", "files": {}}
    (tmp_path / "predictor" / MANIFEST).write_text(json.dumps(manifest))
    seal_again(tmp_path / "predictor")
    return tmp_path / "predictor"


def test_erase_below__renames_values_and_keys_drops_rows_and_states_the_checksums_anew(artifact, tmp_path):
    assert erase_below(tmp_path, ERASING) == 2
    state = json.loads((artifact / "state" / "state.json").read_text())
    assert state == {"categories": {"rep": ["somebody", "Bo"]}, "refused": {"somebody": "too thin"}, "name": "Anna"}
    rows = pd.read_parquet(artifact / "state" / "rows.parquet")
    assert rows[["entity_id", "rep", "n"]].to_numpy().tolist() == [["stays", "somebody", 2.0]]
    stated = json.loads((artifact / MANIFEST).read_text())["files"]
    assert stated == {name: hashlib.sha256((artifact / "state" / name).read_bytes()).hexdigest() for name in stated}
    assert len(stated) == 3


def test_erase_below__again_changes_nothing(artifact, tmp_path):
    erase_below(tmp_path, ERASING)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert erase_below(tmp_path, ERASING) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_erase_below__drops_rows_of_an_input_example(tmp_path):
    example = {"columns": ["entity_id", "n"], "data": [["gone", 1], ["stays", 2]]}
    (tmp_path / "input_example.json").write_text(json.dumps(example))
    (tmp_path / "serving_input_example.json").write_text(json.dumps({"dataframe_split": example}))
    erase_below(tmp_path, ERASING)
    assert json.loads((tmp_path / "input_example.json").read_text())["data"] == [["stays", 2]]
    assert json.loads((tmp_path / "serving_input_example.json").read_text())["dataframe_split"]["data"] == [["stays", 2]]


def test_erase_below__of_no_folder_is_nothing(tmp_path):
    assert erase_below(tmp_path / "none", ERASING) == 0
