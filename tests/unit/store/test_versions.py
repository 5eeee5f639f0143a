"""What becomes of offered rows: each case is a table of orders o1.., written as (id, amount, known_at)."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.store.versions import Learning, content_hash, plan_versions
from predictkpi.tables import table_schema

ORDERS = table_schema("orders")
DAY = pd.Timestamp("2024-01-01")
LEARNING = Learning(learnt_at=pd.Timestamp("2024-06-01"), now=pd.Timestamp("2024-06-10"))


def orders(*rows: tuple[str, float, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["order_id", "amount", "known_at"])
    frame["known_at"] = pd.to_datetime(frame["known_at"]).astype("datetime64[us]")
    text = {name: pd.Series(None, index=frame.index, dtype="str") for name in ("currency", "product", "deal_id")}
    return frame.assign(ds=DAY.as_unit("us"), customer_id="c", **text)[[*ORDERS.column_names, "known_at"]]


def plan(offered: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    held = stored[["order_id", "known_at"]].assign(content_hash=content_hash(stored, ORDERS))
    held = held.sort_values("known_at", kind="stable", ignore_index=True)
    return plan_versions(ORDERS, offered, held, learning=LEARNING, origin=named)


def named(labels: pd.Index) -> pd.Series:
    return pd.Series([f"a.csv row {label + 2}" for label in labels], index=labels, dtype="str")


NOTHING = orders()


def test_plan__first_load_knows_rows_when_they_happened():
    planned = plan(orders(("o1", 1.0, None)), NOTHING)
    assert planned["outcome"].tolist() == ["accepted"]
    assert planned["known_at"].tolist() == [DAY]


def test_plan__later_load_knows_new_and_changed_rows_from_its_export_on():
    stored = orders(("o1", 1.0, "2024-01-01"), ("o2", 2.0, "2024-01-01"))
    planned = plan(orders(("o1", 1.0, None), ("o2", 2.5, None), ("o3", 3.0, None)), stored)
    assert planned["outcome"].tolist() == ["unchanged", "accepted", "accepted"]
    assert (planned["known_at"].iloc[1:] == LEARNING.learnt_at).all()


def test_plan__same_export_with_other_content_is_known_from_the_load_on():
    planned = plan(orders(("o1", 2.0, None)), orders(("o1", 1.0, "2024-06-01")))
    assert planned["known_at"].tolist() == [LEARNING.now]


def test_plan__older_export_does_not_override_a_newer_one():
    planned = plan(orders(("o1", 2.0, None), ("o2", 1.0, None)), orders(("o1", 1.0, "2024-06-05"), ("o2", 1.0, "2024-06-05")))
    assert planned["outcome"].tolist() == ["rejected", "unchanged"]
    assert "older than the stored version, known since 2024-06-05" in planned["reason"].iloc[0]


def test_plan__a_log_of_changes_that_is_loaded_again_is_known():
    """The second row repeats the first version before the next one; on its own it was never a version."""
    log = orders(("o1", 1.0, "2024-01-01"), ("o1", 1.0, "2024-02-01"), ("o1", 2.0, "2024-03-01"), ("o2", 1.0, "2024-02-01"))
    assert plan(log, NOTHING)["outcome"].tolist() == ["accepted", "unchanged", "accepted", "accepted"]
    assert plan(log, log.iloc[[0, 2, 3]])["outcome"].tolist() == ["unchanged"] * 4
    other = plan(orders(("o1", 3.0, "2024-02-01"), ("o1", 1.0, "2023-12-01")), log.iloc[[0, 2, 3]])
    assert other["outcome"].tolist() == ["rejected", "rejected"], "these would rewrite what was known"


def test_plan__repeats_without_an_order_in_time():
    planned = plan(orders(("o1", 1.0, None), ("o1", 1.0, None), ("o1", 2.0, None)), NOTHING)
    assert planned["outcome"].tolist() == ["accepted", "unchanged", "rejected"]
    assert "same key as a.csv row 2" in planned["reason"].iloc[2]


def test_plan__history_in_any_order_becomes_versions_in_order():
    offered = orders(("o1", 3.0, "2024-03-01"), ("o1", 1.0, "2024-01-01"), ("o1", 1.0, "2024-02-01"), ("o1", 1.0, "2024-04-01"))
    planned = plan(offered, NOTHING)
    assert planned["outcome"].tolist() == ["accepted", "accepted", "unchanged", "accepted"]


def test_plan__history_contradicting_itself_at_one_instant():
    planned = plan(orders(("o1", 1.0, "2024-01-01"), ("o1", 2.0, "2024-01-01"), ("o1", 1.0, "2024-01-01")), NOTHING)
    assert planned["outcome"].tolist() == ["accepted", "rejected", "unchanged"]


def test_plan__history_loaded_again_with_one_more_version():
    history = [("o1", 1.0, "2024-01-01"), ("o1", 2.0, "2024-02-01"), ("o1", 1.0, "2024-03-01")]
    planned = plan(orders(*history, ("o1", 5.0, "2024-04-01")), orders(*history))
    assert planned["outcome"].tolist() == ["unchanged"] * 3 + ["accepted"]


def test_plan__history_is_never_rewritten():
    planned = plan(orders(("o1", 9.0, "2024-01-15")), orders(("o1", 1.0, "2024-01-01"), ("o1", 2.0, "2024-02-01")))
    assert planned["outcome"].tolist() == ["rejected"]


def test_plan__other_content_for_a_stated_instant_is_a_correction():
    planned = plan(orders(("o1", 9.0, "2024-01-01")), orders(("o1", 1.0, "2024-01-01")))
    assert planned["outcome"].tolist() == ["accepted"]
    assert planned["known_at"].tolist() == [LEARNING.learnt_at]


def test_plan__keys_of_several_columns():
    spend = table_schema("spend")
    frame = pd.DataFrame({"ds": DAY.as_unit("us"), "channel": ["a", "b", "a"], "cost": [1.0, 1.0, 2.0], "currency": "EUR"})
    frame["known_at"] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    stored = frame[:0][["ds", "channel", "known_at"]].assign(content_hash=pd.Series(dtype="int64"))
    planned = plan_versions(spend, frame, stored, learning=LEARNING, origin=lambda labels: pd.Series("x row 1", index=labels))
    assert planned["outcome"].tolist() == ["accepted", "accepted", "rejected"]


def test_content_hash__is_the_same_in_every_run_and_version():
    """Captured once with pandas 3.0; if a new pandas changes it, every stored row would look changed."""
    frame = orders(("o1", 1.5, None), ("ö2", -0.0, None))
    assert content_hash(frame, ORDERS).tolist() == [8150621209561071739, -6447960531568788065]


@pytest.mark.parametrize("column", ["currency", "product", "deal_id"])
def test_content_hash__empty_text_is_missing_text(column):
    frame = orders(("o1", 1.0, None))
    assert content_hash(frame, ORDERS).tolist() == content_hash(frame.assign(**{column: ""}), ORDERS).tolist()


def test_content_hash__sees_every_column():
    frame = orders(("o1", 1.0, None))
    other = {
        "order_id": "x",
        "ds": DAY + pd.Timedelta(1, "s"),
        "customer_id": "x",
        "amount": 2.0,
        "currency": "x",
        "product": "x",
        "deal_id": "x",
    }
    hashes = {content_hash(frame.assign(**{name: value}), ORDERS).iloc[0] for name, value in other.items()}
    assert len(hashes | {content_hash(frame, ORDERS).iloc[0]}) == len(other) + 1
