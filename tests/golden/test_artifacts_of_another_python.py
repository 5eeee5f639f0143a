"""Models saved by another Python predict the same here, and a saved model that holds anything but data is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.errors import ArtifactError
from predictkpi.predictors import predictor_names
from predictkpi.registry.artifact import read_artifact

GOLDEN = Path(__file__).resolve().parent / "artifacts"
FILES = sorted(path.relative_to(GOLDEN) for path in GOLDEN.glob("*/artifact/state/*"))
IDS = [f"{path.parts[0]}-{path.name}" for path in FILES]


def test_golden__has_every_predictor_and_was_written_by_another_python():
    assert {path.parts[0] for path in FILES} == set(predictor_names())
    assert {path.suffix for path in FILES} == {".txt", ".json", ".parquet"}
    assert json.loads((GOLDEN / "written_by.json").read_text(encoding="utf-8"))["python"].startswith("3.13.")


@pytest.mark.parametrize("name", predictor_names())
def test_golden__predicts_what_it_predicted_there(name):
    predictor = read_artifact(GOLDEN / name / "artifact")
    predicted = predictor.predict_inputs(pd.read_parquet(GOLDEN / name / "inputs.parquet"))
    expected = pd.read_parquet(GOLDEN / name / "predictions.parquet")
    assert len(expected) > 50
    pd.testing.assert_frame_equal(predicted, expected, rtol=1e-9)


class Payload:
    """What a pickle can do to those who load it: here, make a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def copy(tmp_path):
    """``copy(file)`` is that golden state file in a copy of its artifact, which a test may spoil."""

    def made(file: Path) -> Path:
        shutil.copytree(GOLDEN / file.parts[0], tmp_path / file.parts[0])
        return tmp_path / file

    return made


def sealed(file: Path) -> Path:
    """Write the manifest anew, as whoever spoilt the file on purpose would; returns the artifact's folder."""
    folder = file.parents[1]
    manifest = json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
    manifest["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in file.parent.iterdir()}
    (folder / "predictor.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_payload__would_act_where_it_is_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "acted")))
    assert (tmp_path / "acted").exists()


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_read_artifact__refuses_a_pickle_under_the_name_of_data_and_does_not_run_it(file, copy, tmp_path):
    spoilt = copy(file)
    spoilt.write_bytes(pickle.dumps(Payload(tmp_path / "acted")))
    with pytest.raises(ArtifactError):
        read_artifact(sealed(spoilt))
    assert not (tmp_path / "acted").exists()


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("place", [0, 0.5, 1], ids=["first", "middle", "last"])
def test_read_artifact__refuses_a_flipped_bit_anywhere(file, place, copy):
    spoilt = copy(file)
    content = bytearray(spoilt.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    spoilt.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"damaged, the checksum differs: {spoilt.name}"):
        read_artifact(spoilt.parents[1])


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"null", b"tree\n"], ids=["empty", "object", "list", "null", "tree"])
def test_read_artifact__refuses_other_content_even_with_the_right_checksum(file, content, copy):
    spoilt = copy(file)
    spoilt.write_bytes(content)
    with pytest.raises(ArtifactError):
        read_artifact(sealed(spoilt))


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_read_artifact__refuses_a_file_cut_short_even_with_the_right_checksum(file, copy):
    spoilt = copy(file)
    spoilt.write_bytes(spoilt.read_bytes()[: spoilt.stat().st_size // 2])
    with pytest.raises(ArtifactError):
        read_artifact(sealed(spoilt))


@pytest.mark.parametrize("name", ["model.pkl", "state.pickle", "weights.joblib", "run.py"])
def test_read_artifact__refuses_a_file_that_is_no_data_even_if_the_manifest_lists_it(name, copy):
    file = copy(FILES[0])
    (file.parent / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match=name):
        read_artifact(file.parents[1])
    with pytest.raises(ArtifactError, match=name):
        read_artifact(sealed(file))
