"""Table schemas: strict inside, counting at the border."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.schema import RowCheck
from predictkpi.errors import SchemaError, UnknownNameError
from predictkpi.tables import TABLES, table_schema
from predictkpi.tables.deal_events import DEAL_EVENTS
from predictkpi.tables.deals import DEALS
from predictkpi.tables.spend import SPEND


def _spend(**changes):
    row = {c.DS: pd.Timestamp("2024-01-01"), c.CHANNEL: "search", c.COST: 10.0, c.CURRENCY: "EUR"} | changes
    return pd.DataFrame([row])


def test_validate__returns_a_sound_frame():
    assert len(SPEND.validate(_spend())) == 1


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [({c.COST: -1.0}, c.COST, "below 0"), ({c.CHANNEL: None}, c.CHANNEL, "empty"), ({c.CHANNEL: ""}, c.CHANNEL, "empty")],
)
def test_split_rejects__names_field_value_and_reason(changes, field, reason):
    good, rejects = SPEND.split_rejects(_spend(**changes))
    assert good.empty
    assert rejects.iloc[0]["field"] == field
    assert reason in rejects.iloc[0]["reason"]


def test_split_rejects__gives_each_row_one_reason():
    good, rejects = SPEND.split_rejects(pd.concat([_spend(), _spend(**{c.COST: -1.0, c.CHANNEL: None})], ignore_index=True))
    assert len(good) == 1
    assert list(rejects.index) == [1]


def test_validate__refuses_missing_columns_and_names_both_sides():
    with pytest.raises(SchemaError, match=r"missing columns \['cost'\]; available are .*channel"):
        SPEND.validate(_spend().drop(columns=c.COST))


def test_validate__refuses_a_key_twice():
    with pytest.raises(SchemaError, match="repeats"):
        SPEND.validate(pd.concat([_spend(), _spend()], ignore_index=True))


def test_row_check__sees_several_columns():
    check = RowCheck(c.COST, "more than search costs", lambda frame: (frame[c.CHANNEL] == "search") & (frame[c.COST] > 5))
    schema = type(SPEND)(**(vars(SPEND) | {"checks": (check,)}))
    assert schema.split_rejects(_spend())[1].iloc[0]["reason"] == "more than search costs"


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_empty__is_valid_and_typed(schema):
    empty = schema.empty()
    assert schema.validate(empty).empty
    assert set(schema.key) <= set(empty.columns)
    assert all(column.description for column in schema.columns)


def test_table_schema__lists_what_there_is():
    assert table_schema("deal_events") is DEAL_EVENTS
    with pytest.raises(UnknownNameError, match="customers"):
        table_schema("clients")


def test_rows__hold_the_table_s_columns_as_arrays_of_their_kind():
    known = pd.Timestamp("2025-01-02")
    held = DEALS.rows([{"deal_id": "A", "created_at": known, "known_at": known, "mood": "high"}, {"deal_id": "B", "known_at": known}])
    assert list(held) == [*DEALS.column_names, "known_at"]
    assert held["deal_id"].tolist() == ["A", "B"]
    assert held["source"].tolist() == [None, None]
    assert np.isnat(held["created_at"]).tolist() == [False, True]
    pd.testing.assert_series_equal(held.frame().dtypes, DEALS.empty().dtypes)
    pd.testing.assert_frame_equal(DEALS.rows([]).frame(), DEALS.empty())


def test_typed__reads_a_frame_of_other_dtypes_and_fills_in_what_is_not_there():
    frame = pd.DataFrame({"deal_id": ["A"], "known_at": pd.Series(["2025-01-02"], dtype="datetime64[ns]"), "source": [np.nan]})
    held = DEALS.typed(frame)
    assert (held["source"].tolist(), held["team"].tolist()) == ([None], [None])
    assert held["known_at"].dtype == "datetime64[us]"
    assert list(DEALS.typed(frame, ["source", "known_at"])) == ["source", "known_at"]
