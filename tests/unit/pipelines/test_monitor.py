"""`monitor` over sources and champions, what the webhook is told, and the exit codes of the command."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from fakes.serving import Answer, Fake, serving
from predictkpi.cli import main
from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.delivery import verify
from predictkpi.errors import ArtifactError, RegistryError
from predictkpi.pipelines.findings import MonitorRule, Severity
from predictkpi.pipelines.monitor import AGE, monitor
from predictkpi.pipelines.train import train
from predictkpi.pipelines.watch_drift import INPUTS, PREDICTIONS, Cohorts, drift, past_pairs
from predictkpi.pipelines.watch_errors import ERROR
from predictkpi.pipelines.watch_sources import FRESHNESS, VOLUME
from predictkpi.pipelines.webhooks import DATA_STALE, MONITOR_ALARM
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.store import Delivery, Store
from toy import company as toys

NOW = pd.Timestamp("2023-12-12 08:00")
DAY = pd.Timedelta(days=1)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def books(tmp_path_factory, registry, forget_champions):
    """A store of the toy company, a registry with a champion that learnt in August, and a models folder."""
    import predictkpi.predictors

    folder = tmp_path_factory.mktemp("watched")
    (folder / "models").mkdir()
    (folder / "models" / "evaluation.yaml").write_text("toy: {folds: 3, step: 3, gap: 2}\n")
    (folder / "models" / "monitor.yaml").write_text("{least_outcomes: 10, stale_after_days: 365}\n")
    store = Store(f"sqlite:///{folder}/facts.db")
    store.migrate()
    store.load({"orders": toys.orders()}, company=Company(name="Toys"), now=NOW)
    forget_champions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictkpi.predictors, "PREDICTORS", ("toy.model.Toy",))
        train(store, registry, predictors=["toy"], as_of=pd.Timestamp("2023-09-01"), models_dir=folder / "models", now=NOW)
    return folder, store, registry


@pytest.fixture
def watch(books, catalogue):
    folder, store, registry = books

    def run(**options):
        report = monitor(store, registry, **{"predictors": ["toy"], "now": NOW, "models_dir": folder / "models"} | options)
        return report, {finding.check: finding for finding in report.findings}

    return run


def test_monitor__of_books_as_ever_finds_nothing_wrong(watch):
    report, found = watch()
    assert report.wrong == ()
    assert {FRESHNESS, VOLUME, AGE, ERROR} <= set(found)
    assert found[ERROR].reason.endswith("as the backtest let expect")
    assert found[ERROR].figures["outcomes"] >= 40


def test_monitor__sources_that_stopped_and_a_stale_champion_are_found_worst_first(watch):
    report, found = watch(now=NOW + 400 * DAY)
    assert [finding.severity for finding in report.wrong] == [Severity.ALARM, Severity.WARNING]
    assert found[FRESHNESS].subject == "orders"
    assert found[AGE].reason.startswith("stale: the champion has learnt from data up to 2023-09-01")
    assert all(finding.way_out for finding in report.wrong)


class Without:
    """A registry in which that fails, or which has nothing."""

    def __init__(self, registry, error=None, *, at="versions"):
        self._registry, self._error, self._at = registry, error, at

    def versions(self, predictor):
        if self._at == "versions" and self._error:
            raise self._error
        return [] if self._error is None else self._registry.versions(predictor)

    def champion(self, predictor):
        raise self._error


def test_monitor__a_predictor_without_a_champion_is_found_if_it_could_have_one(books, watch):
    folder, store, registry = books
    options = {"predictors": ["toy"], "now": NOW, "models_dir": folder / "models"}
    report = monitor(store, Without(registry), **options)
    assert [finding.reason for finding in report.wrong] == ["nothing serves: it has no champion"]
    early = pd.Timestamp("2022-01-05")
    report = monitor(store, Without(registry), **options | {"as_of": early, "now": early})
    assert report.wrong == ()
    assert "too little to learn from: 0 orders of 20" in report.findings[0].reason


def test_monitor__a_version_that_does_not_say_what_it_knows_is_a_warning(books, watch, monkeypatch):
    folder, store, registry = books
    silent = [row | {"as_of": ""} for row in registry.versions("toy")]
    monkeypatch.setattr(registry, "versions", lambda predictor: silent)
    report = monitor(store, registry, predictors=["toy"], now=NOW, models_dir=folder / "models")
    assert [(finding.check, finding.severity) for finding in report.wrong] == [(AGE, Severity.WARNING)]


@pytest.mark.parametrize(
    ("error", "at", "words"),
    [
        (RegistryError("MLflow is away"), "versions", "could not be watched: MLflow is away"),
        (ArtifactError("a flipped byte"), "champion", "the champion cannot be read: a flipped byte"),
        (KeyError("a column"), "champion", "could not be watched: it fails with KeyError; the log has the cause"),
    ],
)
def test_monitor__what_cannot_be_watched_is_an_alarm_and_the_rest_is_watched(books, watch, error, at, words):
    folder, store, registry = books
    report = monitor(store, Without(registry, error, at=at), predictors=["toy"], now=NOW, models_dir=folder / "models")
    assert [(finding.severity, finding.reason) for finding in report.wrong] == [(Severity.ALARM, words)]
    assert FRESHNESS in {finding.check for finding in report.findings}


def test_monitor__as_of_a_day_before_the_training_compares_nothing(watch):
    _, found = watch(as_of=pd.Timestamp("2023-06-11"), now=pd.Timestamp("2023-06-11"))
    assert "nothing to compare" in found[INPUTS].reason


def test_message__is_the_same_for_the_same_alarm_on_the_same_data(watch):
    first, later = (watch(now=NOW + days * DAY)[0] for days in (400, 402))
    told = first.message(NOW)
    assert told.type == MONITOR_ALARM
    assert told.data["findings"][0]["reason"] == first.wrong[0].reason
    assert later.message(NOW + 2 * DAY).id == told.id
    assert watch(now=NOW + 100 * DAY)[0].message(NOW).id != told.id


class Receiver(Fake):
    def answer(self, request):
        return Answer(204, "")


@pytest.fixture
def cli(books, catalogue, monkeypatch, capsys):
    folder, _, registry = books
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"sqlite:///{folder}/facts.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["predictkpi", "monitor", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


def test_command__all_well_is_exit_code_0(cli):
    code, out, err = cli("--as-of", "2023-12-11")
    assert (code, out) == (0, "")
    assert "all is well" in err
    code, out, _ = cli("--as-of", "2023-12-11", "--all", "--format", "json")
    told = json.loads(out)
    assert (code, told["wrong"], told["company"]) == (0, 0, "Toys")
    assert {"check", "subject", "severity", "reason", "way_out", "figures", "threshold"} == set(told["findings"][0])


def test_command__something_wrong_is_exit_code_1_and_the_webhook_is_told_once(cli, monkeypatch):
    receiver = Receiver()
    with serving(receiver) as url:
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_URL", f"{url}/t0ken")
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_SECRET", SECRET)
        assert cli("--no-webhook")[0] == 1
        assert not receiver.requests
        code, out, err = cli("--format", "json")
        told = len(receiver.requests)
        again, _, _ = cli("--format", "csv")
    assert (code, again, len(receiver.requests)) == (1, 1, told)
    assert json.loads(out)["findings"][0]["check"] == FRESHNESS
    assert f"127.0.0.1: {told} delivered" in err
    assert "t0ken" not in err
    bodies = {request.json["type"]: request.json["data"] for request in receiver.requests}
    assert bodies[MONITOR_ALARM]["findings"][0]["check"] == FRESHNESS
    assert (bodies[DATA_STALE]["table"], bodies[DATA_STALE]["company"]) == ("orders", "Toys")
    for request in receiver.requests:
        assert verify(SECRET, request.headers, request.body, now=int(request.headers["webhook-timestamp"]))


def test_command__an_alarm_that_was_not_taken_is_exit_code_4_and_stays_in_the_outbox(cli, books, monkeypatch):
    folder, _, _ = books
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"sqlite:///{folder}/facts_of_4.db")
    other = Store(f"sqlite:///{folder}/facts_of_4.db")
    other.migrate()
    other.load({"orders": toys.orders()}, company=Company(name="Toys"), now=NOW)
    receiver = Receiver()
    receiver.trouble("/hook", Answer(403, "no"), times=10)
    with serving(receiver) as url:
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_URL", f"{url}/hook")
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_SECRET", SECRET)
        code, _, err = cli()
    assert code == 4
    assert "dead (predictkpi webhooks dead)" in err
    found = other.outbox.messages(Delivery.DEAD)
    assert MONITOR_ALARM in set(found["type"])
    assert found["answer"].str.startswith("it answered 403").all()
    other.close()


def test_command__a_webhook_without_a_secret_is_an_error(cli, monkeypatch):
    monkeypatch.setenv("PREDICTKPI_WEBHOOK_URL", "https://example.com/hook")
    code, _, err = cli()
    assert code == 1
    assert "webhook_secret is not" in err


def test_past_pairs__lie_before_the_training_and_as_far_apart_as_today():
    first, trained, now = (pd.Timestamp(day) for day in ("2022-01-01", "2024-06-01", "2024-09-01"))
    today, *past = past_pairs(first, trained, now, 24)
    assert today == (trained, now)
    assert len(past) == 24
    assert all(end <= trained and start >= first and end - start == now - trained for start, end in past)
    assert len({end for _, end in past}) == 24


def test_past_pairs__of_young_books_lie_nearer_to_one_another():
    trained, now = pd.Timestamp("2024-06-01"), pd.Timestamp("2024-12-01")
    today, *past = past_pairs(trained - 250 * DAY, trained, now, 24)
    assert len(past) >= 12
    assert today[1] - today[0] == past[0][1] - past[0][0] == 82 * DAY
    assert past_pairs(trained - 100 * DAY, trained, now, 24) == []


def in_another_unit(company, since):
    """All amounts that became known since then in cents."""
    tables = {name: company.tables[name].copy() for name in ("orders", "deal_events")}
    for frame in tables.values():
        frame.loc[frame[c.KNOWN_AT] >= since, c.AMOUNT] *= 100
    return Snapshot(MemoryFacts({**company.tables, **tables}, company.company), company.end)


@pytest.mark.parametrize("name", ["revenue", "clv", "close_time"])
def test_drift__of_inputs_finds_an_amount_in_another_unit_and_nothing_in_the_company_as_it_is(company, name):
    trained, model = company.end - 91 * DAY, predictor_class(name)()
    quiet, faulty = (
        drift(Cohorts(model, snapshot), trained=trained, rule=MonitorRule(drift_pairs=18), level=0.005, checks=(INPUTS,))
        for snapshot in (company.snapshot(), in_another_unit(company, company.end - 40 * DAY))
    )
    assert [finding.severity for finding in quiet] == [Severity.NOTE]
    assert quiet[0].threshold > 0
    assert [finding.severity for finding in faulty] == [Severity.ALARM]
    assert faulty[0].figures["score"] > faulty[0].threshold
    assert "changed more than ever before" in faulty[0].reason


def test_drift__of_predictions_finds_it_too(company):
    trained, model = company.end - 91 * DAY, predictor_class("clv")().baseline()
    model.fit(model.training_table(company.snapshot(trained)))
    quiet, faulty = (
        drift(Cohorts(model, snapshot), trained=trained, rule=MonitorRule(drift_pairs=18), level=0.005, checks=(PREDICTIONS,))
        for snapshot in (company.snapshot(), in_another_unit(company, company.end - 40 * DAY))
    )
    assert [finding.is_wrong for finding in (*quiet, *faulty)] == [False, True]
