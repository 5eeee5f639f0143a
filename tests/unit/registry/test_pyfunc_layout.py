"""The registered model's answer with a row an entity, as Spark asks for it."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.predictors.close_time.baseline import AalenJohansenBaseline
from predictkpi.registry.pyfunc import LAYOUT, LISTED, PyfuncPredictor


@pytest.fixture(scope="module")
def model(snapshot):
    predictor = AalenJohansenBaseline()
    return PyfuncPredictor(predictor.fit(predictor.training_table(snapshot)))


@pytest.fixture(scope="module")
def inputs(model, snapshot):
    """In an order that is not that of the ids."""
    return model.predictor.inputs(snapshot).sample(frac=1.0, random_state=0, ignore_index=True)


def test_entity_layout__is_the_long_one_with_a_row_an_input_row(model, inputs):
    found = model.predict(inputs, {LAYOUT: "entity"})
    assert len(found) == len(inputs)
    spread = pd.concat([inputs[[c.ENTITY_ID, c.AS_OF]], found], axis=1).explode(LISTED, ignore_index=True)
    told = model.predict(inputs).assign(**{c.REASON: lambda rows: rows[c.REASON].fillna("")})
    keys = [c.ENTITY_ID, c.HORIZON, c.STATISTIC]
    pd.testing.assert_frame_equal(
        spread.sort_values(keys, ignore_index=True), told[spread.columns].sort_values(keys, ignore_index=True), check_dtype=False
    )


def test_entity_layout__takes_instants_in_nanoseconds_and_text_as_objects(model, inputs):
    as_spark_sends = inputs.astype({c.AS_OF: "datetime64[ns]", c.STAGE: object})
    found, expected = (model.predict(frame, {LAYOUT: "entity"}) for frame in (as_spark_sends, inputs))
    pd.testing.assert_frame_equal(found, expected)
