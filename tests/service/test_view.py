"""A view of the service: its tables of predictions, and for whom its answers are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.core.digests import digests_by_entity
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.service.view import Fingerprint, PredictionTable, View
from toy.own_fields import make_own_fields


def test_champion__of_a_company_whose_deals_are_all_closed_holds_nobody():
    known = make_own_fields()
    closed = set(known.deals.loc[known.deals["close"].notna(), c.DEAL_ID])
    kept = {name: rows[rows[c.DEAL_ID].isin(closed)] for name, rows in known.tables.items() if name in ("deals", "deal_events")}
    snapshot = replace(known, tables=known.tables | kept).snapshot()
    predictor = CloseTimePredictor().baseline()
    predictor.fit(predictor.training_table(snapshot))
    inputs = predictor.inputs(snapshot)
    table = PredictionTable(predictor.predict_inputs(inputs))
    assert digests_by_entity(inputs, together=False) == {}
    assert (len(table), table.entity_ids, "D00001" in table) == (0, [], False)
    assert table.wide(30).empty
    with pytest.raises(KeyError):
        table.rows("D00001")


def test_rows_of_one_team__are_not_those_of_two_whose_names_read_alike():
    snapshot = make_own_fields(deals=20).snapshot()
    view = View(snapshot, {}, {}, Fingerprint((snapshot.as_of, ()), ()))
    one, two = RowScope("team", frozenset({"A, B"})), RowScope("team", frozenset({"A", "B"}))
    assert str(one) == str(two)
    assert one.key != two.key
    assert RowScope("team", frozenset({"B", "A"})).key == two.key
    assert view.within(one).rows == one
    assert view.within(two).rows == two
    assert view.within(one) is view.within(one)
    assert not view.has_within(two)
    assert view.rows_key == ""
    assert view.within(one).rows_key == one.key
