"""HubSpot end to end: a server that speaks its API on loopback, through the example mapping, into a real store."""

from __future__ import annotations

import pandas as pd
import pytest

from fakes.desks import NOW, HubSpotDesk, equal
from fakes.hubspot import EXPIRED, TOO_MANY, HubSpot
from fakes.serving import CUT, Answer, serving
from predictkpi.errors import MappingError, SourceError


def fill(account):
    for number in range(1, 5):
        account.put("companies", f"10{number}", f"2023-01-0{number}", name=f"Firm {number}", country="DE")
    for number in range(1, 9):
        deal = f"{number}"
        account.put(
            "deals", deal, f"2023-02-0{number} 09:00", dealname=f"Deal {number}", dealstage="s1", amount=f"{number}00", hubspot_owner_id="7"
        )
        account.company_of[deal] = [("104", 341), (f"10{number % 3 + 1}", 5)]
    account.put("deals", "1", "2023-03-01 10:00", amount="150")
    account.put("deals", "1", "2023-03-05 11:00", dealstage="s3", closedate="2023-03-05T11:00:00Z")
    account.put("deals", "2", "2023-03-06 11:00", dealstage="s4")
    account.put("deals", "3", "2023-03-07 11:00", dealstage="s2", amount="")
    return account


@pytest.fixture
def make_desk(tmp_path):
    desks = []

    def make(name, url, account):
        desks.append(HubSpotDesk(tmp_path / name, url, search_ends_at=account.search_limit))
        return desks[-1]

    yield make
    for desk in desks:
        desk.store.close()


@pytest.fixture
def account():
    return fill(HubSpot())


@pytest.fixture
def url(account):
    with serving(account) as url:
        yield url


@pytest.fixture
def desk(make_desk, url, account):
    return make_desk("desk", url, account)


def counts(report):
    own = [feed for feed in report.feeds if (feed.table, feed.file) != ("deal_events", "deals")]
    return {feed.table: (feed.rows - feed.not_selected, feed.accepted, feed.unchanged, feed.rejected) for feed in own}


def test_hubspot__history_becomes_full_states_and_the_first_pass_is_dated_back(desk, account):
    report = desk.sync()
    assert counts(report) == {"customers": (4, 4, 0, 0), "deals": (8, 8, 0, 0), "deal_events": (12, 12, 0, 0), "orders": (1, 1, 0, 0)}
    asked = {tuple(request.json.get("propertiesWithHistory", ())) for request in account.seen("/deals/batch/read")}
    assert asked == {("amount", "closedate", "dealstage", "hubspot_owner_id")}
    facts = desk.facts()
    first = facts["deal_events"][facts["deal_events"]["deal_id"] == "1"].sort_values("ds")
    assert first["stage"].tolist() == ["Meeting", "Meeting", "won"]
    assert first["amount"].tolist() == [100, 150, 150]
    assert first["owner"].tolist() == ["7", "7", "7"]
    assert first["expected_close_on"].tolist()[2] == pd.Timestamp("2023-03-05 11:00")
    assert first["known_at"].tolist() == first["ds"].tolist()
    third = facts["deal_events"][facts["deal_events"]["deal_id"] == "3"].sort_values("ds")
    assert third["stage"].tolist() == ["Meeting", "Offer"]
    assert third["amount"].isna().tolist() == [False, True]
    deals = facts["deals"].set_index("deal_id")
    assert deals.loc["1", "customer_id"] == "102", "the primary company"
    assert deals.loc["1", "known_at"] == pd.Timestamp("2023-02-01 09:00")
    assert facts["orders"][["customer_id", "amount"]].to_numpy().tolist() == [["102", 150.0]]


def test_hubspot__a_second_sync_changes_nothing(desk):
    desk.sync()
    before = desk.facts()
    report = desk.sync(now=NOW + pd.Timedelta(minutes=5))
    assert all(feed.accepted == feed.rejected == 0 for feed in report.feeds)
    equal(desk.facts(), before)
    report = desk.sync(now=NOW + pd.Timedelta(days=1), from_start=True)
    assert counts(report)["deal_events"] == (12, 0, 12, 0)
    equal(desk.facts(), before)


def test_hubspot__later_syncs_search_and_leave_the_past_as_it_was(desk, account):
    desk.sync()
    past = desk.facts()
    account.put("deals", "4", "2024-06-02 08:00", dealstage="s2")
    account.put("deals", "9", "2024-06-02 09:00", dealname="New", dealstage="s1", amount="5")
    account.put("companies", "101", "2024-06-02 10:00", name="Firm One")
    asked = len(account.seen("/search"))
    later = NOW + pd.Timedelta(days=2)
    report = desk.sync(now=later)
    assert len(account.seen("/search")) > asked
    assert counts(report) == {"customers": (1, 1, 0, 0), "deals": (2, 1, 1, 0), "deal_events": (3, 2, 1, 0), "orders": (0, 0, 0, 0)}
    equal(desk.facts(later.tz_localize(None)), past)
    events = desk.facts()["deal_events"]
    newest = events[events["deal_id"].isin(["4", "9"]) & (events["ds"] > "2024-01-01")]
    assert (newest["known_at"] == later.tz_localize(None)).all()


def test_hubspot__an_archived_record_is_gone_from_then_on(desk, account):
    desk.sync()
    past = desk.facts()
    account.archive("deals", "2")
    later = NOW + pd.Timedelta(days=1)
    # archived and won deals feed orders too: the deal, its events and its order go
    account.archive("deals", "1")
    assert desk.sync(now=later).withdrawn == 3
    facts = desk.facts()
    assert sorted(facts["deals"]["deal_id"]) == ["3", "4", "5", "6", "7", "8"]
    assert not facts["deal_events"]["deal_id"].isin(["1", "2"]).any()
    assert facts["orders"].empty
    equal(desk.facts(later.tz_localize(None)), past)


def test_hubspot__a_search_that_ends_is_taken_up_again(make_desk):
    account = fill(HubSpot(search_limit=4))
    with serving(account) as url:
        desk = make_desk("windows", url, account)
        desk.sync()
        for number in range(1, 9):
            account.put("deals", f"{number}", f"2024-06-01 13:0{number}", amount=f"{number}5")
        assert counts(desk.sync(now=NOW + pd.Timedelta(days=1)))["deals"][0] >= 8
        events = desk.facts()["deal_events"]
        assert events[events["ds"] > "2024-06-01"]["deal_id"].tolist() == list("12345678")
        for number in range(1, 9):
            account.put("deals", f"{number}", "2024-06-03 13:00", amount=f"{number}6")
        with pytest.raises(SourceError, match="--from-start"):
            desk.sync(now=NOW + pd.Timedelta(days=3))


@pytest.mark.parametrize(
    ("path", "trouble", "times"),
    [
        ("/objects/deals", TOO_MANY, 2),
        ("/objects/deals/batch/read", CUT, 2),
        ("/associations/", Answer(503, "busy"), 3),
    ],
)
def test_hubspot__passing_trouble_leaves_no_trace(desk, account, path, trouble, times):
    account.trouble(path, trouble, times=times)
    report = desk.sync()
    assert counts(report)["deal_events"] == (12, 12, 0, 0)
    assert len(desk.waits) == times
    if trouble is TOO_MANY:
        assert desk.waits == [7.0, 7.0], "as long as Retry-After says"


@pytest.mark.parametrize("good", [1, 4, 8])
def test_hubspot__dying_anywhere_resumes_to_what_an_undisturbed_run_gives(desk, make_desk, url, account, good):
    """The token expires after some requests; with a new one the sync goes on, and reads no company again once they are through."""
    started = account.answer

    def until_expired(request):
        return EXPIRED if len(account.requests) > good + 1 else started(request)

    account.answer = until_expired
    with pytest.raises(SourceError, match="put a new one into HUBSPOT_TOKEN") as caught:
        desk.sync()
    assert "pat-secret" not in str(caught.value)
    account.answer = started
    desk.sync()
    undisturbed = make_desk("other", url, account)
    undisturbed.sync()
    equal(desk.facts(), undisturbed.facts())


def test_hubspot__gives_up_after_its_attempts_and_keeps_what_was_loaded(desk, account):
    account.trouble("/associations/", Answer(503, "busy"), times=4)
    with pytest.raises(SourceError, match=r"HubSpot: it answered 503 .* 4 times in a row; what was loaded is kept"):
        desk.sync()
    assert desk.store.counts()["customers"] == 4
    assert [0.5 <= wait / 2**n <= 1 for n, wait in enumerate(desk.waits)] == [True] * 3


def test_hubspot__secrets_stay_secret(desk, account):
    assert "pat-secret" not in repr(desk.source())
    with pytest.raises(SourceError, match="set the environment variable HUBSPOT_TOKEN"):
        desk.source(environment={})
    account.trouble("/objects/companies", Answer(403, {"message": "scopes"}))
    with pytest.raises(SourceError, match="may not read /crm/v3/objects/companies"):
        desk.sync()


def test_hubspot__the_mapping_names_objects_and_options_there_are(desk):
    text = desk.path.read_text()
    for old, new, message in [
        ("file: deals", "file: dealz", "did you mean 'deals'"),
        ("kind: hubspot", "kind: hubspot\n  token: abc", "source.token: no such option"),
        ("page: 3", "page: 300", "source.page: Input should be less than or equal to 50"),
    ]:
        desk.path.write_text(text.replace(old, new))
        with pytest.raises(MappingError, match=message):
            desk.source()


def test_hubspot__tells_itself_what_is_deleted(desk):
    desk.path.write_text(desk.path.read_text().replace("file: companies", "file: companies\n  deleted: {country: empty}"))
    with pytest.raises(MappingError, match="this source tells itself which records are gone"):
        desk.sync()


def test_hubspot__text_that_no_database_takes_does_not_stop_the_rest(desk, account):
    account.put("companies", "101", "2023-06-01", name="Cut \ud83d")
    account.put("companies", "102", "2023-06-01", name="Nul \0")
    report = desk.sync()
    assert counts(report)["customers"] == (4, 3, 0, 1)
    assert report.rejects[["field", "value"]].to_numpy().tolist() == [["name", r"Nul \x00"]]
    assert desk.facts()["customers"]["name"].tolist() == [r"Cut \ud83d", "Firm 3", "Firm 4"]
