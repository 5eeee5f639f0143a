from __future__ import annotations

import numpy as np

from predictkpi.features.codes import Codes


def texts(*values):
    return np.array(values, dtype=object)


def test_codes__follow_first_appearance_over_all_columns_and_leave_out_what_is_missing():
    codes = Codes(texts("b", None, "a"), texts("c", "b"))
    assert [part.tolist() for part in codes.codes] == [[0, -1, 1], [2, 0]]
    assert codes.values.tolist() == ["b", "a", "c"]
    assert codes.of(["c", "nobody", None]).tolist() == [2, -1, -1]
    assert codes.text(np.array([1, -1])).tolist() == ["a", None]


def test_codes__go_on_from_those_known_and_leave_them_as_they_are():
    known = Codes(texts("b", "a"))
    further = Codes(texts("z", "a", None), known=known)
    once_more = Codes(texts("y", "z", "b"), known=further)
    assert further.codes[0].tolist() == [2, 1, -1]
    assert once_more.codes[0].tolist() == [3, 2, 0]
    assert once_more.text(np.array([0, 1, 2, 3, -1])).tolist() == ["b", "a", "z", "y", None]
    assert (len(known), len(further), len(once_more)) == (2, 3, 4)
    assert known.of(["z"]).tolist() == [-1]


def test_codes__with_nothing_new_have_the_values_known():
    known = Codes(texts("b", "a"))
    same = Codes(texts("a", None), known=known)
    assert (same.codes[0].tolist(), same.values.tolist()) == ([1, -1], ["b", "a"])
    from_nothing = Codes(texts("a"), known=Codes(texts()))
    assert (from_nothing.codes[0].tolist(), from_nothing.values.tolist()) == ([0], ["a"])
