"""Activities: from a file to a snapshot, and those of the sample company."""

from __future__ import annotations

import pandas as pd

from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

MAPPING = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: activities, file: calls.csv, columns: {deal_id: deal, customer_id: customer, ds: day, kind: kind}}
"""


def test_activities__get_an_id_of_deal_or_customer_and_need_one_of_both(tmp_path):
    rows = ["d1,c1,2024-01-02,call", "d1,c1,2024-01-02,email", ",c1,2024-01-02,call", ",,2024-01-02,call", "d1,,2024-01-03,"]
    (tmp_path / "calls.csv").write_text("\n".join(["deal,customer,day,kind", *rows]) + "\n")
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    report = ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=pd.Timestamp("2024-02-01"))
    assert [(r.row, r.field, r.reason) for r in report.rejects.itertuples()] == [
        (5, "deal_id", "belongs to neither a deal nor a customer"),
        (6, "kind", "required, but empty"),
    ]
    ids = store.snapshot().activities["activity_id"].tolist()
    assert ids == ["c1@2024-01-02T00:00:00#1", "d1@2024-01-02T00:00:00#1", "d1@2024-01-02T00:00:00#2"]
    again = ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=pd.Timestamp("2024-02-02"))
    assert (again.feeds[0].accepted, again.feeds[0].unchanged) == (0, 3)
    store.close()


def test_sample_activities__belong_to_open_deals_and_thin_out(company, snapshot):
    """Deals that will never close are dormant: their activities are the sparser for it."""
    activities, events = snapshot.activities, snapshot.deal_events.sort_values("ds", kind="stable")
    opened = events.drop_duplicates("deal_id").set_index("deal_id")["ds"]
    closed = events[events["stage"].isin(["won", "lost"])].set_index("deal_id")["ds"]
    assert (activities["ds"] > activities["deal_id"].map(opened)).all()
    until = activities["deal_id"].map(closed)
    assert (until.isna() | (activities["ds"] < until)).all()
    end = opened.index.to_series().map(closed).fillna(company.end)
    days = (end - opened).dt.days
    rate = activities["deal_id"].value_counts().reindex(days.index, fill_value=0)
    stale = days[(days > 300) & ~days.index.isin(closed.index)].index
    usual = days.index[days.index.isin(closed.index)]
    assert len(stale) > 10
    assert rate[stale].sum() / days[stale].sum() < rate[usual].sum() / days[usual].sum() / 2
