"""Champions kept on the machine that serves them."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import ModelRef
from predictkpi.errors import ArtifactError, NoChampionError
from predictkpi.registry.last_good import LastGood
from toy import company
from toy.model import Toy

pytestmark = pytest.mark.usefixtures("catalogue")


def ref(version: str) -> ModelRef:
    return ModelRef(predictor="toy", version=version, run_id="r", kind="model")


def test_last_good__gives_the_newest_champion_back(tmp_path):
    snapshot, kept = company.snapshot(), LastGood(tmp_path)
    toy = Toy().fit(Toy().training_table(snapshot))
    kept.remember(toy, ref("1"))
    kept.remember(Toy(factor=2.0).fit(Toy().training_table(snapshot)), ref("2"))
    kept.remember(Toy(factor=9.0).fit(Toy().training_table(snapshot)), ref("2"))
    again, found = LastGood(tmp_path).read("toy")
    assert found == ref("2")
    expected = toy.predict(snapshot)
    pd.testing.assert_series_equal(again.predict(snapshot)["value"], 2 * expected["value"])
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == ["2", "champion.json"]


def test_last_good__of_nothing_or_something_damaged_says_so(tmp_path):
    kept = LastGood(tmp_path)
    with pytest.raises(NoChampionError, match="no champion of toy was ever served from this machine"):
        kept.read("toy")
    kept.remember(Toy().fit(Toy().training_table(company.snapshot())), ref("1"))
    (path,) = (tmp_path / "toy").rglob("rates.json")
    path.write_bytes(path.read_bytes()[:-3] + b"9}}")
    with pytest.raises(ArtifactError, match="checksum differs"):
        kept.read("toy")
    (tmp_path / "toy" / "champion.json").write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        kept.read("toy")
