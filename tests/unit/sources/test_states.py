"""Deals as they stand now: events from what changed, and a history checked against live values."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

T = pd.Timestamp
DAY = pd.Timedelta(days=1)
NOW = T("2024-06-01 12:00")
CURRENT = """
company: {currency: EUR}
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: deals, file: deals.csv, columns: {deal_id: id, created_at: created}, ignore: "*"}
  - table: deal_events
    file: deals.csv
    columns: {deal_id: id, stage: stage, amount: amount, expected_close_on: close, owner: owner}
    states: current
"""
MODIFIED = CURRENT.replace("owner: owner}", "owner: owner, ds: modified}")
LIVE = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - {table: deals, file: deals.csv, columns: {deal_id: id, created_at: created}, ignore: "*"}
  - {table: deal_events, file: events.csv, columns: {deal_id: id, ds: day, stage: stage, amount: amount}}
  - {table: deal_events, file: deals.csv, columns: {deal_id: id, stage: stage, amount: amount}, states: live}
"""


class Desk:
    def __init__(self, folder):
        self.folder, self.store = folder, Store(f"sqlite:///{folder}/facts.db")
        self.store.migrate()

    def deals(self, *lines):
        (self.folder / "deals.csv").write_text("\n".join(["id,created,stage,amount,close,owner,modified", *lines]) + "\n")

    def load(self, *deals, mapping=CURRENT, now=NOW):
        if deals:
            self.deals(*deals)
        (self.folder / "mapping.yaml").write_text(mapping)
        return ingest(self.store, mapping=self.folder / "mapping.yaml", source=self.folder, now=now)

    def events(self, as_of=None):
        events = self.store.snapshot(as_of).deal_events.sort_values(["deal_id", "ds"])
        return [tuple(row) for row in events[["deal_id", "ds", "stage", "amount", "owner"]].to_numpy().tolist()]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def accepted(report):
    return [feed.accepted for feed in report.feeds]


def test_current__makes_an_event_only_where_something_differs(desk):
    first = ["1,2024-05-01,new,100,2024-07-01,ann,2024-05-02", "2,2024-05-03,new,,,ben,2024-05-03"]
    assert accepted(desk.load(*first)) == [2, 2]
    assert accepted(desk.load(*first, now=NOW + DAY)) == [0, 0]
    second = ["1,2024-05-01,offer,100,2024-07-01,ann,2024-05-20", "2,2024-05-03,new,,,ben,2024-05-03"]
    report = desk.load(*second, now=NOW + 2 * DAY)
    assert [(feed.accepted, feed.unchanged) for feed in report.feeds] == [(0, 2), (1, 1)]
    assert accepted(desk.load(*second, now=NOW + 3 * DAY)) == [0, 0]
    events = desk.events()
    assert [event[:3] for event in events] == [("1", NOW, "new"), ("1", NOW + 2 * DAY, "offer"), ("2", NOW, "new")]
    assert events[1][3:] == (100.0, "ann")


@pytest.mark.parametrize(
    "change", ["101,2024-07-01,ann", ",2024-07-01,ann", "100,2024-08-01,ann", "100,,ann", "100,2024-07-01,", "100,2024-07-01,ben"]
)
def test_current__sees_a_change_of_each_field(desk, change):
    desk.load("1,2024-05-01,new,100,2024-07-01,ann,")
    assert accepted(desk.load(f"1,2024-05-01,new,{change},", now=NOW + DAY)) == [0, 1]
    assert len(desk.events()) == 2
    assert len(desk.events(NOW + DAY)) == 1


def test_current__an_event_happened_when_the_deal_was_modified(desk):
    desk.load("1,2024-05-01,new,100,,ann,2024-05-02", mapping=MODIFIED)
    assert accepted(desk.load("1,2024-05-01,new,100,,ann,2024-05-28", mapping=MODIFIED, now=NOW + DAY)) == [0, 0]
    desk.load("1,2024-05-01,won,100,,ann,2024-05-30", mapping=MODIFIED, now=NOW + DAY)
    assert [event[1:3] for event in desk.events()] == [(T("2024-05-02"), "new"), (T("2024-05-30"), "won")]
    known = desk.store.snapshot().deal_events.set_index("stage")["known_at"]
    assert known.to_dict() == {"new": T("2024-05-02"), "won": NOW + DAY}


def test_current__what_is_not_mapped_stays(desk):
    desk.load("1,2024-05-01,new,100,,ann,")
    desk.load(
        "1,2024-05-01,offer,5,,x,", mapping=CURRENT.replace(", amount: amount, expected_close_on: close, owner: owner", ""), now=NOW + DAY
    )
    assert desk.events()[-1][2:] == ("offer", 100.0, "ann")


def test_current__a_rate_that_moved_is_no_event(desk):
    (desk.folder / "rates.csv").write_text("day,currency,rate\n2024-01-01,USD,0.9\n2024-06-02,USD,0.8\n")
    rates = "  - {table: fx_rates, file: rates.csv, columns: {ds: day, currency: currency, rate: rate}}\n"
    mapping = CURRENT.replace("    states: current", "    constants: {currency: USD}\n    states: current") + rates
    desk.load("1,2024-05-01,new,100,,ann,", mapping=mapping, now=T("2024-06-03") - DAY)
    assert accepted(desk.load("1,2024-05-01,new,100,,ann,", mapping=mapping, now=NOW + 9 * DAY))[1] == 0
    (desk.folder / "rates.csv").write_text("day,currency,rate\n2024-01-01,USD,0.9\n2024-06-02,USD,0.8\n2024-06-09,USD,0.5\n")
    assert accepted(desk.load(mapping=mapping, now=NOW + 10 * DAY)) == [0, 0, 1]
    desk.load("1,2024-05-01,new,200,,ann,", mapping=mapping, now=NOW + 11 * DAY)
    assert [event[3] for event in desk.events()] == [80.0, 100.0]


def test_current__a_deal_stands_in_one_way(desk):
    report = desk.load("1,2024-05-01,new,100,,ann,", "1,2024-05-01,won,100,,ann,")
    assert report.rejects["reason"].tolist()[-1] == "another row of this file states how the deal stands"
    assert [event[2] for event in desk.events()] == ["new"]


def test_current__is_for_deal_events(desk):
    with pytest.raises(MappingError, match="states: current is for deal_events"):
        desk.load("1,2024-05-01,new,1,,,", mapping=CURRENT.replace('ignore: "*"}', 'ignore: "*", states: current}'))


def test_live__lists_every_deal_that_does_not_stand_as_its_last_event_says(desk):
    (desk.folder / "events.csv").write_text(
        "id,day,stage,amount\n1,2024-05-02,new,100\n1,2024-05-09,won,120\n2,2024-05-02,new,50\n3,2024-05-02,new,\n"
    )
    report = desk.load("1,2024-05-01,won,120,,,", "2,2024-05-01,lost,70,,,", "3,2024-05-01,new,,,,", "4,2024-05-01,new,9,,,", mapping=LIVE)
    assert report.mismatches.to_dict("records") == [
        {"deal_id": "2", "field": "stage", "event_value": "new", "live_value": "lost", "amount": 70.0},
        {"deal_id": "2", "field": "amount", "event_value": "50.0", "live_value": "70.0", "amount": 70.0},
        {"deal_id": "4", "field": "stage", "event_value": "", "live_value": "new", "amount": 9.0},
        {"deal_id": "4", "field": "amount", "event_value": "", "live_value": "9.0", "amount": 9.0},
    ]
    told = "deals.csv: 2 of 4 deals do not stand as their last event says (stage 2, amount 2), worth 79.00 EUR"
    assert report.warnings.count(told) == 1
    assert [(feed.accepted, feed.unchanged, feed.rejected) for feed in report.feeds] == [(4, 0, 0), (4, 0, 0), (0, 2, 2)]
    assert report.rejects[["file", "row", "field", "value", "reason"]].iloc[0].tolist() == [
        "deals.csv", 3, "stage", "lost", "the last event of deal 2 says 'new'",
    ]  # fmt: skip
    assert len(desk.store.snapshot().history("deal_events")) == 4


def test_live__agrees_after_the_missing_event_came(desk):
    (desk.folder / "events.csv").write_text("id,day,stage,amount\n1,2024-05-02,new,100\n")
    assert len(desk.load("1,2024-05-01,won,100,,,", mapping=LIVE).mismatches) == 1
    (desk.folder / "events.csv").write_text("id,day,stage,amount\n1,2024-05-02,new,100\n1,2024-05-03,won,100\n")
    assert desk.load(mapping=LIVE, now=NOW + DAY).mismatches.empty
