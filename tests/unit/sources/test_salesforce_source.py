"""Salesforce end to end: a server that speaks its APIs on loopback, simple-salesforce in between, the example mapping, a real store."""

from __future__ import annotations

import pandas as pd
import pytest

from fakes.desks import NOW, SalesforceDesk, equal
from fakes.salesforce import EXPIRED, TOO_MANY, USED_UP, SalesforceOrg
from fakes.serving import CUT, serving
from predictkpi.errors import MappingError, SourceError


def fill(org):
    for number in range(1, 3):
        org.put("Account", f"001{number}", f"2023-01-0{number}", Name=f"Firm {number}", Industry=None, BillingCountry="DE")
    for number in range(1, 6):
        deal = {"Name": f"Deal {number}, big", "AccountId": f"001{number % 2 + 1}", "LeadSource": "Web", "Type": None, "OwnerId": "0051"}
        state = {"StageName": "Prospecting", "Amount": 100.0 * number, "CloseDate": "2023-04-01"}
        org.put("Opportunity", f"006{number}", f"2023-02-0{number} 09:00", **deal, **state)
        org.put("Opportunity", f"006{number}", f"2023-03-0{number} 10:00:00.250", StageName="Closed Won", Amount=120.5)
        org.put("Order", f"801{number}", "2023-03-09 10:00", EffectiveDate=f"2023-03-0{number}", AccountId="0011", TotalAmount=50.25)
    return org


@pytest.fixture
def make_desk(tmp_path):
    desks = []

    def make(name, url, **options):
        desks.append(SalesforceDesk(tmp_path / name, url, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.store.close()


@pytest.fixture
def org():
    return fill(SalesforceOrg())


@pytest.fixture
def url(org):
    with serving(org) as url:
        yield url


@pytest.fixture
def desk(make_desk, url):
    return make_desk("desk", url)


def counts(report):
    own = [feed for feed in report.feeds if (feed.table, feed.file) != ("deal_events", "Opportunity")]
    return {feed.table: (feed.rows, feed.accepted, feed.unchanged, feed.rejected) for feed in own}


def test_salesforce__pages_of_history_become_events_dated_back(desk, org):
    report = desk.sync()
    assert counts(report) == {"customers": (2, 2, 0, 0), "orders": (5, 5, 0, 0), "deals": (5, 5, 0, 0), "deal_events": (10, 10, 0, 0)}
    facts = desk.facts()
    events = facts["deal_events"].sort_values(["deal_id", "ds"]).head(2)
    assert events["stage"].tolist() == ["Prospecting", "won"]
    assert events["amount"].tolist() == [100, 120.5]
    assert events["owner"].tolist() == ["0051", "0051"]
    assert events["expected_close_on"].tolist() == [pd.Timestamp("2023-04-01")] * 2
    assert events["known_at"].tolist() == events["ds"].tolist()
    assert facts["deals"].set_index("deal_id").loc["0061", "known_at"] == pd.Timestamp("2023-02-01 09:00")
    assert len(org.seen("/query/")) == 7, "next pages: 1 of orders, 1 of opportunities, and of their histories 1 + 2 and 1 + 1"


def test_salesforce__a_second_sync_changes_nothing(desk):
    desk.sync()
    before = desk.facts()
    assert desk.sync(now=NOW + pd.Timedelta(minutes=5)).feeds == []
    report = desk.sync(now=NOW + pd.Timedelta(days=1), from_start=True)
    assert all(feed.accepted == feed.rejected == 0 for feed in report.feeds)
    equal(desk.facts(), before)


def test_salesforce__later_changes_and_deletions_leave_the_past_as_it_was(desk, org):
    desk.sync()
    past = desk.facts()
    org.put("Opportunity", "0061", "2024-06-02 08:00", Name="Renamed")
    org.delete("Opportunity", "0062", "2024-06-02 09:00")
    org.delete("Order", "8011", "2024-06-02 09:00")
    later = NOW + pd.Timedelta(days=2)
    report = desk.sync(now=later)
    assert counts(report) == {"deals": (1, 1, 0, 0), "deal_events": (2, 0, 2, 0)}
    assert report.withdrawn == 2
    facts = desk.facts()
    assert facts["deals"].set_index("deal_id")["name"].to_dict()["0061"] == "Renamed"
    assert "0062" not in {*facts["deals"]["deal_id"], *facts["deal_events"]["deal_id"]}
    assert facts["orders"]["order_id"].tolist() == ["8012", "8013", "8014", "8015"]
    equal(desk.facts(later.tz_localize(None)), past)


def test_salesforce__a_big_first_pass_is_a_bulk_job_and_gives_the_same(desk, make_desk, url, org):
    desk.sync()
    bulk = make_desk("bulk", url, bulk_above=4, bulk_rows=2, poll_seconds=0)
    org.delete("Order", "8015", "2023-03-10")
    bulk.sync()
    assert {job["object"] for job in org.jobs.values()} == {"Opportunity", "OpportunityHistory", "OpportunityFieldHistory", "Order"}
    one, two = desk.facts(), bulk.facts()
    one["orders"] = one["orders"][one["orders"]["order_id"] != "8015"]
    key = {"customers": "customer_id", "deals": "deal_id", "deal_events": "event_id", "orders": "order_id"}
    equal(*({name: frame.sort_values(key[name], ignore_index=True) for name, frame in facts.items()} for facts in (one, two)))


@pytest.mark.parametrize(("path", "trouble", "times"), [("/queryAll", TOO_MANY, 2), ("/query/", CUT, 2), ("/oauth2/", CUT, 1)])
def test_salesforce__passing_trouble_leaves_no_trace(desk, org, path, trouble, times):
    org.trouble(path, trouble, times=times)
    assert counts(desk.sync())["deal_events"] == (10, 10, 0, 0)
    assert len(desk.waits) == times
    if trouble is TOO_MANY:
        assert desk.waits == [9.0, 9.0], "as long as Retry-After says"


@pytest.mark.parametrize(("path", "bulk_above"), [("/query/", 1000), ("/queryAll", 1000), ("/results", 1), ("/jobs/query", 1)])
def test_salesforce__an_expired_session_logs_in_again(make_desk, url, org, path, bulk_above):
    desk = make_desk("expiring", url, bulk_above=bulk_above, poll_seconds=0)
    org.trouble(path, EXPIRED)
    assert desk.sync().feeds
    assert org.sessions == 2
    assert [len(frame) for frame in desk.facts().values()] == [2, 5, 10, 5]


@pytest.mark.parametrize("good", [3, 7])
def test_salesforce__dying_anywhere_resumes_to_what_an_undisturbed_run_gives(desk, make_desk, url, org, good):
    org.page = 2
    answered = org.answer
    org.answer = lambda request: USED_UP if len(org.requests) > good else answered(request)
    with pytest.raises(SourceError, match="sync again tomorrow"):
        desk.sync()
    org.answer = answered
    desk.sync()
    undisturbed = make_desk("other", url)
    undisturbed.sync()
    equal(desk.facts(), undisturbed.facts())


def test_salesforce__a_token_that_is_not_valid_says_what_to_do(make_desk, url, org):
    desk = make_desk("direct", url, domain=None, instance_url="https://login.acme.example")
    org.is_expired = True
    with pytest.raises(SourceError, match="put a new access token into SALESFORCE_ACCESS_TOKEN"):
        desk.sync()


def test_salesforce__secrets_stay_secret(desk, org):
    assert "the-secret" not in repr(desk.source())
    org.secret = "another"
    with pytest.raises(SourceError, match=r"the login failed \(invalid_client\): check domain, SALESFORCE_CLIENT_ID") as caught:
        desk.sync()
    assert "the-secret" not in str(caught.value)
    with pytest.raises(SourceError, match="set the environment variable SALESFORCE_CLIENT_ID"):
        desk.source(environment={})


def test_salesforce__a_field_that_is_not_there_is_named(desk):
    text = desk.path.read_text()
    desk.path.write_text(text.replace("LeadSource", "LeadSauce"))
    with pytest.raises(SourceError, match="No such column 'LeadSauce'"):
        desk.sync()
    desk.path.write_text(text.replace("domain: acme.my", "instance_url: https://a.b\n  domain: acme.my"))
    with pytest.raises(MappingError, match="state domain"):
        desk.source()
