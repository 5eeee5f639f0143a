from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictkpi.features.incidence import aalen_johansen


def naive(duration, event, entry, weight):
    """Aalen-Johansen by the book: one loop over event times, one over subjects."""
    survival, cif, found = 1.0, [0.0, 0.0], []
    for time in sorted({d for d, e in zip(duration, event, strict=True) if e}):
        at_risk = sum(w for d, s, w in zip(duration, entry, weight, strict=True) if d >= time and (s < time or s == 0))
        happened = [sum(w for d, e, w in zip(duration, event, weight, strict=True) if d == time and e == cause) for cause in (1, 2)]
        cif = [total + survival * number / at_risk for total, number in zip(cif, happened, strict=True)]
        survival *= 1 - sum(happened) / at_risk
        found.append((time, *cif))
    return np.array(found).reshape(-1, 3)


subjects = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(0, 6), st.sampled_from([0.5, 1.0, 3.0])), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(subjects)
def test_aalen_johansen__equals_a_naive_loop_with_entry_and_weights(rows):
    rows = [(entry + ahead + (entry > 0), event, entry, weight) for ahead, event, entry, weight in rows]
    duration, event, entry, weight = (list(column) for column in zip(*rows, strict=True))
    found = aalen_johansen(duration, event, entry=entry, weight=weight)
    expected = naive(duration, event, entry, weight)
    assert found.times == pytest.approx(expected[:, 0])
    assert pytest.approx(expected[:, 1:]) == found.cif.T


def test_aalen_johansen__without_censoring_is_the_share_of_each_cause():
    found = aalen_johansen([1, 2, 2, 5], [1, 2, 1, 2])
    assert found.at(2)[0] == pytest.approx(0.5)
    assert found.at(5) == pytest.approx([0.5, 0.5])
    assert found.at(0.5) == pytest.approx([0.0, 0.0])


def test_aalen_johansen__does_not_count_a_late_entry_before_it_was_seen():
    with_entry = aalen_johansen([1, 5, 5], [1, 1, 0], entry=[0, 3, 3])
    assert with_entry.at_risk.tolist() == [1.0, 2.0]
    ignoring = aalen_johansen([1, 5, 5], [1, 1, 0])
    assert ignoring.at(1)[0] < with_entry.at(1)[0]


def test_aalen_johansen__counts_a_subject_of_weight_two_like_two():
    twice = aalen_johansen([1, 2, 2, 3, 3], [1, 2, 2, 0, 0])
    weighted = aalen_johansen([1, 2, 3], [1, 2, 0], weight=[1, 2, 2])
    assert weighted.cif == pytest.approx(twice.cif)


def test_conditional__is_the_share_of_what_was_left():
    curve = aalen_johansen([1, 2, 3, 4], [1, 1, 2, 0])
    assert curve.conditional(1, 1) == pytest.approx([1 / 3, 0.0])
    assert curve.conditional(2.5, 10) == pytest.approx([0.0, 0.5])


def test_conditional__is_nothing_where_nobody_was_seen_open():
    curve = aalen_johansen([1, 2], [1, 2])
    assert curve.conditional([5.0], [10.0]).ravel().tolist() == [0.0, 0.0]


def test_aalen_johansen__of_no_events_is_flat():
    curve = aalen_johansen([3, 4], [0, 0])
    assert curve.at([1, 100]).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert curve.survival_at(50) == 1.0
