"""A view of the service: its tables of predictions, and for whom its answers are kept."""

from __future__ import annotations

from predictkpi.core.access import RowScope
from predictkpi.service.view import Fingerprint, View
from toy.own_fields import make_own_fields


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
