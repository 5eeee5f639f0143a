"""What holds for every KPI of the catalogue."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.periods import FREQS, cutoff_of
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.kpis import KPIS, get_kpi, kpi_names
from predictkpi.snapshot import Snapshot
from predictkpi.tables import TABLES

EVERY = pytest.mark.parametrize("name", kpi_names())
EVERY_WAY = pytest.mark.parametrize(("name", "by"), [(name, by) for name in kpi_names() for by in (None, *get_kpi(name).dimensions)])


def test_catalogue__families_stand_together():
    families = [get_kpi(name).family for name in kpi_names()]
    assert families == sorted(families, key=list(dict.fromkeys(families)).index)


def test_catalogue__names_in_order():
    assert kpi_names() == (
        "revenue", "revenue_new_customers", "revenue_existing_customers",
        "revenue_growth_mom", "revenue_growth_qoq", "revenue_growth_yoy", "revenue_cagr",
        "new_customers", "acquisition_spend", "cac", "cac_lagged", "cac_payback", "clv_realised", "ltv_to_cac",
        "repeat_purchase_rate", "churn_rate",
        "sales_cycle_mean", "sales_cycle_median", "time_in_stage", "stage_conversion",
        "win_rate", "win_rate_amount", "average_deal_size", "sales_velocity", "open_pipeline", "pipeline_coverage", "slip_rate",
    )  # fmt: skip
    assert len(KPIS) == len(set(kpi_names()))


def test_get_kpi__unknown_name_lists_the_catalogue():
    with pytest.raises(UnknownNameError, match="no KPI named 'profit'; there are: acquisition_spend, average_deal_size, cac"):
        get_kpi("profit")


@EVERY
def test_declaration__is_complete(name):
    kpi = get_kpi(name)
    assert kpi.name == name
    assert set(kpi.title) == {"en", "de"} and all(kpi.title.values())
    assert kpi.formula and kpi.unit in {"currency", "share", "days", "months", "ratio", "count"} and kpi.better in {"up", "down", "none"}
    length = {"M": "month", "Q": "fiscal quarter", None: "period of any length"}[kpi.fixed_freq]
    assert kpi.grain == f"one value a {length} and member of a dimension"
    assert kpi.counts in {"orders", "customers", "deals", "entries"}
    assert kpi.settles_with is None or kpi.settles_with in kpi.needs
    assert kpi.family in {"revenue", "customers", "sales_cycle", "pipeline"}
    assert kpi.needs and set(kpi.needs) <= set(TABLES)
    assert kpi.dimensions


@pytest.fixture(scope="module")
def of_tiny(tiny):
    """The series of one KPI of the tiny company by one dimension, worked out once."""
    return cache(lambda name, by: get_kpi(name).series(tiny, by=by))


@EVERY_WAY
def test_series__columns_order_and_status(of_tiny, name, by):
    series = of_tiny(name, by)
    assert list(series.columns) == c.KPI_COLUMNS
    assert len(series) and (series[c.KPI] == name).all()
    assert (series[c.DIMENSION] == (by or "total")).all()
    assert series[[c.MEMBER, c.DS]].apply(tuple, axis=1).is_monotonic_increasing
    assert not series.duplicated([c.MEMBER, c.DS]).any()
    assert series.groupby(c.MEMBER)[c.DS].agg(tuple).nunique() == 1
    assert by or series[c.MEMBER].eq("total").all()
    assert set(series[c.STATUS]) <= {Status.FULL, Status.LIMITED, Status.INSUFFICIENT_DATA}
    assert (series[c.VALUE].isna() == (series[c.STATUS] == Status.INSUFFICIENT_DATA)).all()
    assert np.isfinite(series[c.VALUE].dropna()).all()
    assert not (series[c.LOW] > series[c.VALUE]).any() and not (series[c.HIGH] < series[c.VALUE]).any()
    assert series.loc[series[c.VALUE].isna(), [c.LOW, c.HIGH]].isna().all(axis=None)


@EVERY
@pytest.mark.parametrize("freq", FREQS)
def test_series__complete_periods_only(tiny, name, freq):
    kpi = get_kpi(name)
    series = kpi.series(tiny, freq=freq)
    cutoff = cutoff_of(tiny.as_of, kpi.fixed_freq or freq, fiscal_year_starts=2)
    assert (series[c.DS] <= cutoff).all()
    if freq != "Y":  # the first fiscal year is still running
        assert series[c.DS].max() == cutoff


@EVERY
def test_series__month_counts_from_its_last_instant_on(tiny, name):
    june, july = pd.Timestamp("2023-06-01"), pd.Timestamp("2023-07-01")
    before = get_kpi(name).series(tiny.at(pd.Timestamp("2023-07-31 23:59:59.999999")))
    after = get_kpi(name).series(tiny.at(pd.Timestamp("2023-08-01")))
    if get_kpi(name).fixed_freq == "Q":
        july, june = pd.Timestamp("2023-05-01"), pd.Timestamp("2023-02-01")
    assert (before[c.DS].max(), after[c.DS].max()) == (june, july)


@EVERY
def test_series__no_data_gives_typed_empty_frame(facts_of, tiny, name):
    empty = get_kpi(name).series(Snapshot(facts_of(), pd.Timestamp("2023-08-10")))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == get_kpi(name).series(tiny).dtypes.to_dict()


@EVERY
def test_series__data_of_the_running_period_only_gives_no_rows(tiny, name):
    assert len(get_kpi(name).series(tiny.at(pd.Timestamp("2023-02-25")), freq="M")) == 0


@EVERY
def test_series__unknown_dimension_names_the_valid_ones(tiny, name):
    with pytest.raises(UnknownNameError, match=f"dimension of {name} named 'colour'; there are: .*{get_kpi(name).dimensions[0]}"):
        get_kpi(name).series(tiny, by="colour")


@EVERY
def test_series__unknown_period_length_is_refused(tiny, name):
    with pytest.raises(UnknownNameError, match="period length named 'H'"):
        get_kpi(name).series(tiny, freq="H")


@pytest.fixture(scope="module")
def without_customers(facts_of, tiny_tables) -> Snapshot:
    return Snapshot(facts_of(**{table: rows for table, rows in tiny_tables.items() if table != "customers"}), pd.Timestamp("2023-08-10"))


@EVERY_WAY
def test_series__works_without_customers(without_customers, name, by):
    series = get_kpi(name).series(without_customers, by=by)
    assert len(series)
    if by in {"segment", "industry"}:
        assert series[c.MEMBER].unique().tolist() == ["unknown"]


@pytest.fixture(scope="module")
def restated(facts_of, tiny_tables, tiny) -> tuple[Snapshot, Snapshot]:
    """The tiny company, whose every row was changed on 1 September: seen as of the old day, and after the change."""
    customer = dict.fromkeys(("segment", "region", "industry", "channel"), "x")
    deal = {"created_at": "2023-01-01"} | dict.fromkeys(("region", "team", "source", "product"), "x")
    changed = {
        "customers": [row | customer for row in tiny_tables["customers"]],
        "orders": [row | {"order_id": f"{i:05d}", "amount": 7.0} for i, row in enumerate(tiny_tables["orders"])],
        "spend": [row | {"cost": 99.0} for row in tiny_tables["spend"]],
        "deals": [row | deal for row in tiny_tables["deals"]],
        "targets": [row | {"value": 999.0} for row in tiny_tables["targets"]],
        "deal_events": [
            row | {"event_id": f"{i:05d}", "stage": ("won", "lost")[i % 2], "owner": "x"}
            for i, row in enumerate(tiny_tables["deal_events"])
        ],
    }
    versions = {table: rows + [row | {"known_at": "2023-09-01"} for row in changed[table]] for table, rows in tiny_tables.items()}
    facts = facts_of(fiscal_year_starts=2, **versions)
    return Snapshot(facts, tiny.as_of), Snapshot(facts, pd.Timestamp("2023-09-02"))


@EVERY_WAY
def test_series__later_corrections_leave_an_earlier_snapshot_alone(of_tiny, restated, name, by):
    kpi = get_kpi(name)
    seen_then = of_tiny(name, by).to_csv()
    on_the_old_day, after_the_change = restated
    assert kpi.series(on_the_old_day, by=by).to_csv() == seen_then
    assert kpi.series(after_the_change, by=by).to_csv() != seen_then


@pytest.mark.parametrize("freq", FREQS)
@pytest.mark.parametrize("by", get_kpi("revenue").dimensions)
def test_revenue__members_sum_to_total(facts_of, by, freq):
    rng = np.random.default_rng(5)
    days = pd.Timestamp("2021-01-10") + pd.to_timedelta(rng.integers(0, 600 * 86_400, 500), unit="s")
    orders = [
        {
            "ds": day,
            "customer_id": str(rng.integers(40)),
            "amount": float(rng.normal(50, 60)),
            "product": rng.choice(["a", "b", ""]),
            "deal_id": str(rng.integers(20)),
        }
        for day in days
    ]
    deals = [{"deal_id": str(i), "team": rng.choice(["u", "v", ""]), "source": rng.choice(["u", "v", ""])} for i in range(15)]
    events = [{"deal_id": str(i), "ds": days[i], "stage": "won", "owner": rng.choice(["u", "v", ""])} for i in range(15)]
    customers = [
        {"customer_id": str(i), **{d: rng.choice(["u", "v", "w", ""]) for d in ("segment", "region", "industry", "channel")}}
        for i in range(30)
    ]
    facts = facts_of(fiscal_year_starts=7, orders=orders, customers=customers, deals=deals, deal_events=events)
    snapshot = Snapshot(facts, pd.Timestamp("2022-08-20"))
    total = get_kpi("revenue").series(snapshot, freq=freq)
    members = get_kpi("revenue").series(snapshot, freq=freq, by=by)
    assert members[c.MEMBER].nunique() > 2
    summed = members.groupby(c.DS)[[c.VALUE, c.N]].sum().reset_index()
    assert summed[c.DS].tolist() == total[c.DS].tolist()
    np.testing.assert_allclose(summed[c.VALUE], total[c.VALUE], atol=1e-9)
    assert summed[c.N].tolist() == total[c.N].tolist()


@pytest.mark.parametrize("name", [name for name in kpi_names() if get_kpi(name).unit not in ("currency", "count") or get_kpi(name).least_n])
def test_ratio__of_the_catalogue_says_where_it_rests_on_fewer_than_ten(snapshot, name):
    kpi = get_kpi(name)
    assert kpi.least_n == 10
    series = pd.concat([kpi.series(snapshot, by=by) for by in (None, *kpi.dimensions)])
    few = series[(series[c.N] < 10) & series[c.VALUE].notna()]
    assert len(few)
    assert (few[c.STATUS] == Status.LIMITED).all()


@pytest.mark.parametrize(("n", "status"), [(9, Status.LIMITED), (10, Status.FULL)])
@pytest.mark.parametrize("name", ["cac", "clv_realised", "sales_cycle_mean", "sales_cycle_median", "win_rate"])
def test_ratio__limited_below_ten(facts_of, name, n, status):
    facts = facts_of(
        orders=[{"ds": "2023-01-05", "customer_id": str(i), "amount": 1.0} for i in range(n)],
        spend=[{"ds": "2023-01-05", "channel": "fair", "cost": 1.0}],
        deals=[{"deal_id": str(i), "created_at": "2023-01-01"} for i in range(n)],
        deal_events=[{"deal_id": str(i), "ds": "2023-01-05", "stage": "won"} for i in range(n)],
    )
    series = get_kpi(name).series(Snapshot(facts, pd.Timestamp("2023-02-01")))
    assert series[[c.N, c.STATUS]].to_numpy().tolist() == [[n, status]]


def test_growth__limited_by_the_thinner_period(facts_of):
    orders = [{"ds": "2023-01-05", "customer_id": "A", "amount": 1.0}] * 9 + [{"ds": "2023-02-05", "customer_id": "A", "amount": 1.0}] * 12
    series = get_kpi("revenue_growth_mom").series(Snapshot(facts_of(orders=orders), pd.Timestamp("2023-03-01")))
    assert series.iloc[-1][[c.VALUE, c.N, c.STATUS]].tolist() == [pytest.approx(1 / 3), 9, Status.LIMITED]


def test_revenue__a_gap_inside_the_orders_is_a_true_zero_and_what_comes_after_them_is_missing(facts_of):
    """Orders of January and March; a deal of June shows that the books went on, but not that nothing was sold."""
    facts = facts_of(
        orders=[{"ds": day, "customer_id": "A", "amount": 50.0} for day in ("2022-01-05", "2023-01-05", "2023-03-05")],
        deals=[{"deal_id": "1", "created_at": "2023-06-05"}],
        deal_events=[{"deal_id": "1", "ds": "2023-06-05", "stage": "New"}],
    )
    snapshot = Snapshot(facts, pd.Timestamp("2023-07-01"))
    series = get_kpi("revenue").series(snapshot).tail(6)
    assert series[c.VALUE].fillna(-1).tolist() == [50, 0, 50, -1, -1, -1]
    assert series[c.STATUS].tolist()[3:] == [Status.INSUFFICIENT_DATA] * 3
    assert get_kpi("revenue_existing_customers").series(snapshot)[c.VALUE].tail(6).fillna(-1).tolist() == [50, 0, 50, -1, -1, -1]
    for name in ("revenue_growth_mom", "revenue_growth_yoy", "revenue_cagr"):
        assert get_kpi(name).series(snapshot)[c.VALUE].tail(3).isna().all()
    by_day = get_kpi("revenue").series(snapshot, freq="D").set_index(c.DS)[c.VALUE]
    assert by_day["2023-03-31"] == 0, "in the month of the last order"
    assert by_day["2023-04-01":].isna().all()
