from __future__ import annotations

import json

import pandas as pd
import pytest

from predictkpi.errors import ArtifactError
from predictkpi.registry.artifact import read_artifact, write_artifact
from toy import company
from toy.model import Toy, ToyBaseline

pytestmark = pytest.mark.usefixtures("catalogue")


@pytest.fixture
def folder(tmp_path):
    snapshot = company.snapshot()
    model = Toy()
    write_artifact(model.fit(model.training_table(snapshot)), tmp_path / "saved")
    return tmp_path / "saved"


def rewrite(folder, **changes):
    path = folder / "predictor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", [Toy, ToyBaseline])
def test_read_artifact__model_and_baseline_predict_as_before(tmp_path, kind):
    snapshot = company.snapshot()
    fitted = kind().fit(kind().training_table(snapshot))
    write_artifact(fitted, tmp_path / "saved")
    loaded = read_artifact(tmp_path / "saved")
    assert type(loaded) is kind
    pd.testing.assert_frame_equal(loaded.predict(snapshot), fitted.predict(snapshot))


def test_read_artifact__refuses_a_foreign_file(folder):
    (folder / "state" / "extra.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match=r"extra\.pkl"):
        read_artifact(folder)


def test_read_artifact__refuses_a_missing_file(folder):
    (folder / "state" / "rates.json").unlink()
    with pytest.raises(ArtifactError, match=r"rates\.json"):
        read_artifact(folder)


def test_read_artifact__refuses_a_flipped_byte(folder):
    path = folder / "state" / "rates.json"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="damaged"):
        read_artifact(folder)


def test_read_artifact__refuses_another_format(folder):
    rewrite(folder, format=2)
    with pytest.raises(ArtifactError, match="format 2, this version reads format 1"):
        read_artifact(folder)


def test_read_artifact__refuses_a_name_outside_the_catalogue(folder):
    rewrite(folder, predictor="os")
    with pytest.raises(ArtifactError, match="no predictor named 'os'"):
        read_artifact(folder)


@pytest.mark.parametrize("change", [{"kind": "os.system"}, {"loader": "os"}])
def test_read_artifact__refuses_an_unknown_manifest(folder, change):
    rewrite(folder, **change)
    with pytest.raises(ArtifactError, match="not a predictkpi manifest"):
        read_artifact(folder)


def test_read_artifact__refuses_any_other_folder(tmp_path):
    with pytest.raises(ArtifactError, match="not a saved predictor"):
        read_artifact(tmp_path)
