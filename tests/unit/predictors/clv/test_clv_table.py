from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import SchemaError, UnknownEntityError
from predictkpi.predictors.clv.table import CLV_COLUMNS, build_clv_table, build_outcomes, check_clv_columns
from predictkpi.snapshot import MemoryFacts, Snapshot


@pytest.fixture
def facts() -> MemoryFacts:
    orders = pd.DataFrame(
        [
            ("1", "a", "2024-01-10", 100.0, "2024-01-10"),
            ("1", "a", "2024-01-10", 60.0, "2024-02-20"),  # corrected on 20 February
            ("2", "a", "2024-02-05", 40.0, "2024-02-05"),
            ("3", "b", "2024-02-25", -15.0, "2024-02-25"),
            ("4", "c", "2024-03-02", 70.0, "2024-03-02"),
            ("5", "a", "2024-05-01", 9.0, "2024-05-01"),
        ],
        columns=["order_id", "customer_id", "ds", "amount", "known_at"],
    )
    customers = pd.DataFrame(
        [("a", "SMB", "2023-12-01", "2023-12-01"), ("new", "SMB", "2024-02-01", "2024-02-01"), ("blank", None, None, "2024-02-11")],
        columns=["customer_id", "segment", "created_at", "known_at"],
    )
    for frame in (orders, customers):
        for name in {"ds", "created_at", "known_at"} & set(frame.columns):
            frame[name] = pd.to_datetime(frame[name])
    customers[["region", "industry", "channel"]] = None
    return MemoryFacts({"orders": orders, "customers": customers})


def at(facts, day) -> Snapshot:
    return Snapshot(facts, pd.Timestamp(day))


def test_build_clv_table__holds_everybody_known_and_nobody_later(facts):
    table = build_clv_table(at(facts, "2024-03-01"))
    assert list(table.columns) == CLV_COLUMNS
    assert table[c.ENTITY_ID].tolist() == ["a", "b", "blank", "new"]
    assert table["orders"].tolist() == [2.0, 1.0, 0.0, 0.0]
    assert table["segment"].tolist() == ["SMB", "", "", "SMB"]
    assert table["history_days"].tolist() == [51.0] * 4
    assert (table["as_of"] == pd.Timestamp("2024-03-01")).all()


def test_build_clv_table__counts_account_days_from_the_earliest_trace(facts):
    table = build_clv_table(at(facts, "2024-03-01")).set_index(c.ENTITY_ID)
    assert table["account_days"].to_dict() == {"a": 91.0, "b": 0.0, "blank": 19.0, "new": 29.0}


def test_build_clv_table__takes_amounts_as_known_then(facts):
    before, after = (build_clv_table(at(facts, day)).set_index(c.ENTITY_ID)["total"]["a"] for day in ("2024-02-15", "2024-03-01"))
    assert (before, after) == (140.0, 100.0)


def test_build_clv_table__of_named_customers_is_the_same_rows_in_the_order_asked_for(facts):
    snapshot = at(facts, "2024-03-01")
    everybody = build_clv_table(snapshot).set_index(c.ENTITY_ID)
    named = build_clv_table(snapshot, entity_ids=["new", "a"]).set_index(c.ENTITY_ID)
    pd.testing.assert_frame_equal(named, everybody.loc[["new", "a"]])


def test_build_clv_table__refuses_a_customer_not_known_yet(facts):
    with pytest.raises(UnknownEntityError, match="'c'"):
        build_clv_table(at(facts, "2024-03-01"), entity_ids=["a", "c"])


def test_build_clv_table__of_an_empty_company_has_no_rows():
    table = build_clv_table(Snapshot(MemoryFacts({}), pd.Timestamp("2024-03-01")))
    assert list(table.columns) == CLV_COLUMNS
    assert len(table) == 0


def test_build_outcomes__sums_the_span_for_the_cohort_and_says_what_is_mature(facts):
    outcomes = build_outcomes(at(facts, "2024-06-15"), as_of=pd.Timestamp("2024-02-01"))
    assert list(outcomes.columns) == c.OUTCOME_COLUMNS
    assert outcomes[c.ENTITY_ID].unique().tolist() == ["a"]
    spend = outcomes[outcomes[c.STATISTIC] == "mean"].set_index(c.HORIZON)
    # until 1 May, exclusive: the order of that day counts from the 6-month horizon on only
    assert spend[c.VALUE].to_dict() == {3: 40.0, 6: 49.0, 12: 49.0, 24: 49.0}
    assert spend[c.IS_MATURE].to_dict() == {3: True, 6: False, 12: False, 24: False}
    purchases = outcomes[outcomes[c.STATISTIC] == "expected_purchases"].set_index(c.HORIZON)
    assert purchases[c.VALUE].to_dict() == {3: 1.0, 6: 2.0, 12: 2.0, 24: 2.0}


def test_check_clv_columns__names_what_is_missing(facts):
    with pytest.raises(SchemaError, match="recency"):
        check_clv_columns(build_clv_table(at(facts, "2024-03-01")).drop(columns="recency"))
