"""The example mappings on their real files, loaded twice: all rows accounted for, and the second load changes nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = pd.Timestamp("2024-01-01")
pytestmark = [pytest.mark.real, pytest.mark.long]


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    yield store
    store.close()


def load_twice(store: Store, mapping: str, source: Path) -> list[tuple[str, int, int, int, int]]:
    """``(table, rows, not_selected, accepted, unchanged)`` of the first load's feeds."""
    report, again = (ingest(store, mapping=EXAMPLES / mapping, source=source, now=NOW) for _ in range(2))
    assert report.warnings == []
    assert report.rejects.empty
    assert again.rejects.empty
    for feed in again.feeds:
        assert (feed.accepted, feed.unchanged) == (0, feed.records)
    return [(feed.table, feed.rows, feed.not_selected, feed.accepted, feed.unchanged) for feed in report.feeds]


def test_maven_crm(store, real_data):
    assert load_twice(store, "maven-crm.yaml", real_data("deals", "maven-crm")) == [
        ("customers", 85, 0, 85, 0),
        ("deals", 8800, 500, 8300, 0),
        ("deals", 8800, 2089, 6711, 0),
        ("deals", 8800, 6711, 1001, 1088),
        ("deal_events", 8800, 500, 8300, 0),
        ("deal_events", 8800, 4562, 4238, 0),
        ("deal_events", 8800, 6327, 2473, 0),
        ("deal_events", 8800, 8300, 500, 0),
        ("orders", 8800, 4562, 4238, 0),
    ]
    assert store.default_as_of() == pd.Timestamp("2018-01-01")
    snapshot = store.snapshot()
    assert len(snapshot.deals) == 8800
    newest = snapshot.deal_events.sort_values(["deal_id", "ds"]).drop_duplicates("deal_id", keep="last")
    assert newest["stage"].value_counts().to_dict() == {"won": 4238, "lost": 2473, "Engaging": 1589, "Prospecting": 500}
    assert snapshot.deal_events["amount"].notna().all()
    assert set(snapshot.orders["customer_id"]) <= set(snapshot.customers["customer_id"])
    assert not {"GTXPro", "technolgy"} & {*snapshot.deals["product"], *snapshot.customers["industry"]}


def test_maven_crm__the_account_does_not_tell_which_deals_will_close(store, real_data):
    load_twice(store, "maven-crm.yaml", real_data("deals", "maven-crm"))
    midway = store.snapshot(pd.Timestamp("2017-08-01"))
    closed = set(midway.deal_events.loc[midway.deal_events["stage"].isin(["won", "lost"]), "deal_id"])
    is_open = ~midway.deals["deal_id"].isin(closed)
    assert is_open.sum() > 1000
    assert midway.deals.loc[is_open, "customer_id"].isna().all()
    assert midway.deals.loc[~is_open, "customer_id"].notna().all()


def test_afisha(store, real_data):
    assert load_twice(store, "afisha.yaml", real_data("spend", "afisha")) == [("spend", 2542, 0, 2542, 0), ("orders", 50415, 0, 50415, 0)]
    snapshot = store.snapshot()
    assert snapshot.spend["cost"].sum() == pytest.approx(329_131.62)
    assert snapshot.orders["amount"].sum() == pytest.approx(252_057, abs=1)
    assert snapshot.orders["customer_id"].nunique() == 36_523
    assert sorted(snapshot.spend["channel"].unique()) == ["1", "10", "2", "3", "4", "5", "9"]
