"""Write-back against servers that speak the vendors' APIs: what has moved is written, and nothing else, whatever happens on the way."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fakes import hubspot, salesforce
from fakes.serving import CUT, Answer, serving
from nursery import Nursery
from predictkpi.cli import main
from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.delivery.crm import REMEMBERED
from predictkpi.errors import DeliveryError, InsufficientDataError, LockedError, MappingError, SourceError
from predictkpi.pipelines import write_back as pipeline
from predictkpi.pipelines.write_back import open_crm, plan, target_of, write_back
from predictkpi.pipelines.write_back_rules import FieldRule, read_write_back
from predictkpi.sources.retrying import RetryingSession
from predictkpi.store import Store
from toy.books import deal, event, rows

EXAMPLES = Path(__file__).parents[3] / "examples"
NOW = pd.Timestamp("2024-07-02 06:00")
SECRETS = {"SALESFORCE_CLIENT_ID": "the-client", "SALESFORCE_CLIENT_SECRET": "the-secret", "HUBSPOT_TOKEN": "pat-secret"}
IMPORTS = """
from predictkpi.cli import main
import predictkpi.cli.app, predictkpi.pipelines.write_back, predictkpi.predictors.close_time.model, predictkpi.predictors.clv.model

def go(url, mapping):
    os.environ |= {"PREDICTKPI_DATABASE_URL": url, "HUBSPOT_TOKEN": "pat-secret"}
    sys.argv = ["predictkpi", "write-back", "--to", "hubspot", "--mapping", mapping]
    main()
"""


class AtSalesforce:
    name, deals, accounts, first_field = "salesforce", "Opportunity", "Account", "Predictkpi_Win_Chance__c"
    update, method = "/composite/sobjects", "PATCH"
    too_many = Answer(503, "Server Too Busy", {"Retry-After": "9"})
    batch, points = 200, 100

    def __init__(self):
        self.fake = salesforce.SalesforceOrg()

    def put(self, kind, id_, stage="Offer"):
        fields = {"StageName": stage} if kind == self.deals else {}
        self.fake.put(kind, id_, "2024-01-01", **fields)

    def close(self, id_):
        self.fake.put(self.deals, id_, "2024-07-01", StageName="Closed Won")

    def delete(self, id_):
        self.fake.delete(self.deals, id_, "2024-07-01")

    def value(self, id_, field, kind=None):
        return self.fake.records[kind or self.deals][id_].get(field)

    def updates(self):
        """Ids of every batch that was to be written."""
        return [[one["id"] for one in seen.json["records"]] for seen in self.fake.requests if seen.method == "PATCH"]

    def session(self, url, waits):
        session = RetryingSession("Salesforce", attempts=3, wait=waits.append, error=DeliveryError, way_out=REMEMBERED)
        session.mount("https://", salesforce.ToLoopback(url))
        return session

    def target(self, url):
        return {}


class AtHubSpot:
    name, deals, accounts, first_field = "hubspot", "deals", "companies", "predictkpi_win_chance"
    update, method = "/batch/update", "POST"
    too_many = hubspot.TOO_MANY
    batch, points = 100, 1

    def __init__(self):
        self.fake = hubspot.HubSpot()

    def put(self, kind, id_, stage="s2"):
        self.fake.put(kind, id_, "2024-01-01", **({"dealstage": stage} if kind == self.deals else {}))

    def close(self, id_):
        self.fake.put(self.deals, id_, "2024-07-01", dealstage="s4")

    def delete(self, id_):
        self.fake.archive(self.deals, id_)

    def value(self, id_, field, kind=None):
        text = next((one["value"] for one in self.fake.records[kind or self.deals][id_]["history"].get(field, [])), None)
        try:
            return float(text)
        except (TypeError, ValueError):
            return text

    def updates(self):
        return [[one["id"] for one in seen.json["inputs"]] for seen in self.fake.seen(self.update)]

    def session(self, url, waits):
        return RetryingSession("HubSpot", attempts=3, wait=waits.append, error=DeliveryError, way_out=REMEMBERED)

    def target(self, url):
        return {"url": url}


class Desk:
    """A vendor, the example mapping, and a store with deals and what was predicted of them."""

    def __init__(self, vendor, folder, url, database_url):
        self.vendor, self.fake, self.url, self.waits = vendor, vendor.fake, url, []
        content = yaml.safe_load((EXAMPLES / f"{vendor.name}-write-back.yaml").read_text())
        content["target"] |= vendor.target(url)
        self.mapping = folder / "write-back.yaml"
        self.mapping.write_text(yaml.safe_dump(content, sort_keys=False))
        self.fake.own_fields = {name for record in content["records"] for name in record["fields"]}
        self.rules = read_write_back(self.mapping)
        self.store = Store(database_url)
        self.store.migrate()

    def load(self, ids, **closed):
        tables = {
            "deals": [deal(id_, "01-01") for id_ in ids],
            "deal_events": [{"event_id": f"E{id_}", **event(id_, "01-02", "Offer", amount=100.0)} for id_ in ids]
            + [{"event_id": f"F{id_}", **event(id_, day, "won")} for id_, day in closed.items()],
        }
        frames = {name: rows(name, *given) for name, given in tables.items()}
        self.store.load(frames, company=Company(name="Acme", time_zone="Europe/Berlin"), now=NOW)

    def score(self, day="2024-07-02", version="1", **chances):
        """``D1=0.5``: the deal's chance; its other numbers follow from it."""
        as_of, found = pd.Timestamp(day), []
        for id_, chance in chances.items():
            days = 30.0 if chance > 0.05 else float("nan")
            numbers = {"p_win": chance, "p_slip": 0.2, "close_q50": days, "expected_value": 1000 * chance}
            found += [("close_time", id_, as_of, 180, name, value, version, "full", "") for name, value in numbers.items()]
            found += [("close_time", id_, as_of, horizon, "cif_won", chance, version, "limited", "few") for horizon in (90, 180)]
        self.store.write_predictions(pd.DataFrame(found, columns=c.PREDICTION_COLUMNS), now=NOW)

    def value_customers(self, **values):
        found = []
        for id_, value in values.items():
            for horizon in (12, 24):
                found += [
                    ("clv", id_, NOW.normalize(), horizon, name, n, "4", "full", "") for name, n in {"mean": value, "p_alive": 0.9}.items()
                ]
        self.store.write_predictions(pd.DataFrame(found, columns=c.PREDICTION_COLUMNS), now=NOW)

    def crm(self):
        return open_crm(self.rules, SECRETS, session=self.vendor.session(self.url, self.waits))

    def run(self, **options):
        parts = plan(self.store, self.rules, everything=options.pop("everything", False))
        return write_back(self.store, self.crm(), parts, target=target_of(self.rules), now=lambda: NOW, **options)


@pytest.fixture(params=[AtSalesforce, AtHubSpot], ids=["salesforce", "hubspot"])
def vendor(request):
    return request.param()


@pytest.fixture
def make(tmp_path):
    """``make(vendor, deals)``: a desk whose deals and customer are in the CRM, in the store and scored."""
    opened = []

    def make(vendor, url, ids=("D1", "D2", "D3"), database_url=None):
        desk = Desk(vendor, tmp_path, url, database_url or f"sqlite:///{tmp_path}/facts.db")
        opened.append(desk.store)
        for id_ in ids:
            vendor.put(vendor.deals, id_)
        vendor.put(vendor.accounts, "C1")
        desk.load(ids)
        desk.score(**dict.fromkeys(ids, 0.5))
        desk.value_customers(C1=1000.0)
        return desk

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def desk(make, vendor):
    with serving(vendor.fake) as url:
        yield make(vendor, url)


def written(reports):
    return [report.written for report in reports]


def test_write_back__puts_numbers_dates_and_texts_into_their_fields(desk, vendor):
    assert written(desk.run()) == [3, 1]
    fields = [rule for record in desk.rules.records for rule in record.fields]
    shown = [vendor.value("D1", name) for name in fields[:7]]
    assert shown[0] == 0.5 * vendor.points
    assert shown[1] == pytest.approx(0.2 * vendor.points)
    assert shown[2:] == ["2024-08-01", 500.0, "limited", shown[5], "2024-07-02"]
    assert str(shown[5]).startswith("1")
    assert vendor.value("C1", fields[7], vendor.accounts) == 1000.0


def test_write_back__again_writes_nothing(desk, vendor):
    desk.run()
    asked = len(vendor.updates())
    assert written(desk.run()) == [0, 0]
    assert [report.part.same for report in desk.run()] == [3, 1]
    assert len(vendor.updates()) == asked


def test_write_back__only_what_moved_beyond_its_dead_band_since_it_was_written(desk, vendor):
    """2 points: twice one and a half are three. The whole record goes, so that its numbers are of one day."""
    desk.run()
    desk.score("2024-07-03", D1=0.515, D2=0.48, D3=0.5)
    assert written(desk.run()) == [0, 0]
    desk.score("2024-07-04", D1=0.53, D2=0.48, D3=0.5)
    (deals, _) = desk.run()
    assert (deals.written, deals.part.same) == (1, 2)
    assert vendor.updates()[-1] == ["D1"]
    assert vendor.value("D1", vendor.first_field) == 0.53 * vendor.points
    assert vendor.value("D1", [*desk.rules.records[0].fields][-1]) == "2024-07-04"
    assert vendor.value("D2", [*desk.rules.records[0].fields][-1]) == "2024-07-02"
    assert written(desk.run(everything=True)) == [3, 1]


def test_write_back__a_number_that_is_gone_empties_its_field(desk, vendor):
    desk.run()
    desk.score("2024-07-03", D1=0.01, D2=0.5, D3=0.5)
    assert written(desk.run()) == [1, 0]
    assert not vendor.value("D1", [*desk.rules.records[0].fields][2])
    assert written(desk.run()) == [0, 0]


def test_write_back__leaves_deals_alone_that_were_closed_here_or_there_or_are_gone(desk, vendor):
    desk.load((), D1="06-01")
    vendor.close("D2")
    vendor.delete("D3")
    (deals, accounts) = desk.run()
    assert (deals.written, deals.part.closed, deals.closed, deals.refused) == (0, 1, 2, [])
    assert accounts.written == 1
    assert all("D" not in id_ for batch in vendor.updates() for id_ in batch)


def test_write_back__one_that_is_refused_keeps_no_other_back_and_is_tried_again(desk, vendor):
    vendor.fake.invalid["D2"] = "Set a next step first"
    (deals, _) = desk.run()
    assert deals.written == 2
    assert [(one.record_id, "Set a next step first" in one.reason) for one in deals.refused] == [("D2", True)]
    assert [vendor.value(id_, vendor.first_field) for id_ in ("D1", "D2", "D3")] == [0.5 * vendor.points, None, 0.5 * vendor.points]
    vendor.fake.invalid.clear()
    assert written(desk.run()) == [1, 0]
    assert vendor.updates()[-1] == ["D2"]


def test_write_back__an_account_that_is_not_there_is_refused_by_name(desk, vendor):
    desk.value_customers(C1=1000.0, C9=5.0)
    (_, accounts) = desk.run()
    assert (accounts.written, [one.record_id for one in accounts.refused]) == (1, ["C9"])
    assert accounts.refused[0].reason


def test_write_back__waits_as_long_as_it_is_asked_to(desk, vendor):
    vendor.fake.trouble(vendor.update, vendor.too_many, method=vendor.method)
    assert written(desk.run()) == [3, 1]
    assert desk.waits == [float(vendor.too_many.headers["Retry-After"])]


@pytest.mark.parametrize("trouble", [CUT, Answer(500, "oops")], ids=["applied, and the answer lost", "500"])
def test_write_back__a_batch_of_unknown_outcome_is_written_again(desk, vendor, trouble):
    vendor.fake.trouble(vendor.update, trouble, times=2, method=vendor.method)
    assert written(desk.run()) == [3, 1]
    assert len(desk.waits) == 2
    assert vendor.updates()[:3] == [["D1", "D2", "D3"]] * 3
    assert vendor.value("D3", vendor.first_field) == 0.5 * vendor.points


def test_write_back__that_fails_remembers_what_was_written(vendor, make):
    """Two batches of deals, of which the second is not taken however often it is tried."""
    ids, answer = [f"D{number:04d}" for number in range(vendor.batch + 5)], vendor.fake.answer

    def ails(request):
        is_update = vendor.update in request.path and request.method == vendor.method
        return Answer(500, "oops") if is_update and len(vendor.updates()) > 1 else answer(request)

    with serving(vendor.fake) as url:
        desk = make(vendor, url, ids)
        vendor.fake.answer = ails
        with pytest.raises(DeliveryError, match=r"it answered 500 .* 3 times in a row; what was written is remembered"):
            desk.run()
        vendor.fake.answer = answer
        assert written(desk.run()) == [5, 1]
    assert [len(batch) for batch in vendor.updates()] == [vendor.batch, 5, 5, 5, 5, 1]


def test_write_back__a_limit_is_for_all_objects_together_and_the_next_run_goes_on(desk, vendor):
    assert written(desk.run(limit=2)) == [2, 0]
    assert written(desk.run(limit=2)) == [1, 1]


def test_write_back__two_at_once_are_one_too_many(desk):
    parts = plan(desk.store, desk.rules)

    class Meanwhile:
        batch_size = 1

        def open_deals(self, object_, ids):
            with pytest.raises(LockedError, match="just now"):
                desk.run()
            return set()

    assert written(write_back(desk.store, Meanwhile(), parts[:1], target=target_of(desk.rules), now=lambda: NOW)) == [0]


def test_write_back__a_field_that_is_not_there_is_one_clear_error(desk, vendor):
    vendor.fake.own_fields.discard(vendor.first_field)
    with pytest.raises(DeliveryError, match=vendor.first_field):
        desk.run()
    assert len(vendor.updates()) == 1


def test_write_back__wrong_secrets_are_named_by_their_variable_and_not_shown(desk, vendor):
    vendor.fake.secret = "another"
    with pytest.raises(DeliveryError, match=r"SALESFORCE_CLIENT_ID|HUBSPOT_TOKEN") as caught:
        desk.run()
    assert not any(secret in str(caught.value) for secret in SECRETS.values() if secret != "the-client")
    with pytest.raises(SourceError, match="set the environment variable"):
        open_crm(desk.rules, {})


def test_salesforce__a_session_that_has_expired_is_logged_in_again(make):
    vendor = AtSalesforce()
    with serving(vendor.fake) as url:
        crm = make(vendor, url).crm()
        assert crm.open_deals(vendor.deals, ["D2", "D1"]) == {"D1", "D2"}
        vendor.fake.is_expired = True
        assert crm.open_deals(vendor.deals, ["D9", "D1"]) == {"D1"}
    assert vendor.fake.sessions == 2


def test_salesforce__requests_of_the_day_that_are_used_up_end_it_with_what_was_written(make):
    vendor = AtSalesforce()
    with serving(vendor.fake) as url:
        desk = make(vendor, url)
        vendor.fake.trouble("/composite/sobjects/Opportunity", salesforce.USED_UP)
        with pytest.raises(
            DeliveryError, match=r"TotalRequests Limit exceeded\. \(REQUEST_LIMIT_EXCEEDED\); what was written is remembered"
        ):
            desk.run()
        assert written(desk.run()) == [3, 1]


def test_plan__without_a_scoring_says_so(tmp_path, make, vendor):
    store = Store(f"sqlite:///{tmp_path}/empty.db")
    store.migrate()
    store.load({}, company=Company(), now=NOW)
    store.load({"deals": rows("deals", {**deal("A", "01-01"), "known_at": NOW})}, company=Company(), now=NOW)
    with pytest.raises(InsufficientDataError, match="close_time was not scored yet"):
        plan(store, read_write_back(EXAMPLES / f"{vendor.name}-write-back.yaml"))
    store.close()


def test_state__is_kept_on_both_databases(make, database_url):
    vendor = AtHubSpot()
    with serving(vendor.fake) as url:
        desk = make(vendor, url, database_url=database_url)
        assert written(desk.run()) == [3, 1]
        assert written(desk.run()) == [0, 0]
    held = desk.store.written.read(target_of(desk.rules), "deals")["D1"]
    assert (held["predictkpi_win_chance"], held["predictkpi_close_date"], held["predictkpi_status"]) == (0.5, "2024-08-01", "limited")


def test_write_back__killed_in_the_middle_is_gone_on_with(make, tmp_path):
    """250 deals are three batches; the kill falls into the second, after it was applied."""
    vendor, ids = AtHubSpot(), [f"D{number:03d}" for number in range(250)]
    is_reached, may_answer, answer = threading.Event(), threading.Event(), vendor.fake.answer

    def slow(request):
        found = answer(request)
        if len(vendor.updates()) == 2 and vendor.update in request.path:
            is_reached.set()
            assert may_answer.wait(30)
        return found

    with serving(vendor.fake) as url:
        desk = make(vendor, url, ids)
        vendor.fake.answer = slow
        nursery = Nursery(imports=IMPORTS, work="go(*words)")
        assert nursery.run(f"sqlite:///{tmp_path}/facts.db", desk.mapping, until=is_reached) == -signal.SIGKILL
        may_answer.set()
        vendor.fake.answer = answer
        (deals, _) = desk.run()
        nursery.close()
    assert deals.written == 150
    assert [len(batch) for batch in vendor.updates()[:4]] == [100, 100, 100, 50]
    assert vendor.updates()[1] == vendor.updates()[2]
    assert all(vendor.value(id_, vendor.first_field) == 0.5 for id_ in ids)


@pytest.fixture
def cli(desk, vendor, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"sqlite:///{tmp_path}/facts.db")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pipeline, "RetryingSession", lambda name, **options: vendor.session(desk.url, desk.waits))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["predictkpi", "write-back", "--to", vendor.name, "--mapping", str(desk.mapping), *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


def test_command__dry_run_shows_what_would_be_written_and_asks_nobody(cli, desk, vendor):
    code, out, err = cli("--dry-run", "--format", "csv", "--limit", "1")
    assert code == 0
    assert out.splitlines()[:2] == ["object,record,field,written,value", f"{vendor.deals},D1,{vendor.first_field},,{0.5 * vendor.points}"]
    assert len({line.split(",")[1] for line in out.splitlines()[1:]}) == 1
    code, out, err = cli("--dry-run")
    assert "3 records to write, 0 within their dead bands" in err
    assert vendor.first_field in out
    assert vendor.fake.requests == []
    assert desk.store.written.read(target_of(desk.rules), vendor.deals) == {}


def test_command__refused_records_are_told_and_exit_code_4(cli, vendor):
    vendor.fake.invalid["D2"] = "no"
    code, out, err = cli("--format", "json")
    told = json.loads(out)
    assert (code, [one["written"] for one in told["objects"]], told["refused"][0]["record"]) == (4, [2, 1], "D2")
    assert f"{vendor.deals} D2 was refused" in err
    vendor.fake.invalid.clear()
    assert cli()[0] == 0


def test_command__a_mapping_for_another_crm_is_an_error(cli, desk):
    desk.mapping.write_text(desk.mapping.read_text().replace("kind: hubspot", "kind: x").replace("kind: salesforce", "kind: x"))
    code, _, err = cli()
    assert code == 1
    assert "target.kind is 'x', and --to is" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{target: {kind: hubspot}}", "records: Field required"),
        ("{target: {kind: hubspot}, records: [{predictor: revenue, object: deals, fields: {a: mean}}]}", "predicts series"),
        (
            "{target: {kind: hubspot}, records: [{predictor: clv, object: x, fields: {a: p_win}}]}",
            "x.a: clv has no 'p_win'; there are: mean",
        ),
        (
            "{target: {kind: hubspot}, records: [{predictor: close_time, object: x, fields: {a: {value: p_win, as: date}}}]}",
            "number or percent",
        ),
        (
            "{target: {}, records: [{predictor: clv, object: x, fields: {a: {value: mean, dead_band: lots}}}]}",
            "a share of the value such as",
        ),
        ("{target: {}, records: [{predictor: clv, object: x, fields: {a: {value: mean, deadband: 1}}}]}", "deadband: Extra inputs"),
        (
            "{target: {}, records: [{predictor: close_time, object: x, fields: {a: {value: close_q50, as: date, dead_band: 5 %}}}]}",
            "is a number of days",
        ),
    ],
)
def test_rules__say_what_is_wrong_with_them(tmp_path, text, words):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(MappingError, match=words):
        read_write_back(path)
    with pytest.raises(MappingError, match="no such file"):
        read_write_back(tmp_path / "nothing.yaml")


def test_rules__a_statistic_of_several_horizons_needs_one(desk, vendor):
    content = yaml.safe_load(desk.mapping.read_text())
    content["records"] = [{"predictor": "close_time", "object": vendor.deals, "fields": {"a": "cif_won"}}]
    desk.mapping.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(MappingError, match="state its horizon, one of 90, 180"):
        plan(desk.store, read_write_back(desk.mapping))
    content["records"][0]["fields"] = {"a": {"value": "cif_won", "horizon": 90}}
    desk.mapping.write_text(yaml.safe_dump(content, sort_keys=False))
    (part,) = plan(desk.store, read_write_back(desk.mapping))
    assert [change.values["a"] for change in part.changes] == [0.5] * 3


@pytest.mark.parametrize(
    ("rule", "before", "after", "moved"),
    [
        ({"value": "p_win", "dead_band": 0.02}, 0.5, 0.52, False),
        ({"value": "p_win", "dead_band": 0.02}, 0.5, 0.5201, True),
        ({"value": "p_win"}, 0.5, 0.5, False),
        ({"value": "mean", "dead_band": "5 %"}, 100.0, 95.0, False),
        ({"value": "mean", "dead_band": "5%"}, 100.0, 94.9, True),
        ({"value": "mean", "dead_band": "5 %"}, 0.0, 0.01, True),
        ({"value": "mean", "dead_band": 9}, None, 0.0, True),
        ({"value": "mean", "dead_band": 9}, 1.0, None, True),
        ({"value": "mean", "dead_band": 9}, None, None, False),
        ({"value": "close_q50", "as": "date", "dead_band": 3}, "2024-02-27", "2024-03-01", False),
        ({"value": "close_q50", "as": "date", "dead_band": 3}, "2024-02-27", "2024-03-02", True),
        ({"value": "status"}, "full", "limited", True),
        ({"value": "as_of"}, "2024-02-27", "2024-09-02", False),
        ({"value": "model_version"}, "1", "2", False),
    ],
)
def test_dead_band__is_what_may_change_without_being_written(rule, before, after, moved):
    assert FieldRule.model_validate(rule).has_moved(before, after) is moved
