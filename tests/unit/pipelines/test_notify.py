"""What is news, and what was told already."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import SettingsError
from predictkpi.kpis.targets import Target
from predictkpi.outlook.periods import Part, PeriodOutlook
from predictkpi.pipelines.alerts import alerts
from predictkpi.pipelines.findings import Finding, Severity
from predictkpi.pipelines.monitor import MonitorReport
from predictkpi.pipelines.notify import TOLD, News, Notifier, deals_that_fell, kpi_alerts, running_targets, stale_data, targets_at_risk
from predictkpi.pipelines.promote import promote, rollback
from predictkpi.pipelines.rules import read_rule
from predictkpi.pipelines.train import train
from predictkpi.pipelines.webhooks import CHAMPION_CHANGED, EVENTS, WebhookRule
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.store import MovedMarks, Store
from toy import company as toys
from toy.books import books, deal, event

NOW = pd.Timestamp("2024-07-01 06:00")
RULE = WebhookRule()


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()


def news(store: Store | None = None) -> News:
    return News(NOW, "Toys", store.marks(TOLD) if store else {})


def keep(store, found: News) -> list[dict]:
    """Queue it as the notifier does; the data of its messages."""
    store.outbox.queue([], now=NOW, marks=MovedMarks(TOLD, found.told, found.marks))
    return [dict(message.data) for message in found.messages]


def scored(store, day: str, version: str = "1", **chances: float) -> None:
    rows = [("close_time", one, pd.Timestamp(day), 180, "p_win", chance, version, "full", "") for one, chance in chances.items()]
    store.write_predictions(pd.DataFrame(rows, columns=c.PREDICTION_COLUMNS), now=NOW)


def fallen(store) -> list[dict]:
    found = news(store)
    deals_that_fell(
        found, store, books(deals=[deal("A", "01-01")], deal_events=[event("A", "01-01", "Offer", owner="Ann", amount=5.0)]), RULE
    )
    return keep(store, found)


def test_deal__is_told_of_once_it_fell_by_more_than_the_rule_says_since_it_was_highest(store):
    """By 10 points twice: no night fell by 15, both together did. Then the fall begins anew where it was told of."""
    for day, chance, told in [("07-01", 0.7, 0), ("07-02", 0.6, 0), ("07-03", 0.5, 1), ("07-04", 0.4, 0), ("07-05", 0.34, 1)]:
        scored(store, f"2024-{day}", A=chance, B=0.2)
        found = fallen(store)
        assert len(found) == told, day
        assert fallen(store) == [], "the same scoring again is no news"
    assert found[0] == {
        "company": "Toys",
        "deal_id": "A",
        "as_of": "2024-07-05T00:00:00",
        "model_version": "1",
        "p_win": 0.34,
        "p_win_before": 0.5,
        "as_of_before": "2024-07-03T00:00:00",
        "change": pytest.approx(-0.16),
        "customer_id": None,
        "owner": "Ann",
        "stage": "Offer",
        "amount": 5.0,
    }


def test_deal__that_is_scored_again_on_the_same_day_is_told_of_when_it_falls(store):
    for chance, told in [(0.9, 0), (0.6, 1), (0.6, 0), (0.4, 1)]:
        scored(store, "2024-07-01", A=chance)
        assert [one["p_win"] for one in fallen(store)] == [chance] * told


def test_deal__another_version_judges_it_anew(store):
    scored(store, "2024-07-01", A=0.9)
    assert fallen(store) == []
    scored(store, "2024-07-02", "2", A=0.3)
    assert fallen(store) == []
    scored(store, "2024-07-03", "2", A=0.1)
    assert [one["model_version"] for one in fallen(store)] == ["2"]


def test_deal__that_is_no_longer_scored_is_forgotten(store):
    for day, chances in [("07-01", {"A": 0.9, "B": 0.5}), ("07-02", {"B": 0.5}), ("07-03", {"A": 0.1, "B": 0.5})]:
        scored(store, f"2024-{day}", **chances)
        assert fallen(store) == []


def period(chance: float, *, start: str = "2024-07-01", scope: str = "total") -> PeriodOutlook:
    part, begin = Part(0.0, 0.0, 0.0), pd.Timestamp(start)
    levels = {"q10": 1.0, "q50": 2.0, "q90": 3.0}
    sums = {"mean": 2.0, "quantiles": levels, "growth": {}, "booked": 0.5, "from_deals": part, "new": part, "weighted_pipeline": 0.0}
    end = begin + pd.DateOffset(months=3)
    return PeriodOutlook(scope, "this_quarter", begin, end, **sums, target=Target(4.0, "exact"), chance=chance, needed=3.5)


def at_risk(store, *periods: PeriodOutlook) -> list[dict]:
    found = news(store)
    targets_at_risk(found, periods, [{"predictor": "revenue", "version": "7", "kind": "model"}], as_of=NOW, rule=RULE)
    return keep(store, found)


def test_target__is_told_of_once_and_again_only_after_it_recovered(store):
    told = [len(at_risk(store, period(chance))) for chance in (0.6, 0.39, 0.2, 0.45, 0.39, 0.5, 0.39)]
    assert told == [0, 1, 0, 0, 0, 0, 1]


def test_target__of_the_next_quarter_and_of_another_scope_is_another(store):
    assert len(at_risk(store, period(0.1))) == 1
    (told,) = at_risk(store, period(0.1), period(0.1, scope="region=EMEA"))
    assert (told["scope"], told["chance"], told["target"], told["most_likely"]) == ("region=EMEA", 0.1, 4.0, 2.0)
    assert told["models"] == [{"predictor": "revenue", "version": "7", "kind": "model"}]
    assert len(at_risk(store, period(0.1, start="2024-10-01"))) == 1


def test_running_targets__without_targets_or_a_champion_there_is_none(registry, snapshot):
    class Nobody:
        @staticmethod
        def champion(name):
            from predictkpi.errors import NoChampionError

            raise NoChampionError(name)

        versions = champion

    assert running_targets(registry, toys.snapshot()) == ([], [])
    assert len(snapshot.targets)
    assert running_targets(Nobody(), snapshot) == ([], [])


def test_stale_data__is_told_by_table_and_newest_row():
    finding = Finding("freshness", "orders", Severity.ALARM, "no row", "look", {"days": 9.0, "newest": "2024-06-20T00:00:00"}, 2.5)
    well = Finding("freshness", "deals", Severity.NOTE, "fresh", figures={"newest": "2024-06-30T00:00:00"})
    ids = []
    for days in (9.0, 10.0):
        older = Finding("freshness", "orders", Severity.ALARM, "no row", "look", {"days": days, "newest": finding.figures["newest"]}, 2.5)
        found = news()
        stale_data(found, MonitorReport("Toys", NOW, (older, well)))
        (message,) = found.messages
        ids.append(message.id)
    assert ids[0] == ids[1]
    assert (message.data["table"], message.data["days"], message.data["limit"]) == ("orders", 10.0, 2.5)


def test_kpi_alerts__tell_a_month_as_nobody_could_expect():
    orders = toys.orders(months=40)
    last = orders["ds"] >= orders["ds"].max() - pd.Timedelta(days=5)
    orders.loc[last, "amount"] *= 5
    found = news()
    kpi_alerts(found, alerts(Snapshot(MemoryFacts({"orders": orders}), toys.END), periods=1), as_of=toys.END)
    told = {message.data["kpi"]: message.data for message in found.messages if message.data["freq"] == "M"}
    assert (told["revenue"]["direction"], told["revenue"]["verdict"], told["revenue"]["start"]) == (
        "above",
        "better",
        "2023-12-01T00:00:00",
    )
    assert told["revenue"]["value"] > told["revenue"]["high"] > told["revenue"]["expected"]


@pytest.fixture
def toy_books(store, registry, tmp_path, catalogue, no_champion):
    """A store and a registry with a champion of the toy predictor, and whoever tells of them."""
    (tmp_path / "evaluation.yaml").write_text("toy: {folds: 2, step: 4, gap: 2}\n")
    store.load({"orders": toys.orders()}, company=Company(name="Toys"), now=NOW)
    train(store, registry, predictors=["toy"], as_of=None, models_dir=tmp_path, now=NOW)
    return Notifier(store, registry, models_dir=tmp_path, now=NOW)


def bodies(store) -> list[dict]:
    found = []
    while (letter := store.outbox.claim(NOW, lease=pd.Timedelta(minutes=1))) is not None:
        found.append(json.loads(letter.body))
    return found


def test_champion__every_change_is_told_once_with_who_decided_it(store, registry, toy_books, tmp_path):
    assert toy_books.after_promotion() == 1
    assert toy_books.after_promotion() == 0
    (first,) = bodies(store)
    version = registry.champion_version("toy")
    told = first["data"]
    assert (first["type"], told["predictor"], told["model_version"], told["previous_version"]) == (CHAMPION_CHANGED, "toy", version, None)
    assert (told["action"], told["kind"], told["as_of"][:10]) == ("train", "model", "2023-12-11")
    assert told["gate"]["low"] > 0

    (tmp_path / "toy.yaml").write_text("factor: 0.9")
    train(store, registry, predictors=["toy"], as_of=None, models_dir=tmp_path, now=NOW)
    assert toy_books.after_promotion() == 0, "a challenger is no champion"
    other = next(row["version"] for row in registry.versions("toy") if row["version"] != version)
    for turn in range(2):
        promote(store, registry, "toy", other, now=NOW, actor="ann")
        assert toy_books.after_promotion() == 1
        rollback(store, registry, "toy", now=NOW, actor="ben")
        assert toy_books.after_promotion() == 1, f"turn {turn}: the same change once more is another change"
    told = [one["data"] for one in bodies(store)]
    assert [one["model_version"] for one in told] == [other, version] * 2
    assert [(one["action"], one["actor"]) for one in told] == [("promote", "ann"), ("rollback", "ben")] * 2
    assert told[0]["previous_version"] == version


def test_notifier__where_another_process_was_faster_begins_anew(store, registry, toy_books, monkeypatch):
    """The other one tells the same change between our reading and our writing."""
    queue, others = store.outbox.queue, [1]

    def meanwhile(letters, **named):
        if others:
            others.pop()
            assert toy_books.after_promotion() == 1
        return queue(letters, **named)

    monkeypatch.setattr(store.outbox, "queue", meanwhile)
    assert toy_books.after_promotion() == 0
    assert len(bodies(store)) == 1


def test_notifier__what_the_rule_leaves_out_is_not_written_down(store, toy_books, tmp_path, registry):
    (tmp_path / "webhooks.yaml").write_text("events: [target.at_risk]\n")
    assert Notifier(store, registry, models_dir=tmp_path, now=NOW).after_promotion() == 0
    assert toy_books.after_promotion() == 0, "it counts as told"


def test_notifier__after_a_watch_and_a_scoring(store, toy_books):
    finding = Finding("freshness", "orders", Severity.ALARM, "no row", "look", {"days": 9.0, "newest": "2024-06-20T00:00:00"}, 2.5)
    assert toy_books.after_monitor(MonitorReport("Toys", NOW, (finding,))) >= 3
    assert {"champion.changed", "data.stale", "monitor.alarm"} <= {body["type"] for body in bodies(store)}
    scored(store, "2024-07-01", A=0.9)
    assert toy_books.after_scoring() == 0
    scored(store, "2024-07-02", A=0.1)
    assert toy_books.after_scoring() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("events: [deal.lost]", "no such event: deal.lost; there are: champion.changed"),
        ("target_recovered: 0.3", "must not lie below target_chance"),
        ("fell: 0.3", "no such key; there are: events, chance_fell"),
    ],
)
def test_rule__says_what_is_wrong_with_it(tmp_path, text, words):
    path = tmp_path / "webhooks.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_rule(WebhookRule, path)


def test_rule__of_the_models_folder_states_the_defaults(request):
    path = request.config.rootpath / "models" / "webhooks.yaml"
    rule = read_rule(WebhookRule, path)
    assert rule == WebhookRule()
    assert set(rule.events) == set(EVENTS)
