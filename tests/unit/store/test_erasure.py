"""A company or a person goes from every table, on both databases, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from predictkpi.core.access import AccessRole, RowScope
from predictkpi.core.types import Company
from predictkpi.errors import UnknownEntityError
from predictkpi.store import Store
from predictkpi.store.keys import ApiKey
from predictkpi.store.outbox import Letter
from predictkpi.store.places import PLACES
from predictkpi.store.schema import METADATA
from predictkpi.tables import TABLES

NOW, LATER = pd.Timestamp("2024-06-01"), pd.Timestamp("2024-07-01")
COMPANY = Company(name="Acme", currency="EUR")
GONE, DEAL, PERSON = "cust-gone-77", "deal-gone-88", "Ann Gone-Lee"


def typed(table: str, *rows: dict) -> pd.DataFrame:
    empty = TABLES[table].empty()
    frame = pd.DataFrame([{name: row.get(name) for name in empty.columns} for row in rows])
    return frame.astype(empty.dtypes.to_dict())


FACTS = {
    "customers": typed(
        "customers",
        {"customer_id": GONE, "name": "Gone Ltd", "known_at": "2024-01-01"},
        {"customer_id": GONE, "name": "Gone Inc", "known_at": "2024-02-01"},
        {"customer_id": "stays", "name": PERSON, "known_at": "2024-01-01"},
    ),
    "orders": typed(
        "orders",
        {"order_id": "o1", "ds": "2024-03-01", "customer_id": GONE, "amount": 1.0, "known_at": "2024-03-01"},
        {"order_id": "o2", "ds": "2024-03-02", "customer_id": "stays", "deal_id": DEAL, "amount": 2.0, "known_at": "2024-03-02"},
    ),
    "deals": typed(
        "deals",
        {"deal_id": DEAL, "customer_id": GONE, "name": "big one", "known_at": "2024-02-01"},
        {"deal_id": "d2", "customer_id": GONE, "known_at": "2024-02-01"},
        {"deal_id": "d2", "customer_id": "stays", "team": PERSON, "known_at": "2024-02-02"},
    ),
    "deal_events": typed(
        "deal_events",
        {"event_id": "e1", "deal_id": DEAL, "ds": "2024-02-01", "stage": "new", "owner": PERSON, "known_at": "2024-02-01"},
        {"event_id": "e2", "deal_id": "d2", "ds": "2024-02-01", "stage": "new", "owner": PERSON, "known_at": "2024-02-01"},
    ),
    "activities": typed(
        "activities",
        {"activity_id": "a1", "customer_id": GONE, "ds": "2024-02-01", "kind": "call", "known_at": "2024-02-01"},
        {"activity_id": "a2", "deal_id": DEAL, "ds": "2024-02-01", "kind": "call", "known_at": "2024-02-01"},
        {"activity_id": "a3", "deal_id": "d2", "ds": "2024-02-01", "kind": "call", "owner": PERSON, "known_at": "2024-02-01"},
    ),
    "attributes": typed(
        "attributes",
        {"table": "customers", "entity_id": GONE, "name": "size", "kind": "category", "value": "s", "known_at": "2024-02-01"},
        {"table": "deals", "entity_id": "d2", "name": "contact", "kind": "category", "value": PERSON, "known_at": "2024-02-01"},
    ),
    "targets": typed(
        "targets", {"kpi": "revenue", "scope": f"owner={PERSON}", "freq": "M", "ds": "2024-02-01", "value": 1.0, "known_at": "2024-02-01"}
    ),
}


def predicted(predictor: str, *entity_ids: str) -> pd.DataFrame:
    rows = {"predictor": predictor, "entity_id": list(entity_ids), "as_of": NOW, "horizon": 6, "statistic": "mean", "value": 1.0}
    return pd.DataFrame(rows | {"model_version": "1", "status": "full", "reason": ""})


def answer(predictor: str, entity_id: str) -> dict:
    row = {"prediction_id": f"{predictor} {len(entity_id)}{entity_id[-1]}", "predictor": predictor, "model_version": "1", "as_of": NOW}
    row |= {"entity_id": entity_id, "inputs_digest": "", "content": "[]"}
    return row | {"first_served_at": NOW, "last_served_at": NOW, "times": 1}


def asked(action: str, subject: str) -> dict:
    row = {"actor": "crm", "action": action, "subject": subject, "status": 200, "times": 1}
    return row | dict.fromkeys(("day", "first_at", "last_at"), NOW)


@pytest.fixture
def filled(store):
    store.load(FACTS, company=COMPANY, now=NOW)
    with store.begin_load(company=COMPANY, now=NOW) as load:
        load.withdraw("activities", "activity_id", ["a1", "a3"])
        rejects = [
            ("value of a key", "1", GONE, None),
            ("cell", "2", "soon", json.dumps({"who": f" {GONE} ", "net": "soon"})),
            ("called", "3", "soon", json.dumps({"who": "Gone Inc", "net": "soon"})),
            ("other", "4", "soon", json.dumps({"who": "stays", "net": "soon", "rep": PERSON})),
        ]
        frame = pd.DataFrame(rejects, columns=["reason", "row", "value", "record"]).astype({"row": "int64"})
        load.write_rejects(frame.assign(file="f.csv", table="orders", field="net"))
    store.write_predictions(predicted("clv", GONE, "stays"))
    store.write_predictions(predicted("close_time", DEAL, "d2"))
    store.write_predictions(predicted("revenue", "total", f"segment=a&team={PERSON}"))
    store.log_answers([answer("clv", GONE), answer("clv", "stays"), answer("close_time", DEAL)])
    store.write_audit(NOW, "test", "revenue", {"to": "1", "by": PERSON})
    store.accesses.add([asked("GET /v1/customers/{customer_id}/clv", GONE), asked("GET /v1/deals/{deal_id}/close-time", "d2")])
    store.keys.add(ApiKey("k1", "hash", PERSON, AccessRole.VIEWER, RowScope("owner", frozenset([PERSON, "Bo"])), None, NOW))
    store.write_marks("events", {"deals": json.dumps({"highest": {DEAL: [0.5], "d2": [0.1]}}), f"target owner={PERSON} 2024-Q1": "{}"})
    data = {"deal_id": DEAL, "customer_id": GONE, "owner": PERSON, "p_win": 0.1}
    store.outbox.queue([Letter("m1", "deal.chance_fell", json.dumps({"type": "deal.chance_fell", "data": data}), 0)], now=NOW)
    for kind, names in (("deals", (DEAL, "d2")), ("Account", (GONE, "stays"))):
        store.written.keep("crm", kind, {name: {"score": 1.0} for name in names}, as_of=NOW, model_version="1", now=NOW)
    store.repeatables.begin("r1", "", now=NOW, lease=pd.Timedelta(hours=1), keep=pd.Timedelta(hours=1))
    store.repeatables.finish("r1", f"{GONE} {PERSON}".encode(), begun_at=NOW, erasures=0)
    return store


def texts(store: Store) -> dict[str, str]:
    """Every cell of every table, as text."""
    engine = sa.create_engine(store.url)
    with engine.connect() as connection:
        found = {name: "\n".join(map(repr, connection.execute(sa.select(table)).all())) for name, table in METADATA.tables.items()}
    engine.dispose()
    return found


def tables_that_name(store: Store, text: str) -> set[str]:
    return {name for name, content in texts(store).items() if text in content}


def test_places__classify_every_column_of_text_or_bytes_of_every_table():
    for name, table in METADATA.tables.items():
        assert set(PLACES.get(name, {})) == {column.name for column in table.c if isinstance(column.type, sa.Text | sa.LargeBinary)}, name


def test_erase_customer__leaves_no_mention_in_any_table(filled):
    named = {
        "customers",
        "orders",
        "deals",
        "activities",
        "attributes",
        "rejects",
        "predictions",
        "answers",
        "access_log",
        "repeatable",
        "outbox",
        "written_back",
    }
    assert tables_that_name(filled, GONE) == named  # the cohort: it was there
    found = filled.erasures.erase("customer", GONE, at=LATER, actor="tester")
    assert tables_that_name(filled, GONE) == tables_that_name(filled, DEAL) == tables_that_name(filled, "Gone Inc") == set()
    assert found.counts["customers"] == 2
    assert found.first_known_at == pd.Timestamp("2024-01-01")
    kept = filled.snapshot(LATER)
    assert kept.customers["customer_id"].tolist() == ["stays"]
    assert kept.orders[["order_id", "deal_id"]].to_numpy().tolist()[0][0] == "o2"
    assert kept.orders["deal_id"].isna().all()
    assert kept.deals["deal_id"].tolist() == ["d2"]
    assert filled.snapshot(pd.Timestamp("2024-02-02")).deals["customer_id"].isna().all()
    assert filled.rejects(with_records=True)["reason"].tolist() == ["other"]
    assert filled.read_answers("clv")["entity_id"].tolist() == ["stays"]
    assert [set(filled.written.read("crm", kind)) for kind in ("deals", "Account")] == [{"d2"}, {"stays"}]
    assert '"customer_id": "erased"' in texts(filled)["outbox"]
    assert json.loads(filled.marks("events")["deals"]) == {"highest": {"d2": [0.1]}}


def test_erase_customer__leaves_a_deal_of_the_same_id(filled):
    filled.write_predictions(predicted("close_time", GONE))
    filled.erasures.erase("customer", GONE, at=LATER)
    assert tables_that_name(filled, GONE) == {"predictions"}


def test_erase__is_audited_and_listed_by_hash_alone(filled):
    found = filled.erasures.erase("customer", GONE, at=LATER, actor="tester")
    entry = filled.audit(limit=1).iloc[0]
    assert (entry["actor"], entry["action"], entry["subject"]) == ("tester", "erase", f"customer {found.digest}")
    assert json.loads(entry["detail"]) == {"rows": dict(found.counts)}
    listed = filled.erasures.all()
    assert listed["kind"].tolist() == ["customer", "deal", "order"]
    assert listed["salt"].nunique() == 1
    assert found.digest == listed["digest"].iloc[0]


def test_erase_person__leaves_the_facts_and_no_name(filled):
    rows = filled.counts()
    filled.erasures.erase("person", PERSON, at=LATER)
    assert tables_that_name(filled, PERSON) == set()
    assert filled.counts() == rows
    kept = filled.snapshot(LATER)
    (pseudonym,) = set(kept.deal_events["owner"])
    assert pseudonym.startswith("erased person ")
    assert kept.targets["scope"].tolist() == [f"owner={pseudonym}"]
    assert kept.customers["name"].tolist() == ["Gone Inc", pseudonym]
    assert f"segment=a&team={pseudonym}" in texts(filled)["predictions"]
    assert json.loads(filled.rejects(with_records=True)["record"].iloc[-1])["rep"] == pseudonym
    assert set(filled.marks("events")) == {"deals", f"target owner={pseudonym} 2024-Q1"}
    (key,) = filled.keys.all()
    assert (key.name, key.rows.members) == (pseudonym, {pseudonym, "Bo"})


def test_erase_person__keeps_hashes_in_step_so_that_the_same_rows_are_known(filled):
    filled.erasures.erase("person", PERSON, at=LATER)
    events = filled.snapshot(LATER).deal_events
    again = filled.load({"deal_events": events.drop(columns="known_at")}, company=COMPANY, now=LATER)["deal_events"]
    assert (again.accepted, again.unchanged) == (0, 2)


def test_erase__dry_run_counts_the_same_and_changes_nothing(filled):
    before = texts(filled)
    planned = filled.erasures.erase("customer", GONE, at=LATER, dry_run=True)
    assert texts(filled) == before
    assert planned.counts == filled.erasures.erase("customer", GONE, at=LATER).counts


def test_erase__of_what_is_not_there_says_so_and_leaves_no_trace(filled):
    before = texts(filled)
    with pytest.raises(UnknownEntityError, match="'nobody'"):
        filled.erasures.erase("customer", "nobody", at=LATER)
    assert texts(filled) == before


def test_erased__answers_and_predictions_of_a_view_that_is_still_old_are_not_kept(filled):
    filled.erasures.erase("customer", GONE, at=LATER)
    filled.log_answers([answer("clv", GONE), answer("clv", "stays"), answer("close_time", DEAL)])
    filled.log_answers([answer("clv", GONE)])
    filled.write_predictions(predicted("clv", GONE, "stays"))
    filled.accesses.add([asked("GET /v1/customers/{customer_id}/clv", name) for name in (GONE, GONE, "stays")])
    assert sorted(filled.accesses.read()["subject"]) == ["d2", "erased", "stays"]
    assert tables_that_name(filled, GONE) == set()
    assert filled.read_answers("clv")["times"].tolist() == [2]


def test_erase_listed__does_it_again_in_a_database_that_was_put_back(filled, tmp_path):
    other = Store(f"sqlite:///{tmp_path}/other.db")  # as a backup holds it
    other.migrate()
    other.load(FACTS, company=COMPANY, now=NOW)
    filled.erasures.erase("customer", GONE, at=LATER)
    filled.erasures.erase("person", PERSON, at=LATER)
    found = other.erasures.erase_listed(at=LATER, listed=filled.erasures.all())
    assert tables_that_name(other, GONE) == tables_that_name(other, PERSON) == tables_that_name(other, DEAL) == set()
    assert found.counts["customers"] == 3
    assert other.erasures.erase_listed(at=LATER).counts == {}
    pd.testing.assert_frame_equal(other.snapshot(LATER).deal_events, filled.snapshot(LATER).deal_events)
    other.close()


def test_forget_deleted__leaves_no_byte_in_sqlites_files(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.load(FACTS, company=COMPANY, now=NOW)

    def files_with(text: str) -> list[Path]:
        return [path for path in tmp_path.iterdir() if text.encode() in path.read_bytes()]

    assert files_with(GONE)
    store.erasures.erase("customer", GONE, at=LATER)
    assert store.erasures.forget_deleted()
    assert files_with(GONE) == files_with(DEAL) == []
    store.close()


def test_forget_deleted__works_on_both_databases_and_says_when_a_reader_stands_in_the_way(filled):
    filled.erasures.erase("customer", GONE, at=LATER)
    assert filled.erasures.forget_deleted()
