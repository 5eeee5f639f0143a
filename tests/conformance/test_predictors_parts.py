"""A predictor's inputs and training table are the same, made of parts of the facts or at once."""

from __future__ import annotations

import pandas as pd
import pytest

from odd_company import odd_snapshot
from predictkpi.core import columns as c
from predictkpi.parts import added_up, fields_told, split
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import TABLES

PARTS = 5
FEW = {"revenue": {"origins": 3}}
"""Past instants that a table is made of: they are made alike."""
APART = [name for name in predictor_names() if predictor_class(name)().parts is not None]


@pytest.fixture(scope="module")
def snapshots(company):
    """By day of the month: the end of the data, and an instant in the middle of a month."""
    return {"end": company.snapshot(), "between": company.snapshot().at(company.end - pd.Timedelta(days=45, hours=7))}


@pytest.fixture(params=["end", "between"])
def whole(request, snapshots):
    return snapshots[request.param]


def apart(predictor, whole):
    """Snapshots of the parts, and what they share."""
    tables = {name: whole.history(name) for name in TABLES}
    found = []
    for part in split(tables, predictor.parts, PARTS):
        found.append(Snapshot(MemoryFacts(part.tables, whole.company), whole.as_of))
        found[-1].foreign = part.foreign
    nothing = Snapshot(MemoryFacts({}, whole.company), whole.as_of)
    sums = [predictor.parts.contributed(part) for part in found]
    shared = predictor.parts.shared(added_up([*sums, fields_told(tables["attributes"])]), nothing)
    counts = added_up(predictor.parts.counted(part, shared) for part in found)
    return found if predictor.parts.are_whole else [nothing], shared, counts


def in_order(frame):
    """By entity and instant, columns by name."""
    return frame.sort_values([c.ENTITY_ID, c.AS_OF, *([c.DS] if c.DS in frame else [])], kind="stable", ignore_index=True)[sorted(frame)]


@pytest.mark.parametrize("name", APART)
def test_inputs__of_parts_are_those_of_the_whole(name, whole):
    predictor = predictor_class(name)(**FEW.get(name, {}))
    parts, shared, _ = apart(predictor, whole)
    found = pd.concat([predictor.parts.inputs(part, shared) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(in_order(found), in_order(predictor.inputs(whole)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", APART)
def test_training_table__of_parts_is_that_of_the_whole(name, whole):
    predictor = predictor_class(name)(**FEW.get(name, {}))
    parts, shared, counts = apart(predictor, whole)
    found = pd.concat([predictor.parts.training_rows(part, shared, counts) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(in_order(found), in_order(predictor.training_table(whole)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", APART)
def test_part_without_facts__has_the_columns_and_dtypes_of_any_other(name, snapshots):
    predictor, whole = predictor_class(name)(**FEW.get(name, {})), snapshots["end"]
    _, shared, counts = apart(predictor, whole)
    nothing = Snapshot(MemoryFacts({}, whole.company), whole.as_of)
    inputs, rows = predictor.parts.inputs(nothing, shared), predictor.parts.training_rows(nothing, shared, counts)
    assert inputs.dtypes.to_dict() == predictor.inputs(whole).dtypes.to_dict()
    assert rows.dtypes.to_dict() == predictor.training_table(whole).dtypes.to_dict()


@pytest.fixture(scope="module")
def odd(company):
    return odd_snapshot(company)


@pytest.mark.parametrize("name", APART)
def test_odd_facts__are_the_same_in_parts(name, odd):
    predictor = predictor_class(name)(**FEW.get(name, {}))
    parts, shared, counts = apart(predictor, odd)
    found = pd.concat([predictor.parts.inputs(part, shared) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(in_order(found), in_order(predictor.inputs(odd)), rtol=1e-9, atol=1e-9)
    rows = pd.concat([predictor.parts.training_rows(part, shared, counts) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(in_order(rows), in_order(predictor.training_table(odd)), rtol=1e-9, atol=1e-9)


def test_young_company__has_training_tables_of_parts(company):
    young = company.snapshot().at(company.snapshot().orders[c.DS].min() + pd.Timedelta(days=70))
    predictor = predictor_class("revenue")()
    parts, shared, counts = apart(predictor, young)
    rows = pd.concat([predictor.parts.training_rows(part, shared, counts) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(in_order(rows), in_order(predictor.training_table(young)), rtol=1e-9, atol=1e-9)
