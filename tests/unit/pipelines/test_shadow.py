"""Batches in their roles: a challenger's predictions are kept, and nobody who asks what the champion said gets them."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.digests import digest_of_inputs, digests_by_entity
from predictkpi.core.types import Company, Role
from predictkpi.pipelines.score import score, shadow
from predictkpi.registry import CHALLENGER, TrainingRecord
from predictkpi.store import Store
from toy import company
from toy.model import Toy

pytestmark = pytest.mark.usefixtures("catalogue")

NOW = pd.Timestamp("2024-01-03 09:00")
MIDDLE = pd.Timestamp("2023-07-01")


def register(registry, **settings) -> str:
    model = Toy(**settings)
    model.fit(model.training_table(company.snapshot()))
    run_id = registry.log_training("toy", TrainingRecord(params={}), run_name="test")
    return registry.register(model, run_id=run_id, inputs=model.inputs(company.snapshot())).version


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.load({"orders": company.orders()}, company=Company(name="Toys"), now=NOW)
    yield store
    store.close()


@pytest.fixture
def versions(registry):
    """Versions of champion and challenger; the challenger says thrice as much."""
    found = register(registry), register(registry, factor=3.0)
    registry.promote("toy", found[0])
    registry.promote("toy", found[1], alias=CHALLENGER)
    return found


def roles(store) -> set[tuple[str, str, pd.Timestamp]]:
    return set(store.predicted_days("toy")[[c.MODEL_VERSION, c.ROLE, c.AS_OF]].itertuples(index=False, name=None))


def test_shadow__keeps_what_the_challenger_says_beside_the_champion(store, registry, versions):
    (told,) = score(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    (reports, troubles) = shadow(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert troubles == []
    assert [(report.model.version, report.role, report.rows) for report in reports] == [(versions[1], Role.SHADOW, told.rows)]
    assert roles(store) == {(versions[0], "champion", MIDDLE), (versions[1], "shadow", MIDDLE)}
    own, other = (store.read_predictions(predictor="toy", model_version=version, as_of=MIDDLE) for version in versions)
    assert (other[c.VALUE] / own[c.VALUE]).to_numpy() == pytest.approx(3.0)


def test_scored_version__is_never_the_shadows(store, registry, versions):
    shadow(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert store.scored_version("toy", until=NOW) is None
    score(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    shadow(store, registry, predictors=["toy"], as_of=MIDDLE + pd.Timedelta(days=1), now=NOW)
    assert store.scored_version("toy", until=NOW) == versions[0]


def test_shadow__does_not_take_back_that_a_version_was_the_champion(store, registry, versions):
    score(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    registry.promote("toy", versions[1])
    registry.promote("toy", versions[0], alias=CHALLENGER)
    shadow(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert roles(store) == {(versions[0], "champion", MIDDLE)}
    score(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert roles(store) == {(version, "champion", MIDDLE) for version in versions}


def test_shadow__of_a_challenger_that_is_the_champion_by_now_writes_nothing(store, registry, versions):
    registry.promote("toy", versions[1])
    assert shadow(store, registry, predictors=["toy", "never_trained"], as_of=MIDDLE, now=NOW) == ([], [])


def test_shadow__that_cannot_be_loaded_is_told_of(store, registry, versions, monkeypatch):
    from predictkpi.errors import ArtifactError

    def damaged(name, *, alias):
        raise ArtifactError("cut short")

    monkeypatch.setattr(registry, "champion", damaged)
    reports, (trouble,) = shadow(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert (reports, trouble.predictor, trouble.reason) == ([], "toy", "cut short")


def test_shadow__that_fails_in_itself_is_told_of_and_the_log_has_the_cause(store, registry, versions, monkeypatch, caplog):
    monkeypatch.setattr(Toy, "predict_inputs", lambda self, inputs: inputs["a column that is gone"])
    reports, (trouble,) = shadow(store, registry, predictors=["toy"], as_of=MIDDLE, now=NOW)
    assert (reports, trouble.reason) == ([], "it fails with KeyError; the log has the cause")
    assert "a column that is gone" in caplog.text


def test_digests__are_of_the_values_and_not_of_their_order():
    inputs = Toy().inputs(company.snapshot()).assign(x=range(40))
    shuffled, other = inputs.sample(frac=1, random_state=1), inputs.assign(x=range(1, 41))
    assert digest_of_inputs(inputs) == digest_of_inputs(shuffled) != digest_of_inputs(other)
    each = digests_by_entity(inputs, together=False)
    assert len(set(each.values())) == 40
    assert each == digests_by_entity(shuffled, together=False)
    changed = digests_by_entity(inputs.assign(x=inputs["x"].where(inputs[c.ENTITY_ID] != "C003", 99)), together=False)
    assert {name for name in each if each[name] != changed[name]} == {"C003"}
    whole = digests_by_entity(inputs, together=True)
    assert len(set(whole.values())) == 1
    assert set(whole.values()) != set(digests_by_entity(other, together=True).values())
