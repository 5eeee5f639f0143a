from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.arrays import Columns, concatenated, is_missing

FRAME = pd.DataFrame(
    {
        "text": pd.Series(["a", None, "b"], dtype="str"),
        "number": [1.5, np.nan, 3.0],
        "count": [1, 2, 3],
        "flag": [True, False, True],
        "at": pd.Series(["2025-01-01", None, "2025-01-03 12:00"], dtype="datetime64[us]"),
    }
).set_axis([7, 8, 9])


def test_columns__of_a_frame_and_back_leave_out_the_index_only():
    pd.testing.assert_frame_equal(Columns.of(FRAME).frame(), FRAME.reset_index(drop=True))
    assert list(Columns.of(FRAME, ["flag", "text"])) == ["flag", "text"]


def test_columns__hold_missing_text_as_none_whatever_the_frame_held():
    columns = Columns.of(FRAME.assign(text=np.array(["a", np.nan, "b"], dtype=object)))
    assert columns["text"].tolist() == ["a", None, "b"]
    missing = {name: is_missing(columns[name]).tolist() for name in columns}
    assert missing == {name: [False, name in ("text", "number", "at"), False] for name in FRAME}


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True]), slice(1, 3), np.zeros(0, int)])
def test_take__takes_positions_a_mask_or_a_slice(rows):
    taken = Columns.of(FRAME).take(rows)
    pd.testing.assert_frame_equal(taken.frame(), FRAME.iloc[rows].reset_index(drop=True))
    assert len(taken) == len(Columns({}, 3).take(rows)) == len(FRAME.iloc[rows])


def test_with_columns__replaces_and_adds_and_leaves_the_original_alone():
    columns = Columns.of(FRAME, ["count"])
    changed = columns.with_columns({"count": np.zeros(3), "other": np.ones(3)})
    assert (list(changed), changed["count"].tolist(), columns["count"].tolist()) == (["count", "other"], [0, 0, 0], [1, 2, 3])


def test_concatenated__are_all_rows_in_order():
    columns = Columns.of(FRAME)
    parts = [columns.take(slice(0, 1)), columns.take(slice(1, 3))]
    pd.testing.assert_frame_equal(concatenated(parts).frame(), columns.frame())


def test_columns__of_many_rows_hold_equal_text_once():
    repeated = pd.Series(["a", None, "b", "a"] * 5000, dtype="str")
    unique = pd.Series([f"id {number}" for number in range(20_000)], dtype="str")
    columns = Columns.of(pd.DataFrame({"repeated": repeated, "unique": unique}))
    assert columns["repeated"].tolist() == ["a", None, "b", "a"] * 5000
    assert len({id(text) for text in columns["repeated"]}) == 3
    assert columns["unique"].tolist() == unique.tolist()
