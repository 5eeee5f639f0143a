"""Every KPI of the catalogue keeps the contract; a new one is tested by being listed."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core import periods
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.snapshot import MemoryFacts, Snapshot


@pytest.fixture(scope="module", params=kpi_names())
def kpi(request):
    return get_kpi(request.param)


def test_kpi__declares_what_a_reader_needs(kpi):
    assert set(kpi.title) == {"en", "de"}
    assert kpi.formula
    assert kpi.unit in {"currency", "share", "days", "months", "ratio", "count"}
    assert kpi.better in {"up", "down", "none"}


def test_series__is_well_formed_and_of_closed_periods_only(kpi, snapshot):
    series = kpi.series(snapshot)
    assert list(series.columns) == c.KPI_COLUMNS
    assert len(series)
    assert not series.duplicated([c.DS, c.MEMBER]).any()
    assert (series[c.DS] <= periods.cutoff_of(snapshot.as_of, "M")).all()
    assert set(series[c.STATUS]) <= set(Status)
    assert (series[c.VALUE].isna() == (series[c.STATUS] == Status.INSUFFICIENT_DATA)).all()


def test_series__by_every_dimension_it_names(kpi, snapshot):
    for dimension in kpi.dimensions:
        series = kpi.series(snapshot, by=dimension)
        assert set(series[c.DIMENSION]) == {dimension}
        assert len(series)


def test_series__refuses_an_unknown_dimension(kpi, snapshot):
    with pytest.raises(UnknownNameError):
        kpi.series(snapshot, by="colour of the tie")


def test_series__knows_no_future(kpi, company):
    as_of = company.end - pd.DateOffset(months=9)
    past = MemoryFacts({name: frame[frame[c.KNOWN_AT] < as_of] for name, frame in company.tables.items()}, company.company)
    pd.testing.assert_frame_equal(kpi.series(Snapshot(company.facts, as_of)), kpi.series(Snapshot(past, as_of)))
    assert len(kpi.series(Snapshot(past, as_of)))


def test_series__of_an_empty_company_is_empty(kpi, company):
    assert kpi.series(Snapshot(MemoryFacts({}), company.end)).empty
