from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.errors import UnknownEntityError
from predictkpi.predictors.revenue.model import RevenueForecaster
from predictkpi.predictors.revenue.scopes import dimensions_of, scope_of
from predictkpi.predictors.revenue.table import monthly_series, series_inputs, training_series
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema


def at(facts, instant):
    return Snapshot(facts, pd.Timestamp(instant))


def values(frame, unique_id):
    return frame.loc[frame["unique_id"] == unique_id, "y"].dropna().tolist()


def test_monthly_series__has_total_and_every_member_and_unknown(make_facts):
    frame = monthly_series(at(make_facts([100, 200]), "2020-03-01"))
    assert set(frame["unique_id"]) == {
        "total",
        "segment=SMB",
        "segment=unknown",
        "region=EMEA",
        "region=APAC",
    }, "a dimension with one member is the total once more"
    assert values(frame, "total") == [100, 200]
    assert values(frame, "segment=unknown") == pytest.approx([40, 80])


def test_monthly_series__of_a_company_without_attributes_is_the_total_alone(make_facts):
    facts = make_facts([100])
    orders = facts.read("orders", known_before=pd.Timestamp("2021-01-01"))
    frame = monthly_series(at(MemoryFacts({"orders": orders}), "2020-02-01"))
    assert set(frame["unique_id"]) == {"total"}


def test_monthly_series__members_of_a_dimension_sum_to_the_total(snapshot):
    frame = monthly_series(snapshot, crossed=[("segment", "region"), ("product", "team")])
    sums = frame.groupby([frame["unique_id"].map(dimensions_of), "ds"])["y"].sum().unstack(level=0)
    assert set(sums) == {"", "segment", "region", "channel", "product", "team", "region,segment", "product,team"}
    for name in sums:
        pd.testing.assert_series_equal(sums[name], sums[""], check_names=False)


def test_monthly_series__crossed_members_sum_to_both(snapshot):
    wide = monthly_series(snapshot, crossed=[("segment", "region")]).pivot(index="ds", columns="unique_id", values="y").fillna(0.0)
    for name, value in (("region", "EMEA"), ("segment", "SMB")):
        cells = [one for one in wide if "&" in one and scope_of(one)[name] == value]
        assert len(cells) > 1
        pd.testing.assert_series_equal(wide[cells].sum(axis=1), wide[f"{name}={value}"], check_names=False)


def test_monthly_series__team_is_that_of_the_deal(make_facts):
    facts = make_facts([100, 200])
    orders = facts.read("orders", known_before=pd.Timestamp("2021-01-01")).copy()
    orders["deal_id"] = ["d1", "d2", "d3", None]
    rows = pd.DataFrame({"deal_id": ["d1", "d2"], "team": ["north", None], "known_at": pd.Timestamp("2019-01-01")})
    deals = table_schema("deals").typed(rows)
    frame = monthly_series(at(MemoryFacts({"orders": orders, "deals": deals.frame()}), "2020-03-01"))
    assert set(frame["unique_id"]) == {"total", "team=north", "team=unknown"}
    assert values(frame, "team=north") == [60, 0]
    assert values(frame, "team=unknown") == [40, 200]


def test_monthly_series__a_pair_with_a_dimension_of_one_member_is_left_out(make_facts):
    frame = monthly_series(at(make_facts([100, 200]), "2020-03-01"), crossed=[("region", "channel"), ("region", "segment")])
    assert {dimensions_of(name) for name in frame["unique_id"]} == {"", "segment", "region", "region,segment"}


def test_monthly_series__leaves_the_running_month_out(make_facts):
    facts = make_facts([100, 200, 300])
    assert values(monthly_series(at(facts, "2020-03-20")), "total") == [100, 200]
    assert values(monthly_series(at(facts, "2020-04-01")), "total") == [100, 200, 300]


def test_monthly_series__months_without_orders_are_zero_up_to_the_cutoff(make_facts):
    assert values(monthly_series(at(make_facts([100, None, 300]), "2020-06-01")), "total") == [100, 0, 300, 0, 0]


def test_monthly_series__drops_a_first_month_that_began_late(make_facts):
    facts = make_facts([100, 200])
    orders = facts.read("orders", known_before=pd.Timestamp("2021-01-01")).copy()
    january = orders["ds"] < pd.Timestamp("2020-02-01")
    orders.loc[january, "ds"] += pd.Timedelta(days=20)
    orders.loc[january, "known_at"] += pd.Timedelta(days=20)
    frame = monthly_series(at(MemoryFacts({"orders": orders}), "2020-03-01"))
    assert values(frame, "total") == [200]


def test_monthly_series__a_series_of_the_running_month_alone_has_only_what_is_booked_in_it(make_facts):
    frame = monthly_series(at(make_facts([100]), "2020-01-15"))
    assert frame["unique_id"].is_unique
    assert frame["y"].isna().all()
    assert frame.loc[frame["unique_id"] == "total", ["ds", "to_date"]].values.tolist() == [[pd.Timestamp("2020-01-01"), 100.0]]


def test_series_inputs__flags_the_named_among_all_series_and_refuses_unknown_ones(make_facts):
    snapshot = at(make_facts([100, 200], company=Company(fiscal_year_starts=4)), "2020-03-01")
    frame = series_inputs(snapshot, ["region=EMEA"])
    assert list(frame.columns) == ["entity_id", "as_of", "ds", "y", "to_date", "is_missing", "day_factor", "fiscal_year_starts", "is_asked"]
    assert set(frame.loc[frame["is_asked"], "entity_id"]) == {"region=EMEA"}
    pd.testing.assert_frame_equal(frame.drop(columns="is_asked"), series_inputs(snapshot).drop(columns="is_asked"))
    assert set(frame["fiscal_year_starts"]) == {4}
    with pytest.raises(UnknownEntityError, match="region=Mars"):
        series_inputs(snapshot, ["total", "region=Mars"])


def test_series_inputs__hold_the_days_of_the_months_ahead(make_facts):
    frame = series_inputs(at(make_facts([100, 200]), "2020-03-15"), ["total"])
    total = frame[frame["entity_id"] == "total"].set_index("ds")
    assert total["y"].tolist()[:2] == [100, 200]
    assert total["y"].isna().sum() == 12
    assert total.index[-1] == pd.Timestamp("2021-02-01")
    assert total.loc["2020-02-01", "day_factor"] == pytest.approx(29 / 28.25, rel=1e-3), "a leap day more than usual"
    assert total.loc["2021-02-01", "day_factor"] == pytest.approx(28 / 28.25, rel=1e-3)


def test_training_series__shows_each_origin_what_was_known_then(make_facts):
    facts = make_facts([100, 200, 300])
    orders = facts.read("orders", known_before=pd.Timestamp("2021-01-01"))
    late = orders.iloc[[0]].assign(amount=1060.0, known_at=pd.Timestamp("2020-03-10"))
    corrected = MemoryFacts({"orders": pd.concat([orders, late])})
    table = training_series(at(corrected, "2020-04-01"), origins=3)
    january = table[(table["entity_id"] == "total") & (table["ds"] == pd.Timestamp("2020-01-01"))].set_index("as_of")["y"]
    assert january.to_dict() == {
        pd.Timestamp("2020-02-01"): 100,
        pd.Timestamp("2020-03-01"): 100,
        pd.Timestamp("2020-04-01"): 1100,
    }


def test_training_series__of_the_middle_of_a_month_ends_there(make_facts):
    table = training_series(at(make_facts([100, 200, 300]), "2020-03-15"), origins=1)
    assert sorted(table["as_of"].unique()) == [pd.Timestamp(day) for day in ("2020-02-01", "2020-03-01", "2020-03-15")]


@pytest.mark.parametrize("as_of", ["2020-01-01", "2020-01-20"])
def test_series_inputs__before_the_first_order_are_empty(make_facts, as_of):
    facts = make_facts([None, None, 100])
    assert len(series_inputs(at(facts, as_of))) == 0
    parts = RevenueForecaster().parts
    assert len(parts.inputs(at(facts, as_of), parts.shared(parts.contributed(at(facts, as_of)), at(facts, as_of)))) == 0
