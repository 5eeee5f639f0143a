"""Opportunities' histories: each deal's whole state after each change, worked out by hand, and through the fake org into a real store."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from fakes.desks import NOW, SalesforceDesk
from fakes.salesforce import NO_FIELD_HISTORY, SalesforceOrg
from fakes.serving import serving
from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.salesforce_history import CHANGES_FIELDS, stages_fields, states

FIELDS = ["Amount", "OwnerId", "StageName"]


def text(rows, columns):
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype="str") for name in columns})


def made(deals, stages=(), changes=(), fields=FIELDS):
    """Rows of `states` as ``(deal, day and time, *fields)``; every row's ids and instants are checked."""
    deals = text(deals, ["Id", "CreatedDate", *fields])
    found = states(deals, text(stages, stages_fields(fields)), text(changes, CHANGES_FIELDS), fields)
    assert (found["event_id"] == found["deal_id"] + "@" + found["changed_at"]).all()
    assert found["event_id"].is_unique
    rows = found[["deal_id", "changed_at", *fields]].astype("object").where(found.notna(), None)
    return [(deal, at.removesuffix(":00.000+00:00"), *values) for deal, at, *values in rows.itertuples(index=False)]


def at(instant):
    return pd.Timestamp(instant).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def stage(number, instant, **fields):
    return {"OpportunityId": "d", "CreatedDate": at(instant), "Id": f"008{number}"} | fields


def change(number, instant, field, old, new, kind="Text"):
    row = {"OpportunityId": "d", "CreatedDate": at(instant), "Id": f"017{number}", "DataType": kind}
    return row | {"Field": field, "OldValue": old, "NewValue": new}


DEAL = {"Id": "d", "CreatedDate": at("2024-01-01 09:00"), "StageName": "Won", "Amount": "9", "OwnerId": "ben"}


def test_states__both_histories_are_one_and_each_row_states_everything():
    """Created at 5 in stage New by ann; on the 2nd given to ben; on the 3rd moved to Won at 9, which both histories tell."""
    stages = [stage(1, "2024-01-01 09:00", StageName="New", Amount="5"), stage(2, "2024-01-03 09:00", StageName="Won", Amount="9")]
    changes = [
        change(1, "2024-01-02 09:00", "Owner", "ann", "ben", "EntityId"),
        change(2, "2024-01-02 09:00", "Owner", "Ann A.", "Ben B."),
        change(3, "2024-01-03 09:00", "StageName", "New", "Won", "DynamicEnum"),
        change(4, "2024-01-03 09:00", "Amount", "5", "9", "Currency"),
        change(5, "2024-01-01 09:00", "created", None, None),
    ]
    assert made([DEAL], stages, changes) == [
        ("d", "2024-01-01T09:00", "5", "ann", "New"),
        ("d", "2024-01-02T09:00", "5", "ben", "New"),
        ("d", "2024-01-03T09:00", "9", "ben", "Won"),
    ]


def test_states__either_history_does_alone():
    stages = [stage(1, "2024-01-01 09:00", StageName="New", Amount="5"), stage(2, "2024-01-03 09:00", StageName="Won", Amount="9")]
    changes = [change(1, "2024-01-03 09:00", "StageName", "New", "Won"), change(2, "2024-01-03 09:00", "Amount", "5", "9")]
    expected = [("d", "2024-01-01T09:00", "5", "ben", "New"), ("d", "2024-01-03T09:00", "9", "ben", "Won")]
    assert made([DEAL], stages=stages) == expected
    assert made([DEAL], changes=changes) == expected


def test_states__a_field_of_which_nothing_is_told_has_always_been_as_it_is():
    assert made([DEAL]) == [("d", "2024-01-01T09:00", "9", "ben", "Won")]


def test_states__an_emptied_field_stays_empty_until_it_is_filled():
    changes = [change(1, "2024-01-02 09:00", "Amount", "5", None), change(2, "2024-01-03 09:00", "StageName", "New", "Won")]
    assert [row[2] for row in made([DEAL | {"Amount": None}], changes=changes)] == ["5", None, None]


def test_states__changes_within_a_second_follow_their_chain_not_their_ids():
    """New to Offer to Won in one second, told in the wrong order."""
    changes = [change(1, "2024-01-02 09:00", "StageName", "Offer", "Won"), change(2, "2024-01-02 09:00", "StageName", "New", "Offer")]
    assert [row[4] for row in made([DEAL], changes=changes)] == ["New", "Won"]


def test_states__related_records_by_id_or_by_name():
    changes = [
        change(1, "2024-01-02 09:00", "Owner", "ann", "ben", "EntityId"),
        change(2, "2024-01-02 09:00", "Owner", "Ann A.", "Ben B."),
        change(3, "2024-01-03 09:00", "Partner__c", "p1", "p2", "EntityId"),
        change(4, "2024-01-03 09:00", "Partner__c", "Firm 1", "Firm 2"),
    ]
    fields = ["Owner.Name", "OwnerId", "Partner__c", "Partner__r.Name"]
    deal = {"Id": "d", "CreatedDate": at("2024-01-01"), "Owner.Name": "Ben B.", "OwnerId": "ben"}
    deal |= {"Partner__c": "p2", "Partner__r.Name": "Firm 2"}
    assert [row[2:] for row in made([deal], changes=changes, fields=fields)] == [
        ("Ann A.", "ann", "p1", "Firm 1"),
        ("Ben B.", "ben", "p1", "Firm 1"),
        ("Ben B.", "ben", "p2", "Firm 2"),
    ]


def test_states__deals_are_apart_and_no_deals_are_no_rows():
    other = DEAL | {"Id": "e", "OwnerId": "cat"}
    changes = [change(1, "2024-01-02 09:00", "Owner", "ann", "ben", "EntityId")]
    assert [row[0] + row[3] for row in made([other, DEAL], changes=changes)] == ["dann", "dben", "ecat"]
    assert made([]) == []


@pytest.fixture
def org():
    org = SalesforceOrg(page=2)
    org.put("Account", "0011", "2023-01-01", Name="Firm", Industry=None, BillingCountry="DE")
    for deal, amount in (("0061", 100.0), ("0062", 200.0), ("0063", 300.0)):
        about = {"Name": deal, "AccountId": "0011", "LeadSource": "Web", "Type": None}
        state = {"StageName": "New", "Amount": amount, "CloseDate": "2023-04-01", "OwnerId": "0051"}
        org.put("Opportunity", deal, "2023-02-01 09:00", **about, **state)
    org.put("Opportunity", "0061", "2023-02-10 09:00", OwnerId="0052")
    org.put("Opportunity", "0061", "2023-02-20 09:00", CloseDate="2023-05-01")
    org.put("Opportunity", "0061", "2023-03-01 09:00", StageName="Closed Won", Amount=None)
    org.put("Opportunity", "0062", "2023-03-02 09:00", Amount=250.0)
    org.put("Order", "8011", "2023-03-09 10:00", EffectiveDate="2023-03-01", AccountId="0011", TotalAmount=50.25)
    return org


@pytest.fixture
def desk(tmp_path, org):
    with serving(org) as url:
        desk = SalesforceDesk(tmp_path / "desk", url)
        yield desk
        desk.store.close()


@pytest.mark.parametrize("bulk_above", [1000, 2], ids=["rest", "bulk"])
def test_history__of_every_tracked_field_comes_with_the_deal(tmp_path, org, bulk_above):
    with serving(org) as url:
        desk = SalesforceDesk(tmp_path / "desk", url, bulk_above=bulk_above, bulk_rows=2, poll_seconds=0)
        report = desk.sync()
        events = desk.facts()["deal_events"].sort_values("ds")
        desk.store.close()
    assert len(org.jobs) == (3 if bulk_above == 2 else 0)
    assert report.rejects.empty
    assert report.mismatches.empty
    assert report.warnings == ["deal_events: no deal has ever the stage 'lost'; stages found: 'New', 'won'; map them under values"]
    own = events[events["deal_id"] == "0061"]
    assert own["owner"].tolist() == ["0051", "0052", "0052", "0052"]
    assert own["expected_close_on"].dt.strftime("%m-%d").tolist() == ["04-01", "04-01", "05-01", "05-01"]
    assert own["stage"].tolist() == ["New", "New", "New", "won"]
    assert own["amount"].fillna(0).tolist() == [100, 100, 100, 0]
    assert own["known_at"].tolist() == own["ds"].tolist()


def test_history__a_change_of_owner_alone_is_an_event_known_from_its_sync(desk, org):
    desk.sync()
    past = desk.facts()
    org.put("Opportunity", "0063", "2024-06-02 08:00", OwnerId="0052")
    later = NOW + pd.Timedelta(days=2)
    report = desk.sync(now=later)
    assert [feed.accepted for feed in report.feeds if feed.file == "deal_history"] == [1]
    newest = desk.facts()["deal_events"].sort_values("ds").iloc[-1]
    assert (newest["deal_id"], newest["owner"], newest["known_at"]) == ("0063", "0052", later.tz_localize(None))
    pd.testing.assert_frame_equal(desk.facts(later.tz_localize(None))["deal_events"], past["deal_events"])


def test_history__what_happened_after_the_sync_began_comes_with_the_next_one(desk, org):
    """The change is made between the question for the deals and that for their history: neither shows it, so nothing contradicts."""
    answered = org.answer

    def meddling(request):
        if "OpportunityHistory" in request.query.get("q", "") and not org.seen("meddled"):
            org.answer = answered
            org.put("Opportunity", "0063", "2024-06-01 12:00:01", StageName="Closed Lost")
        return answered(request)

    org.answer = meddling
    report = desk.sync()
    assert report.mismatches.empty
    assert desk.facts()["deal_events"]["stage"].tolist().count("lost") == 0
    assert desk.sync(now=NOW + pd.Timedelta(minutes=1)).mismatches.empty
    assert desk.facts()["deal_events"]["stage"].tolist().count("lost") == 1


def test_history__a_deal_that_does_not_stand_as_its_last_event_is_listed_with_its_amount(desk, org):
    org.records["Opportunity"]["0062"] |= {"StageName": "Offer", "Amount": 275.0}
    org.records["Opportunity"]["0063"] |= {"CloseDate": "2023-09-09"}
    report = desk.sync()
    assert report.mismatches.sort_values("deal_id", kind="stable").astype("str").to_numpy().tolist() == [
        ["0062", "stage", "New", "Offer", "275.0"],
        ["0062", "amount", "250.0", "275.0", "275.0"],
        ["0063", "expected_close_on", "2023-04-01", "2023-09-09", "300.0"],
    ]
    summary = next(text for text in report.warnings if "do not stand as their last event says" in text)
    assert summary.startswith("Opportunity: 2 of 3 deals ")
    assert summary.endswith(", worth 575.00 USD")
    listed = desk.store.rejects()
    assert listed[["file", "field", "value"]].sort_values("value", ascending=False).to_numpy().tolist() == [
        ["Opportunity", "stage", "Offer"],
        ["Opportunity", "expected_close_on", "2023-09-09"],
    ]


def test_history__without_tracking_there_is_a_way_out(desk, org):
    answered = org.answer
    org.answer = lambda request: NO_FIELD_HISTORY if "OpportunityFieldHistory" in request.query.get("q", "") else answered(request)
    with pytest.raises(SourceError, match=r"source\.field_history: false"):
        desk.sync()
    mapping = yaml.safe_load(desk.path.read_text())
    mapping["source"]["field_history"] = False
    desk.path.write_text(yaml.safe_dump(mapping))
    desk.sync()
    own = desk.facts()["deal_events"].sort_values("ds")
    own = own[own["deal_id"] == "0061"]
    assert own["owner"].tolist() == ["0052", "0052", "0052"], "as it is now, for nothing else is told"
    assert own["stage"].tolist() == ["New", "New", "won"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("file: deal_history", "file: OpportunityFieldHistory", "is no state of a deal; map deal_history"),
        ("file: deal_history", "file: OpportunityHistory", "deal_history, which comes with its deal, can be compared: map that"),
        ("file: deal_history", "file: deal_history\n  known_at: known_at", "deal_history needs no known_at"),
    ],
)
def test_history__mappings_that_cannot_be_are_refused(desk, old, new, message):
    text = desk.path.read_text()
    assert old in text
    desk.path.write_text(text.replace(old, new))
    with pytest.raises(MappingError, match=message):
        desk.source()


def test_history__opportunity_history_may_still_be_read_as_it_is(desk):
    mapping = yaml.safe_load(desk.path.read_text())
    raw = {"event_id": "Id", "deal_id": "OpportunityId", "ds": "CreatedDate"}
    raw |= {"stage": "StageName", "amount": "Amount", "expected_close_on": "CloseDate"}
    feeds = [feed for feed in mapping["feeds"] if feed["table"] != "deal_events"]
    feeds.append({"table": "deal_events", "file": "OpportunityHistory", "columns": raw, "values": {"StageName": {"Closed Won": "won"}}})
    desk.path.write_text(yaml.safe_dump(mapping | {"feeds": feeds}))
    desk.sync()
    events = desk.facts()["deal_events"]
    assert sorted(events["deal_id"]) == ["0061", "0061", "0061", "0062", "0062", "0063"]
    assert events["owner"].isna().all()
