"""A company's own fields at any instant, as they were known then."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.features.attributes import AttributeHistory, DealAttributes
from predictkpi.features.deal_asof import microseconds
from predictkpi.features.deal_history import DealHistory
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables.attributes import as_floats, from_text
from toy.own_fields import make_own_fields, versions

T = pd.Timestamp


def history(*parts, as_of="2024-07-01", table="deals"):
    frame = pd.concat(parts, ignore_index=True).sort_values(c.KNOWN_AT, kind="stable")
    return AttributeHistory(Snapshot(MemoryFacts({"attributes": frame}), T(as_of)), table)


def at(found, ids, *instants):
    landmarks = microseconds(pd.DatetimeIndex([T(instant) for instant in instants]))
    return found.at(np.array([*ids], object), landmarks).frame()


def test_at__types_every_kind_and_counts_days_from_the_landmark():
    found = history(
        versions("deals", ["A", "B"], "score", "number", ["0.5", None], T("2024-01-01")),
        versions("deals", ["A", "B"], "vip", "flag", ["true", "false"], T("2024-01-01")),
        versions("deals", ["A"], "renews", "date", "2024-03-01T12:00:00", T("2024-01-01")),
        versions("deals", ["A"], "tier", "category", "gold", T("2024-01-01")),
        versions("customers", ["A"], "size", "number", "7", T("2024-01-01")),
    )
    assert found.kinds == {"renews": "date", "score": "number", "tier": "category", "vip": "flag"}
    wide = at(found, ["A", "B", "nobody", None, "A"], "2024-02-29", "2024-02-29", "2024-02-29", "2024-02-29", "2024-03-03")
    assert wide.columns.tolist() == ["renews", "score", "vip", "tier"]
    assert wide.dtypes.astype(str).tolist() == ["float64", "float64", "float64", "str"]
    assert wide["renews"].tolist() == pytest.approx([1.5, np.nan, np.nan, np.nan, -1.5], nan_ok=True)
    assert wide["score"].tolist() == pytest.approx([0.5, np.nan, np.nan, np.nan, 0.5], nan_ok=True)
    assert wide["vip"].tolist() == pytest.approx([1.0, 0.0, np.nan, np.nan, 1.0], nan_ok=True)
    assert wide["tier"].fillna("-").tolist() == ["gold", "-", "-", "-", "gold"]


def test_at__a_correction_and_a_deletion_hold_from_when_they_are_known_and_change_nothing_before():
    first = versions("deals", ["A"], "tier", "category", "gold", T("2024-01-01"))
    second = versions("deals", ["A"], "tier", "category", "tin", T("2024-02-01"))
    days = ["2024-01-01", "2024-01-02", "2024-02-01", "2024-02-02", "2024-03-02"]
    assert at(history(first), ["A"] * 3, *days[:3])["tier"].fillna("-").tolist() == ["-", "gold", "gold"]
    gone = second.assign(**{c.KNOWN_AT: T("2024-03-01"), c.IS_DELETED: True})
    both = history(first.assign(**{c.IS_DELETED: False}), second.assign(**{c.IS_DELETED: False}), gone)
    assert at(both, ["A"] * 5, *days)["tier"].fillna("-").tolist() == ["-", "gold", "gold", "tin", "-"]


def test_at__reads_the_kind_that_was_learnt_last():
    text = versions("deals", ["A", "B"], "tier", "category", ["7", "8"], T("2024-01-01"))
    number = versions("deals", ["A"], "tier", "number", "7.0", T("2024-02-01"))
    found = at(history(text, number), ["A", "A", "B"], "2024-01-15", "2024-02-15", "2024-02-15")
    assert found["tier"].tolist() == pytest.approx([np.nan, 7.0, np.nan], nan_ok=True)
    assert at(history(text, number, as_of="2024-01-20"), ["B"], "2024-01-15")["tier"].tolist() == ["8"]


def test_at__without_any_field_has_rows_and_no_columns():
    assert at(AttributeHistory(Snapshot(MemoryFacts({}), T("2024-07-01")), "deals"), ["A", "B"], "2024-01-01", "2024-01-01").shape == (2, 0)


def test_at__equals_a_snapshot_of_each_day():
    company = make_own_fields(deals=150)
    found = AttributeHistory(company.snapshot(), "deals")
    for day in ("2023-04-01", "2024-02-03 11:00", "2025-01-01"):
        then = company.snapshot(T(day)).attributes("deals")
        wide = at(found, then.index, *[day] * len(then)).set_index(then.index)
        for name in then:
            expected = (then[name] - T(day)) / pd.Timedelta(days=1) if found.kinds[name] == "date" else then[name]
            expected = expected if found.kinds[name] == "category" else expected.astype("float64")
            pd.testing.assert_series_equal(wide[name], expected, check_names=False, rtol=1e-12)
    assert len(then) > 100


def test_at__does_not_depend_on_how_many_are_asked_for_at_a_time(monkeypatch):
    company = make_own_fields(deals=60)
    found = AttributeHistory(company.snapshot(), "deals")
    ids, days = company.deals[c.DEAL_ID].astype("str"), [T("2024-01-01")] * 60
    whole = at(found, ids, *days)
    monkeypatch.setattr("predictkpi.features.attributes.CELLS_AT_ONCE", 50)
    pd.testing.assert_frame_equal(at(found, ids, *days), whole)


def test_with_rows__speak_of_their_own_records_and_of_fields_the_facts_know():
    company = make_own_fields(deals=60)
    snapshot = company.snapshot(T("2024-01-01"))
    known = T("2023-12-01")
    added = pd.concat(
        [
            versions("deals", ["new", "D00001"], "fit", "number", ["2.5", "-7"], known),
            versions("deals", ["new"], "tier", "number", "3", known),
            versions("deals", ["new"], "unheard_of", "number", "1", known),
        ]
    )
    richer = snapshot.with_rows({"attributes": added})
    base, found = DealAttributes(snapshot), DealAttributes(richer)
    ids, landmark = np.array(["new", "D00001", "D00002"], object), np.full(3, microseconds(pd.DatetimeIndex([known]))[0] + 1)
    customers = np.array([None, "C001", None], object)
    own, before = (each.at(ids, customers, landmark).frame() for each in (found, base))
    assert own.columns.tolist() == before.columns.tolist()
    assert own["deal.fit"].tolist() == [2.5, -7.0, before["deal.fit"][2]]
    assert own["deal.tier"].isna().tolist() == [True, False, False]
    assert own["customer.industry"].fillna("-").tolist() == ["-", "energy", "-"]
    pd.testing.assert_frame_equal(own.loc[2:], before.loc[2:])
    pd.testing.assert_frame_equal(DealAttributes(richer, base=base).at(ids, customers, landmark).frame(), own)
    earlier = DealAttributes(richer.at(known)).at(ids, customers, landmark)
    assert np.isnan(earlier["deal.fit"][0])


def test_deal_history__gives_fields_of_a_deal_and_of_its_customer():
    company = make_own_fields(deals=60)
    found = DealHistory(company.snapshot())
    deal = found.deals.of(["D00004", "D00005"])
    wide = found.attributes(deal, np.full(2, found.as_of))
    truth = company.deals.set_index(c.DEAL_ID).loc[["D00004", "D00005"]]
    assert wide["deal.tier"].tolist() == truth["tier"].tolist()
    assert wide["customer.industry"].tolist() == truth["industry"].tolist()


ODD = ["2.5", "7", " 3", "1_000", "١", "nan", "inf", "x", "", "2024-02-03T04:05:06", "2024-02-03", "2024", "2024-W01-1", "true", "True"]


@pytest.mark.parametrize("kind", ["number", "date", "flag"])
def test_as_floats__reads_every_text_as_from_text_does(kind):
    read = from_text(pd.Series(ODD, dtype="str"), kind)
    if kind == "date":
        expected = [np.nan if value is pd.NaT else float(value.value // 1000) for value in read.astype("datetime64[ns]")]
    else:
        expected = read.to_numpy(float, na_value=np.nan).tolist()
    assert np.isfinite(expected).sum() >= 1
    np.testing.assert_array_equal(as_floats(ODD, kind), expected)
