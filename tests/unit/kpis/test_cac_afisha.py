"""CAC of a real ticket shop, June 2017 to May 2018, against the figures of the data set's profile: 7.4 to 10.8 a month."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.kpis import get_kpi
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def afisha(real_data) -> Snapshot:
    folder = real_data("spend", "afisha")
    orders = pd.read_csv(folder / "orders_log_us.csv.gz", dtype={"Uid": "str"}, parse_dates=["Buy Ts"])
    orders = orders.set_axis(["ds", "amount", "customer_id"], axis=1).assign(order_id=[f"{i:06d}" for i in range(len(orders))])
    spend = pd.read_csv(folder / "costs_us.csv", dtype={"source_id": "str"}, parse_dates=["dt"]).set_axis(["channel", "ds", "cost"], axis=1)
    frames = {
        name: frame.reindex(columns=table_schema(name).column_names).assign(known_at=frame["ds"])
        for name, frame in (("orders", orders), ("spend", spend))
    }
    return Snapshot(MemoryFacts(frames, Company(fiscal_year_starts=6)), pd.Timestamp("2018-06-01"))


def test_cac__months_as_in_the_profile(afisha):
    cac = get_kpi("cac").series(afisha)
    assert cac["ds"].tolist() == list(pd.date_range("2017-06-01", "2018-05-01", freq="MS"))
    assert (round(cac["value"].min(), 1), round(cac["value"].max(), 1)) == (7.4, 10.8)
    assert (cac["status"] == "full").all()


def test_cac__whole_year(afisha):
    """The profile's 9.01: the whole year's cost over all 36,522 first-time buyers up to May."""
    cac = get_kpi("cac").series(afisha, freq="Y")
    assert cac["n"].tolist() == [36_522]
    assert round(cac["value"].item(), 2) == 9.01
    assert cac["status"].tolist() == ["full"]
