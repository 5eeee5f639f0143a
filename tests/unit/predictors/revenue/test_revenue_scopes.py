from __future__ import annotations

import numpy as np
import pytest

from predictkpi.errors import SettingsError, UnknownNameError
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.scopes import DIMENSIONS, dimensions_of, entity_id_of, label_of, scope_of, series_by

SCOPES = [
    ({}, "total", "", "Total"),
    ({"region": "EMEA"}, "region=EMEA", "region", "EMEA (region)"),
    ({"segment": "SMB", "region": "EMEA"}, "region=EMEA&segment=SMB", "region,segment", "EMEA · SMB (region, segment)"),
    ({"product": "R&D", "team": "A=B"}, "product=R&D&team=A=B", "product,team", "R&D · A=B (product, team)"),
]


@pytest.mark.parametrize(("scope", "entity_id", "dimensions", "label"), SCOPES, ids=[case[1] for case in SCOPES])
def test_entity_id__names_a_scope_and_is_read_back(scope, entity_id, dimensions, label):
    assert entity_id_of(scope) == entity_id
    assert scope_of(entity_id) == scope
    assert dimensions_of(entity_id) == dimensions
    assert label_of(entity_id) == label


def test_entity_id__of_a_member_that_reads_like_a_pair_stays_one_member():
    assert dimensions_of(entity_id_of({"product": "a&team=b"})) == "product"


PIECES = ["R", "&", "=", "%", "2", "5", "6", "%25", "%26", "&team=", "region", " "]


def test_scope_of__is_the_inverse_of_entity_id_for_any_members():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        dimensions = rng.choice(DIMENSIONS, size=rng.integers(1, 3), replace=False)
        scope = {str(name): "".join(rng.choice(PIECES, size=rng.integers(1, 6))) for name in dimensions}
        assert scope_of(entity_id_of(scope)) == scope


def test_entity_id__keeps_members_that_are_read_as_they_stand():
    for member in ("R&D", "50 % off", "100%", "A & B"):
        assert entity_id_of({"product": member}) == f"product={member}"


def test_series_by__finds_crossed_ones_in_any_order():
    names = ["total", "region=EMEA", "segment=SMB", "region=EMEA&segment=SMB"]
    assert series_by(names, "region") == ["region=EMEA"]
    assert series_by(names, "segment, region") == ["region=EMEA&segment=SMB"]
    assert series_by(names, "colour") == series_by(names, "") == []


@pytest.mark.parametrize("pair", [("region",), ("region", "region"), ("region", "team", "product")])
def test_crossed__refuses_what_is_no_pair(pair):
    with pytest.raises(SettingsError, match="pair"):
        RevenueForecaster(crossed=[pair])


def test_crossed__refuses_an_unknown_dimension():
    with pytest.raises(UnknownNameError, match="colour"):
        RevenueForecaster(crossed=[("region", "colour")])
