"""What comes from below the service is told in the reader's language: nothing that can be shown stays English."""

from __future__ import annotations

import ast
import io
import re
import string
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest
from babel import Locale
from babel.messages.pofile import read_po
from test_languages import FOLDER, OTHERS

import predictkpi
from predictkpi.backtest.checks import GateRule
from predictkpi.backtest.cutoffs import FoldRule
from predictkpi.core.types import Status
from predictkpi.errors import UnknownNameError
from predictkpi.hygiene import DealBooks, check_names, get_check
from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.kpis.trends import trends
from predictkpi.pipelines.alerts import AlertRule, outlooks
from predictkpi.pipelines.findings import MonitorRule
from predictkpi.pipelines.readiness import readiness
from predictkpi.pipelines.watch_fields import watch_fields
from predictkpi.pipelines.watch_sources import watch_sources
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.service.dashboard import languages
from predictkpi.service.dashboard.languages import SENTENCES, current, sentence, speaking
from predictkpi.service.dashboard.sentences import Sentences
from predictkpi.service.problems import PROBLEM_TYPES

NOWHERE = Path("no-models-folder")
ENGLISH = re.compile(r"\b(the|is|are|and|or|of|than|from|with|it|for|not|no|needs?|there|only|by)\b")
"""Words that no German sentence has; commands between backticks may."""
AGES = (20, 60, 120, 240, 420, 800, 1400)
"""Days after its first order at which the sample company is looked at: every rung, from nothing to all."""


def english(texts, code="de"):
    """Those of the texts that a reader of another language would find English words in."""
    with speaking(code):
        sentences = current().sentences
        return sorted({text for text in texts if text and (sentences.known(text) is None or _has_english(sentence(text)))})


def _has_english(words):
    return ENGLISH.search(re.sub(r"`[^`]*`", "", words)) is not None


def told(texts, text, locale="de_DE"):
    """One text by sentences of the test's own."""
    return Sentences.of(texts.items(), Locale.parse(locale), lambda text: text).told(text)


def test_places__keep_their_values_and_numbers_are_written_as_the_language_does():
    texts = {
        "deal {id} rests on {n:n} of {need:n} orders since {day:d}": "Deal {id}: {n} von {need} Bestellungen seit {day}",
        "saves {share:n} ({low:n})": "spart {share} ({low})",
        "up to {month:d}, at {moment:d}": "bis {month}, um {moment}",
    }
    assert (
        told(texts, "deal 1,234.5 rests on 1,234.5 of 20 orders since 2025-03-31")
        == "Deal 1,234.5: 1.234,5 von 20 Bestellungen seit 31.03.2025"
    )
    assert told(texts, "saves +4.2% (-0.5)") == "spart +4,2\u202f% (\u22120,5)"
    assert told(texts, "saves nan% (nan)") == "spart – (–)"
    assert told(texts, "up to 2025-03, at 2025-03-31T14:05:00") == "bis März 2025, um 31.03.2025, 14:05"
    assert told(texts, "saves much (little)") == "saves much (little)"


def test_place_that_comes_twice__holds_the_same_twice():
    texts = {"beyond {days:n} days: counted up to day {days:n}": "über {days} Tage: gezählt bis Tag {days}"}
    assert told(texts, "beyond 180 days: counted up to day 180") == "über 180 Tage: gezählt bis Tag 180"
    assert told(texts, "beyond 180 days: counted up to day 90") == "beyond 180 days: counted up to day 90"


def test_place_of_words__is_told_in_turn_and_every_other_stays():
    texts = {
        "no change: {reason:t}": "keine Änderung: {reason}",
        "no change of {name}": "keine Änderung von {name}",
        "too few": "zu wenige",
    }
    assert told(texts, "no change: too few") == "keine Änderung: zu wenige"
    assert told(texts, "no change: who knows") == "keine Änderung: who knows"
    assert told(texts, "no change of too few") == "keine Änderung von too few"


def test_sentences_in_a_row__are_told_one_by_one_where_no_pattern_has_them_together():
    texts = {"{name} is missing": "{name} fehlt", "few; {n:n} are needed": "wenige; {n} sind nötig", "Wait for it.": "Warten Sie."}
    assert told(texts, "amount is missing; owner is missing") == "amount fehlt; owner fehlt"
    assert told(texts, "few; 40 are needed. Wait for it.") == "wenige; 40 sind nötig. Warten Sie."
    assert told(texts, "few; 40 are needed") == "wenige; 40 sind nötig"
    assert told(texts, "who knows; owner is missing. Why?") == "who knows; owner fehlt. Why?"
    assert told(texts, "A. B; C GmbH is missing") == "A. B; C GmbH fehlt"


def test_patterns__come_in_any_order():
    texts = {"{name} is missing": "{name} fehlt", "amount is missing": "der Betrag fehlt", "{a} is {b}": "{a} ist {b}"}
    for order in permutations(texts.items()):
        assert told(dict(order), "amount is missing") == "der Betrag fehlt"
        assert told(dict(order), "owner is missing") == "owner fehlt"
        assert told(dict(order), "owner is here") == "owner ist here"


@pytest.mark.parametrize("code", OTHERS)
def test_catalogue__has_words_for_each_pattern_and_only_kinds_of_places_that_there_are(code):
    catalogue = read_po(io.BytesIO((FOLDER / "locales" / code / SENTENCES).read_bytes()), abort_invalid=True)
    for message in catalogue:
        kinds = {kind for _, name, kind, _ in string.Formatter().parse(str(message.id)) if name is not None}
        assert kinds <= {"", "n", "d", "t"}, message.id
        assert all(not kind for _, name, kind, _ in string.Formatter().parse(str(message.string)) if name is not None), message.id
        assert bool(message.string) or not message.id, message.id
        assert not message.fuzzy, message.id


def test_long_text__stays_as_it_is_and_is_not_kept():
    with speaking("de"):
        languages._kept.cache_clear()
        told_still = f"no problem type named '{'a' * 800}'; there are: x"
        assert sentence(told_still).startswith("keine Fehlerart")
        assert languages._kept.cache_info().currsize == 0
        too_long = f"no problem type named '{'a' * 1000}'; there are: x"
        assert sentence(too_long) == too_long
        assert languages._kept.cache_info().currsize == 0
        assert sentence("untouched for 45 days") != "untouched for 45 days"
        assert languages._kept.cache_info().currsize == 1


@pytest.mark.parametrize("text", ["clv: " * 199, "clv: z; y. " * 90, "clv: z; " * 120, "no kind named " * 70, "x" + "." * 999])
def test_longest_text__is_gone_over_a_few_times_whatever_it_says(text, monkeypatch):
    looks, by_pattern = [], Sentences._by_pattern
    monkeypatch.setattr(Sentences, "_by_pattern", lambda self, part, depth: looks.append(part) or by_pattern(self, part, depth))
    with speaking("de"):
        current().sentences.told(text)
    assert 0 < sum(map(len, looks)) <= 20 * len(text)


def test_places_of_words__are_told_in_turn_but_not_on_and_on():
    texts = {"clv: {reason:t}": "Kundenwert: {reason}", "too few": "zu wenige"}
    assert told(texts, "clv: clv: too few") == "Kundenwert: Kundenwert: zu wenige"
    assert told(texts, "clv: " * 10_000 + "too few").endswith("clv: clv: too few")


def test_full_stops_at_the_end__are_kept_however_many():
    texts = {"too few": "zu wenige", "{name} is missing": "{name} fehlt"}
    assert told(texts, "too few.") == "zu wenige."
    assert told(texts, "too few...") == "zu wenige..."
    assert told(texts, "owner is missing" + "." * 5000) == "owner fehlt" + "." * 5000
    assert told(texts, "." * 5000) == "." * 5000


def test_unknown_name__is_repeated_up_to_a_length():
    assert str(UnknownNameError.among("KPI", "x", known=["b", "a"])) == "no KPI named 'x'; there are: a, b"
    assert len(str(UnknownNameError.among("KPI", "x" * 5000, known=["a"]))) < 120


@pytest.mark.parametrize("code", OTHERS)
def test_catalogues_of_the_code__are_known_whole(code):
    unheard = "nothing of the kind has ever been said"
    assert english([unheard, "", "untouched for 45 days"], code) == [unheard]
    texts = [text for name in kpi_names() for text in (get_kpi(name).formula, get_kpi(name).grain)]
    texts += [text for kind in PROBLEM_TYPES.values() for text in (kind.explanation, kind.way_out)]
    texts += [text for name in check_names() for text in (get_check(name).looks_at, get_check(name).at_stake, get_check(name).way_out)]
    texts += [statistic.description for name in predictor_names() for statistic in predictor_class(name).spec.statistics]
    texts += [field.description for rule in (GateRule, FoldRule, MonitorRule, AlertRule) for field in rule.model_fields.values()]
    for name in predictor_names():
        texts += [predictor_class(name)().purpose, *predictor_class(name)().limits]
    assert english(texts, code) == []
    titles = [get_kpi(name).title for name in kpi_names()] + [get_check(name).title for name in check_names()]
    titles += [predictor_class(name).spec.title for name in predictor_names()]
    assert all(title.get(code) for title in titles)


@pytest.fixture(scope="module")
def young(company):
    """The sample company as it was at several ages."""
    first = company.tables["orders"]["ds"].min().normalize()
    return [company.snapshot(first + pd.Timedelta(days=age)) for age in AGES]


def test_rungs_of_a_young_company__are_told(young):
    found = pd.concat([readiness(snapshot, models_dir=NOWHERE) for snapshot in young])
    assert len(set(found["status"])) >= 4
    assert english([*found["reason"], *found["lift"]]) == []


def test_predictions_of_a_young_company__are_told(young):
    reasons = set()
    for snapshot in young[1:4:2]:
        for name in predictor_names():
            baseline = predictor_class(name)().baseline()
            if baseline.readiness(snapshot).status is not Status.INSUFFICIENT_DATA:
                predicted = baseline.fit(baseline.training_table(snapshot)).predict(snapshot)
                reasons |= set(predicted["reason"].dropna())
    assert len(reasons) > 5
    assert english(reasons) == []


def test_kpis_of_a_young_company__are_told(young):
    reasons = {reason for snapshot in young[::2] for reason in trends(snapshot)["reason"]}
    rule = AlertRule(draws=1000, origins=6)
    for snapshot in young[1:4:2]:
        reasons |= {
            outlook.reason for name in kpi_names() for outlook in outlooks(snapshot, get_kpi(name), rule, with_quarter=True).values()
        }
    assert len(reasons) > 5
    assert english(reasons) == []


def test_books_of_a_young_company__are_told(young):
    texts = set()
    for snapshot in young[::3]:
        for name in check_names():
            result = get_check(name).run(DealBooks(snapshot))
            texts |= {result.threshold, *result.findings["detail"]}
    assert english(texts) == []


def test_findings_of_a_young_company__are_told(young):
    rule, texts = MonitorRule(), set()
    for snapshot in young[1::2]:
        for now in (snapshot.as_of, snapshot.as_of + pd.Timedelta(days=60)):
            found = [*watch_sources(snapshot, now=now, rule=rule), *watch_fields(snapshot, rule=rule)]
            texts |= {text for finding in found for text in (finding.reason, finding.way_out)}
    assert english(texts) == []


TOLD = {"reason", "notes", "formula", "verdict", "decision", "purpose", "limits", "lift", "fields_barred", "impossible", "exclusions"}
"""Members of answers that hold sentences, or whose members do."""
CODES = {"better", "worse", "none"}


def sentences_in(answer, is_told=False):
    """Every sentence of an answer."""
    if isinstance(answer, str):
        return {answer} - CODES if is_told else set()
    if isinstance(answer, list):
        return set().union(*(sentences_in(item, is_told) for item in answer))
    if isinstance(answer, dict):
        return set().union(*(sentences_in(item, is_told or name in TOLD) for name, item in answer.items()))
    return set()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/readiness",
        "/v1/kpis",
        "/v1/models",
        *(f"/v1/models/{name}" for name in predictor_names()),
        "/v1/scoreboard",
        "/v1/outlook",
        "/v1/deals/portfolio",
        "/v1/deals",
        "/v1/customers",
        "/v1/customers/value",
        "/v1/channels/value",
        "/v1/kpis/revenue/trend",
        "/v1/kpis/revenue/forecast",
        "/v1/kpis/revenue/alerts",
        "/v1/targets",
    ],
)
def test_answers_of_the_service__hold_no_sentence_that_only_english_readers_know(get, path):
    assert english(sentences_in(get(path))) == []


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/nowhere", {}),
        ("/v1/deals/nope", {}),
        ("/v1/customers/nope", {}),
        ("/v1/kpis/nope", {}),
        ("/v1/kpis/revenue", {"by": "nope"}),
        ("/v1/kpis/revenue", {"freq": "nope"}),
        ("/v1/kpis/revenue", {"as_of": "2999-01-01"}),
        ("/v1/kpis/revenue", {"as_of": "yesterday"}),
        ("/v1/kpis/revenue/forecast", {"scope": "region=nope"}),
        ("/v1/models/nope", {}),
        ("/v1/models/clv", {"version": "99"}),
        ("/v1/outlook", {"scope": "region=nope"}),
        ("/v1/outlook", {"win_rate": "7"}),
        ("/v1/outlook", {"scope": "total", "by": "region"}),
        ("/v1/outlook/moves", {"days": "0"}),
        ("/v1/deals", {"limit": "0"}),
        ("/v1/deals", {"limit": "many"}),
        ("/v1/deals", {"cursor": "nope"}),
        ("/v1/deals", {"sort": "nope"}),
        ("/v1/deals", {"nope": "1"}),
        ("/v1/customers/value", {"horizon": "5"}),
    ],
)
def test_refusals_of_the_service__are_told(served, path, params):
    answer = served.client.get(path, params=params)
    assert answer.status_code >= 400, answer.text
    refusal = answer.json()
    assert english([refusal["detail"], *(item["detail"] for item in refusal.get("errors", []))]) == []


def test_page_of_a_problem__is_told(served):
    page = served.client.get("/problems/unknown-entity", params={"lang": "de"}, headers={"Accept": "text/html"}).text
    assert "<h1>Diesen Kunden, Deal oder diese Reihe gibt es nicht</h1>" in page
    assert "laden Sie neuere Daten mit <code>predictkpi ingest</code>" in page
    assert "What to do" not in page


SRC = Path(predictkpi.__file__).parent
SAID_BY = {
    "BusyError",
    "DealClosedError",
    "Decision",
    "Finding",
    "ForbiddenError",
    "FutureAccessError",
    "InFlightError",
    "InsufficientDataError",
    "KeyReusedError",
    "NoChampionError",
    "NotReadyError",
    "OverloadedError",
    "RateLimitedError",
    "Readiness",
    "TooLargeError",
    "TooLongError",
    "Trust.none",
    "UnauthenticatedError",
    "UnknownEntityError",
    "_Standing",
    "cls.none",
}
"""What carries a sentence to the reader."""
NOT_SHOWN = ("backtest/run.py", "cli/", "pipelines/evaluate.py", "pipelines/search_days.py", "pipelines/write_back.py")
NOT_SHOWN += ("snapshot.py", "sources/", "store/erasure.py", "synthetic/")
WORDS = {
    "counts": "7 customers bought more than once, in 7 days",
    "entity": "deal",
    "held.key.state(utc_now())": "revoked",
    "kind": "model",
    "predictor.spec.name": "revenue",
    "serves": "baseline",
    "since": "since the last training's data, up to 2025-03-31",
    "stage": "won",
    "way_out": "run `predictkpi ingest`, or `predictkpi demo` for a sample company",
}
"""What stands in a place that holds one of a few words, by the expression."""


def said_in(path):
    """Sentences that a module hands to one of `SAID_BY` as they stand; each value in them is a number, a day, or another such thing."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in SAID_BY:
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                text = _as_said(argument)
                if text.count(" ") >= 2:
                    yield f"{path.relative_to(SRC).as_posix()}: {text}", text


def _as_said(argument):
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if not isinstance(argument, ast.JoinedStr):
        return ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else _value(part) for part in argument.values)


def _value(place):
    how = ast.unparse(place)
    if "%Y-%m" in how or "isoformat" in how:
        return "2025-03-31"
    return "7%" if "%" in how else WORDS.get(ast.unparse(place.value), "7")


def test_sentences_of_the_code__are_known():
    """A new one needs words in every language."""
    said = [
        one for path in sorted(SRC.rglob("*.py")) if not path.relative_to(SRC).as_posix().startswith(NOT_SHOWN) for one in said_in(path)
    ]
    assert len(said) > 50
    for code in OTHERS:
        with speaking(code):
            sentences = current().sentences
        assert [where for where, text in said if sentences.known(text) is None] == []
