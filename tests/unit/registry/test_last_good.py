"""Champions kept on the machine that serves them."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import ModelRef
from predictkpi.errors import ArtifactError, NoChampionError
from predictkpi.registry import Registry
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


def test_last_good__of_another_registry_is_not_offered(tmp_path):
    toy = Toy().fit(Toy().training_table(company.snapshot()))
    one, other = (Registry(f"sqlite:///{tmp_path}/{name}.db", tmp_path / "artifacts") for name in ("one", "other"))
    one.last_good.remember(toy, ref("1"))
    assert one.last_good.read("toy")[1] == ref("1")
    with pytest.raises(NoChampionError):
        other.last_good.read("toy")


def test_last_good__heals_after_a_copy_that_was_broken_off(tmp_path):
    toy, kept = Toy().fit(Toy().training_table(company.snapshot())), LastGood(tmp_path)
    (tmp_path / "toy" / "2").mkdir(parents=True)
    (tmp_path / "toy" / "2" / "half").write_text("x")
    (tmp_path / "toy" / "champion.json").write_text("")
    kept.remember(toy, ref("2"))
    assert kept.read("toy")[1] == ref("2")
