"""What is too old goes, what is still to be judged stays, and a second run finds nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.errors import SettingsError
from predictkpi.pipelines.retain import RetentionRule, needed_days, retain
from predictkpi.pipelines.rules import read_rule
from predictkpi.predictors import predictor_class
from predictkpi.store import Store, retention
from predictkpi.store.outbox import Delivery, Letter
from predictkpi.store.schema import METADATA

NOW = pd.Timestamp("2024-06-01")


def ago(days: int) -> pd.Timestamp:
    return NOW - pd.Timedelta(days=days)


def predicted(predictor: str, *days: int) -> pd.DataFrame:
    rows = {"predictor": predictor, "entity_id": "a", "as_of": [ago(day) for day in days], "horizon": 6, "statistic": "mean", "value": 1.0}
    return pd.DataFrame(rows | {"model_version": "1", "status": "full", "reason": ""})


def answer(predictor: str, days: int) -> dict:
    row = {"prediction_id": f"{predictor} {days}", "predictor": predictor, "model_version": "1", "as_of": ago(days), "entity_id": "a"}
    return row | {"inputs_digest": "", "content": "[]", "first_served_at": ago(days), "last_served_at": ago(days), "times": 1}


def reject(store: Store, days: int) -> None:
    with store.begin_load(company=Company(), now=ago(days)) as load:
        row = {"file": "f", "row": 1, "table": "orders", "field": "x", "value": "", "reason": f"{days}", "record": "{}"}
        load.write_rejects(pd.DataFrame([row]))


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    for predictor in ("revenue", "clv", "close_time"):
        store.write_predictions(predicted(predictor, 1, 799, 801))
        store.log_answers([answer(predictor, days) for days in (1, 399, 401, 801)])
    for days in (364, 366):
        reject(store, days)
    for days in (1094, 1096):
        store.write_audit(ago(days), "test", f"{days}", {})
    asked = {"actor": "crm", "action": "GET /v1/kpis", "status": 200, "times": 1}
    store.accesses.add(
        [
            asked | {"subject": f"{name} {days}", **dict.fromkeys(("day", "first_at", "last_at"), ago(days))}
            for name in "ab"
            for days in (399, 401)
        ]
    )
    for days, state in ((89, Delivery.DELIVERED), (91, Delivery.DELIVERED), (92, Delivery.DEAD), (93, Delivery.WAITING)):
        store.outbox.queue([Letter(f"msg {days}", "test", "{}", 0)], now=ago(days))
        letter = store.outbox.claim(ago(days), lease=pd.Timedelta(minutes=10))
        store.outbox.settle(letter, state, answer="", now=ago(days), due_at=NOW)
    orders = {"order_id": ["old", "new"], "ds": [ago(400), ago(1)], "customer_id": "a", "amount": 1.0}
    store.load(
        {
            "orders": pd.DataFrame(orders)
            .reindex(columns=["order_id", "ds", "customer_id", "amount", "currency", "product", "deal_id"])
            .astype({"order_id": "str", "customer_id": "str", "currency": "str", "product": "str", "deal_id": "str"})
        },
        company=Company(),
        now=NOW,
    )
    yield store
    store.close()


def rows(found) -> dict[str, int]:
    return pd.DataFrame(found).groupby("table")["rows"].sum().to_dict()


def days_left(store: Store, predictor: str) -> list[int]:
    return sorted((NOW - store.read_answers(predictor)["as_of"]).dt.days)


def test_tables__have_a_period_or_a_reason_to_be_kept():
    assert set(retention.AGES) | set(retention.KEPT) == set(METADATA.tables)
    assert not set(retention.AGES) & set(retention.KEPT)
    assert set(RetentionRule.model_fields) | {"scorings"} == set(retention.AGES)


def test_retain__deletes_by_the_periods_and_nothing_that_is_still_to_be_judged(store, tmp_path):
    planned = retain(store, tmp_path, now=NOW, dry_run=True)
    found = retain(store, tmp_path, now=NOW)
    assert planned == found
    assert rows(found) == {"answers": 5, "predictions": 3, "scorings": 3, "rejects": 1, "audit_log": 1, "access_log": 2, "outbox": 2}
    assert days_left(store, "close_time") == days_left(store, "revenue") == [1, 399]
    assert days_left(store, "clv") == [1, 399, 401]  # 24 months have not passed
    assert "until its longest horizon" in next(one.note for one in found if (one.table, one.predictor) == ("answers", "clv"))
    assert sorted(store.predicted_days("clv").query("role == 'champion'")["as_of"]) == [ago(799), ago(1)]
    assert store.rejects()["reason"].tolist() == ["364"]
    assert store.audit()["subject"].tolist() == ["1094"]
    assert sorted(store.accesses.read()["subject"]) == ["a 399", "b 399"]
    assert store.outbox.messages()["message_id"].tolist() == ["msg 93", "msg 89"], "one waits still"
    assert store.counts()["orders"] == 2
    assert set(rows(retain(store, tmp_path, now=NOW)).values()) == {0}


def test_retain__takes_facts_only_where_a_period_is_stated(store, tmp_path):
    (tmp_path / "retention.yaml").write_text(
        "orders: 365\nanswers: null\npredictions: null\nrejects: null\naudit_log: null\naccess_log: null\noutbox: null\n"
    )
    assert rows(retain(store, tmp_path, now=NOW)) == {"orders": 1}
    assert store.snapshot().orders["order_id"].tolist() == ["new"]


def test_retain__deletes_in_several_transactions(store, tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_A_TRANSACTION", 2)
    assert rows(retain(store, tmp_path, now=NOW))["answers"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("predictions: 700", "at least 760 days are needed: predictions of clv"),
        ("answer: 3", "no such key; there are: answers, predictions, rejects"),
        ("rejects: 0", "rejects=0"),
        ("deals: 9", "no such key"),
    ],
)
def test_retain__refuses_a_rule_that_makes_no_sense(store, tmp_path, text, message):
    (tmp_path / "retention.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        retain(store, tmp_path, now=NOW)
    assert len(store.read_answers("clv")) == 4


def test_needed_days__cover_every_horizon():
    assert {name: needed_days(predictor_class(name)().spec) for name in ("revenue", "clv", "close_time")} == {
        "revenue": 395,
        "clv": 760,
        "close_time": 210,
    }


def test_rule__in_the_models_folder_states_the_defaults(pytestconfig):
    assert read_rule(RetentionRule, pytestconfig.rootpath / "models" / "retention.yaml") == RetentionRule()
