"""The margin of a customer's value: there where orders have one, and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.predictors.clv.ladder import AT_A_LOSS
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


def with_margins(facts: MemoryFacts, end, share) -> Snapshot:
    """Orders leave ``share`` (by customer id) of their amount, known a day later."""
    tables = {name: facts.read(name, known_before=end) for name in ("orders", "customers")}
    orders = tables["orders"]
    margin = orders[c.AMOUNT] * orders[c.CUSTOMER_ID].map(share)
    fields = pd.DataFrame({c.ENTITY_ID: orders[c.ORDER_ID], c.VALUE: margin.map(repr)}).assign(
        **{c.TABLE: "orders", c.NAME: "margin", c.KIND: "number", c.KNOWN_AT: orders[c.KNOWN_AT] + pd.Timedelta(days=1)}
    )
    return Snapshot(MemoryFacts(tables | {"attributes": fields[list(table_schema("attributes").empty().columns)]}), end)


@pytest.fixture(scope="module")
def snapshot(drawn) -> Snapshot:
    return with_margins(drawn.facts, drawn.end, lambda name: -9.0 if name == "c00001" else 0.2 + 0.4 * (int(name[-1]) % 2))


@pytest.fixture(scope="module", params=["model", "baseline"])
def fitted(request, snapshot):
    predictor = ClvPredictor(draws=32) if request.param == "model" else ClvPredictor().baseline()
    return predictor.fit(predictor.training_table(snapshot))


def wide(predictions):
    return predictions.pivot(index=[c.ENTITY_ID, c.HORIZON], columns=c.STATISTIC, values=c.VALUE)


def test_predict__gives_everybody_the_margin_of_what_is_expected(fitted, snapshot):
    found = wide(fitted.predict(snapshot))
    assert np.isfinite(found["margin"]).all()
    inputs = fitted.inputs(snapshot).set_index(c.ENTITY_ID)
    share = inputs["margin_share"].reindex(found.index.get_level_values(c.ENTITY_ID)).to_numpy()
    np.testing.assert_allclose(found["margin"], found["mean"] * share)
    often = inputs[inputs["purchases"] > 20]
    high = often.index.str[-1].astype(int) % 2 == 1
    assert often.loc[high, "margin_share"].min() > 0.55
    assert often.loc[~high, "margin_share"].max() < 0.25
    assert inputs.loc["new000", "margin_share"] == pytest.approx(inputs.loc["new001", "margin_share"])


def test_predict__a_margin_below_zero_says_why(fitted, snapshot, drawn):
    predictions = fitted.predict(snapshot)
    below = predictions[predictions[c.VALUE] < 0]
    assert set(below[c.STATISTIC]) == {"margin"}
    assert set(below[c.ENTITY_ID]) == {"c00001"}
    assert below[c.REASON].str.endswith(AT_A_LOSS).all()
    assert predictions[c.REASON].str.contains(AT_A_LOSS).sum() == len(below)


def test_predict__changes_nothing_else_and_leaves_margins_out_where_there_are_none(fitted, snapshot, drawn):
    with_margin, without = fitted.predict(snapshot), fitted.predict(drawn.snapshot())
    assert "margin" not in set(without[c.STATISTIC])
    pd.testing.assert_frame_equal(with_margin[with_margin[c.STATISTIC] != "margin"].reset_index(drop=True), without)
    mixed = fitted.predict_inputs(pd.concat([fitted.inputs(snapshot).iloc[:3], fitted.inputs(drawn.snapshot()).iloc[3:6]]))
    assert mixed[c.VALUE].notna().all()
    assert mixed[mixed[c.STATISTIC] == "margin"][c.ENTITY_ID].nunique() == 3


def test_inputs__of_named_customers_have_the_shares_of_the_whole(fitted, snapshot):
    whole = fitted.inputs(snapshot).set_index(c.ENTITY_ID)["margin_share"]
    named = fitted.inputs(snapshot, entity_ids=["new003", "c00007"]).set_index(c.ENTITY_ID)["margin_share"]
    pd.testing.assert_series_equal(named, whole[named.index])


def test_save__keeps_the_margin(fitted, snapshot, tmp_path):
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(type(fitted).load(tmp_path).predict(snapshot), fitted.predict(snapshot))
