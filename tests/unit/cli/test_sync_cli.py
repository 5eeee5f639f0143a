"""`predictkpi sync` from end to end: the command, the connector, a server that speaks the vendor's API and its troubles, a real store.

Only the transport differs from what a user has: requests to Salesforce go to loopback, and waits are counted instead of waited for.
"""

from __future__ import annotations

import logging
import sys
import traceback

import pandas as pd
import pytest

import fakes.hubspot
import fakes.salesforce
from fakes.desks import HubSpotDesk, SalesforceDesk, equal
from fakes.serving import CUT, Answer, serving
from predictkpi.cli import main
from predictkpi.errors import SourceError
from predictkpi.pipelines import sync as pipeline

PAST = pd.Timestamp("2024-01-01")
SECRETS = {*SalesforceDesk.secrets.values(), *HubSpotDesk.secrets.values()} - {"the-client"}


class AtSalesforce(SalesforceDesk):
    """Five deals by Salesforce, three records a page; what a user of it does, and where its troubles are."""

    listing, next_page = "/queryAll", "/query/"
    too_many = Answer(429, [{"message": "Too many requests", "errorCode": "REQUEST_LIMIT_EXCEEDED"}], {"Retry-After": "11"})
    expired = fakes.salesforce.EXPIRED

    @staticmethod
    def fake():
        org = fakes.salesforce.SalesforceOrg()
        org.put("Account", "0011", "2023-01-01", Name="Firm", Industry=None, BillingCountry="DE")
        for number in range(1, 6):
            about = {"Name": f"Deal {number}", "AccountId": "0011", "LeadSource": "Web", "Type": None, "OwnerId": "0051"}
            state = {"StageName": "New", "Amount": 100.0 * number, "CloseDate": "2023-04-01"}
            org.put("Opportunity", f"{number}", f"2023-02-0{number} 09:00", **about, **state)
            org.put("Opportunity", f"{number}", f"2023-03-0{number} 09:00", StageName="Closed Won")
        org.put("Order", "8011", "2023-03-09 10:00", EffectiveDate="2023-03-01", AccountId="0011", TotalAmount=50.25)
        return org

    def delete(self, deal):
        self.vendor_side.delete("Opportunity", deal, str(pd.Timestamp.now("UTC") - pd.Timedelta(minutes=1)))


class AtHubSpot(HubSpotDesk):
    """The same five deals by HubSpot."""

    listing, next_page = "/crm/v3/objects/deals", "/batch/read"
    too_many = fakes.hubspot.TOO_MANY
    expired = fakes.hubspot.EXPIRED

    @staticmethod
    def fake():
        account = fakes.hubspot.HubSpot()
        account.put("companies", "11", "2023-01-01", name="Firm", country="DE")
        for number in range(1, 6):
            about = {"dealname": f"Deal {number}", "hubspot_owner_id": "7", "amount": f"{number}00", "closedate": "2023-04-01T00:00:00Z"}
            account.put("deals", f"{number}", f"2023-02-0{number} 09:00", dealstage="s1", **about)
            account.put("deals", f"{number}", f"2023-03-0{number} 09:00", dealstage="s3")
            account.company_of[f"{number}"] = [("11", 5)]
        return account

    def delete(self, deal):
        self.vendor_side.archive("deals", deal)


@pytest.fixture(params=[AtSalesforce, AtHubSpot], ids=["salesforce", "hubspot"])
def kind(request):
    return request.param


@pytest.fixture
def make(tmp_path, kind):
    """``make("name", **options)`` is a desk with a vendor and a store of its own."""
    opened = []

    def made(name, **options):
        vendor_side = kind.fake()
        server = serving(vendor_side)
        desk = kind(tmp_path / name, server.__enter__(), **options)
        desk.vendor_side = vendor_side
        opened.append((desk, server))
        return desk

    yield made
    for desk, server in opened:
        desk.store.close()
        server.__exit__(None, None, None)


@pytest.fixture
def desk(make):
    return make("desk")


@pytest.fixture
def command(monkeypatch, capsys):
    """``command(desk)`` -> (exit code, all that was printed); ``--debug`` and the like come before, as a user would write them."""

    def run(desk, *before):
        for name, value in desk.secrets.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PREDICTKPI_DATABASE_URL", desk.database_url)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setitem(pipeline.SOURCES, desk.vendor, lambda rules, environment: desk.source(dict(environment)))
        monkeypatch.setattr(sys, "argv", ["predictkpi", *before, "sync", "--mapping", str(desk.path)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out + printed.err

    return run


@pytest.fixture
def undisturbed(make, command):
    """What a sync without any trouble gives."""
    desk = make("undisturbed")
    assert command(desk)[0] == 0
    return desk.facts()


def test_sync__reads_every_page(desk, command, undisturbed):
    code, printed = command(desk)
    assert code == 0
    assert "0 records withdrawn" in printed
    assert {name: len(frame) for name, frame in desk.facts().items() if name != "orders"} == {"customers": 1, "deals": 5, "deal_events": 10}
    assert len(desk.vendor_side.seen(desk.next_page)) >= 2
    assert (undisturbed["deal_events"]["stage"] == "won").sum() == 5


def test_sync__again_changes_nothing(desk, command):
    command(desk)
    before = desk.facts()
    assert command(desk)[0] == 0
    equal(desk.facts(), before)


def test_sync__too_many_requests_waits_as_long_as_it_is_told(desk, command, undisturbed):
    desk.vendor_side.trouble(desk.listing, desk.too_many, times=2)
    assert command(desk)[0] == 0
    assert desk.waits == [float(desk.too_many.headers["Retry-After"])] * 2
    equal(desk.facts(), undisturbed)


def test_sync__a_connection_dropped_in_the_middle_of_a_page_costs_nothing(desk, command, undisturbed):
    for path in (desk.listing, desk.next_page):
        desk.vendor_side.trouble(path, CUT)
    assert command(desk)[0] == 0
    assert len(desk.waits) == 2
    equal(desk.facts(), undisturbed)


def test_sync__an_expired_token_loses_nothing_and_loads_nothing_twice(make, command, undisturbed, kind):
    """By HubSpot's token, and by one of Salesforce that came from elsewhere: the sync stops in the middle; with a new one it goes on."""
    desk = make("expiring", **({"domain": None, "instance_url": "https://login.acme.example"} if kind is AtSalesforce else {}))
    answered = desk.vendor_side.answer
    desk.vendor_side.answer = lambda request: desk.expired if len(desk.vendor_side.requests) > 4 else answered(request)
    code, printed = command(desk)
    assert code == 1
    assert "put a new" in printed
    desk.vendor_side.answer = answered
    assert command(desk)[0] == 0
    equal(desk.facts(), undisturbed)


def test_sync__a_deleted_record_is_gone_from_then_on_and_kept_before(desk, command, undisturbed):
    command(desk)
    desk.delete("2")
    code, printed = command(desk)
    assert code == 0
    assert "records withdrawn that are gone from the source" in printed
    facts = desk.facts()
    assert "2" not in {*facts["deals"]["deal_id"], *facts["deal_events"]["deal_id"]}
    assert len(facts["deals"]) == 4
    equal(desk.facts(PAST), undisturbed)


def test_sync__a_large_first_load_of_salesforce_is_a_bulk_job(make, command, undisturbed, kind):
    if kind is not AtSalesforce:
        return
    desk = make("bulk", bulk_above=4, bulk_rows=2, poll_seconds=0)
    desk.vendor_side.trouble("/results", CUT)
    desk.vendor_side.trouble("/results", desk.expired)
    assert command(desk)[0] == 0
    assert {job["object"] for job in desk.vendor_side.jobs.values()} == {"Opportunity", "OpportunityHistory", "OpportunityFieldHistory"}
    key = {"customers": "customer_id", "deals": "deal_id", "deal_events": "event_id", "orders": "order_id"}
    equal(*({name: frame.sort_values(key[name], ignore_index=True) for name, frame in one.items()} for one in (desk.facts(), undisturbed)))


@pytest.mark.parametrize("trouble", ["login", "busy", "dropped", "a web page"])
def test_sync__a_failure_tells_no_secret(desk, command, caplog, trouble):
    """Neither printed nor logged at any level, nor in the trace that ``--debug`` shows, with all causes."""
    caplog.set_level(logging.DEBUG)
    if trouble == "login":
        desk.vendor_side.secret = "another"
    elif trouble == "dropped":
        desk.vendor_side.trouble("", CUT, times=20)
    else:
        page = Answer(200, "<html>Please sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
        desk.vendor_side.answer = lambda request: page if trouble == "a web page" else Answer(503, "Server Too Busy")
    code, printed = command(desk)
    assert code == 1
    assert printed.startswith("error: ")
    with pytest.raises(SourceError) as caught:
        command(desk, "--debug")
    trace = "".join(traceback.format_exception(caught.value))
    for secret in SECRETS:
        for text in (printed, caplog.text, trace, repr(caught.value), repr(desk.source())):
            assert secret not in text
