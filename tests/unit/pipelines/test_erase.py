"""Erasure end to end: no byte of it below the data folder, and no way back in through a file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import predictkpi.registry.client
from predictkpi.core.types import ModelRef
from predictkpi.errors import DataError
from predictkpi.pipelines.erase import erase, read_list, replay_erasures, write_list
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay
from predictkpi.predictors import predictor_class
from predictkpi.registry import KeptTraining, Registry, TrainingRecord, keep
from predictkpi.sources.withheld import ERASED
from predictkpi.store import Store

NOW, LATER = pd.Timestamp("2024-06-01"), pd.Timestamp("2024-07-01")
MAPPING = """
company: {name: Acme, currency: EUR}
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: customers
    file: customers.csv
    columns: {customer_id: id, name: name}
    attributes: {contact: {name: contact, kind: category}}
  - {table: deals, file: deals.csv, columns: {deal_id: id, customer_id: customer, created_at: day}}
  - {table: deal_events, file: events.csv, columns: {deal_id: id, ds: day, stage: stage, owner: rep}}
  - {table: orders, file: orders.csv, columns: {order_id: id, ds: day, customer_id: customer, amount: net, deal_id: deal}}
"""
GONE, PERSON = "Gone-Customer-4711", "Ann Gone-Lee"
FILES = {
    "customers.csv": ["id,name,contact", f"{GONE},Gone Ltd,Bo", f"stays,Stays Ltd,{PERSON}"],
    "deals.csv": ["id,customer,day", f"deal-gone,{GONE},2024-01-01", "deal-stays,stays,2024-01-01"],
    "events.csv": ["id,day,stage,rep", f"deal-gone,2024-01-02,new,{PERSON}", f"deal-stays,2024-01-02,new,{PERSON}"],
    "orders.csv": [
        "id,day,customer,net,deal",
        f"o-gone,2024-02-01,{GONE},10,",
        f"o-bad,2024-02-01,{GONE},many,",
        "o-stays,2024-02-01,stays,10,deal-stays",
        "o-odd,2024-02-01,stays,many,",
    ],
}


class Desk:
    """A data folder with everything that a small installation has, and the files that were loaded elsewhere."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.data, self.files = folder / "data", folder / "files"
        self.files.mkdir()
        self.store = Store(database_url)
        self.store.migrate()

    def load(self, files: dict[str, list[str]] = FILES, *, now: pd.Timestamp = NOW):
        for name, lines in files.items():
            (self.files / name).write_text("\n".join(lines) + "\n")
        (self.files / "mapping.yaml").write_text(MAPPING)
        report = ingest(self.store, mapping=self.files / "mapping.yaml", source=self.files, now=now)
        for feed in report.feeds:
            assert feed.rows == feed.not_selected + feed.records
        assert sum(feed.rejected for feed in report.feeds) == len(report.rejects)
        return report

    def files_with(self, text: str) -> list[str]:
        return [path.name for path in self.data.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture
def desk(database_url, tmp_path):
    desk = Desk(tmp_path, database_url.replace("/folder/", "/data/"))
    yield desk
    desk.store.close()


class Nowhere:
    """A registry without any file: what a store alone needs of one."""

    def versions(self, name: str) -> list:
        return []

    def erase(self, erasing) -> dict[str, int]:
        return {}


def erased(desk: Desk, kind: str, name: str, **options):
    return erase(desk.store, Nowhere(), kind, name, now=LATER, **options)


def test_ingest__does_not_bring_back_what_was_erased(desk):
    desk.load()
    erased(desk, "customer", GONE)
    before = desk.store.counts()
    report = desk.load(now=LATER)
    assert {(feed.table, feed.rejected) for feed in report.feeds if feed.rejected} == {
        ("customers", 1),
        ("deals", 1),
        ("deal_events", 1),
        ("orders", 3),
    }
    assert desk.store.counts() == before
    gone = report.rejects[report.rejects["reason"] == ERASED]
    assert len(gone) == 5
    assert set(gone["value"]) == {""}
    assert report.records[gone.index].isna().all()
    kept = desk.store.rejects(with_records=True)
    assert kept["record"].notna().sum() == 2  # o-odd, of both loads
    assert not kept.to_csv().count(GONE)


def test_ingest__of_nothing_but_what_was_erased_is_no_refusal(desk):
    desk.load()
    erased(desk, "customer", GONE)
    report = desk.load({name: lines[:2] for name, lines in FILES.items()}, now=LATER)
    assert [feed.accepted for feed in report.feeds] == [0, 0, 0, 0, 0]


def test_ingest__keeps_new_deals_of_what_was_erased_out_too_and_their_events_of_later_files(desk):
    desk.load()
    erased(desk, "customer", GONE)
    desk.load(FILES | {"deals.csv": ["id,customer,day", f"deal-new,{GONE},2024-06-20"]}, now=LATER)
    events = {"deals.csv": FILES["deals.csv"], "events.csv": ["id,day,stage,rep", "deal-new,2024-06-21,new,Bo"]}
    report = desk.load(FILES | events, now=LATER + pd.Timedelta(days=1))
    assert report.rejects.loc[report.rejects["file"] == "events.csv", "reason"].tolist() == [ERASED]
    assert "deal-new" not in desk.store.rejects(with_records=True).to_csv()


def test_ingest__takes_the_pseudonym_for_an_erased_person(desk):
    desk.load()
    found = erased(desk, "person", PERSON)
    events = desk.store.snapshot(LATER).deal_events
    assert set(events["owner"]) == {f"erased person {found.digest[:12]}"}
    lines = [*FILES["events.csv"], f"deal-stays,2024-06-10,won,{PERSON}", f"deal-stays,2024-06-xx,won,{PERSON}"]
    report = desk.load(FILES | {"events.csv": lines}, now=LATER)
    counted = {feed.table: (feed.accepted, feed.unchanged, feed.rejected) for feed in report.feeds}
    assert counted["deal_events"] == (1, 2, 1)
    assert counted["attributes"] == (0, 2, 0)
    assert set(desk.store.snapshot(LATER + pd.Timedelta(days=1)).deal_events["owner"]) == set(events["owner"])
    assert PERSON not in desk.store.rejects(with_records=True).to_csv()


def test_replay__of_rejects_does_not_bring_it_back_either(desk):
    desk.load()
    (desk.files / "mended.yaml").write_text(
        MAPPING.replace("amount: net, ", "").replace("table: orders,", "table: orders, constants: {amount: '1'}, ignore: [net],")
    )
    erased(desk, "customer", GONE)
    report = replay(desk.store, mapping=desk.files / "mended.yaml", now=LATER)
    assert (report.settled, report.counts.accepted) == (1, 1)


def test_replay_erasures__after_a_restore_takes_the_list_from_a_file(desk, tmp_path):
    desk.load()
    erased(desk, "customer", GONE)
    path = tmp_path / "erasures.json"
    assert write_list(desk.store, path) == 3  # the customer, a deal and an order
    assert GONE not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    restored = Store(f"sqlite:///{tmp_path}/restored.db")
    restored.migrate()
    ingest(restored, mapping=desk.files / "mapping.yaml", source=desk.files, now=NOW)
    assert GONE in restored.snapshot(LATER).customers["customer_id"].tolist()
    report = replay_erasures(restored, Nowhere(), now=LATER, listed=path)
    assert report.rows["customers"] == 1
    assert restored.snapshot(LATER).customers["customer_id"].tolist() == ["stays"]
    assert replay_erasures(restored, Nowhere(), now=LATER).rows == {}
    restored.close()


def test_read_list__of_another_file_says_so(tmp_path):
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="--export"):
        read_list(tmp_path / "other.json")


@pytest.fixture(scope="module")
def installation(tmp_path_factory, company):
    """A store on SQLite, models with the ids in their input examples (as earlier versions left them), a kept training, a served copy."""
    folder = tmp_path_factory.mktemp("installation")
    data = folder / "data"
    store = Store(f"sqlite:///{data}/facts.db")
    store.migrate()
    events, deals = company.tables["deal_events"], company.tables["deals"]
    is_open = ~deals["deal_id"].isin(events.loc[events["stage"].isin(["won", "lost"]), "deal_id"])
    names = {deals.loc[is_open, "customer_id"].iloc[-1]: GONE, events["owner"].iloc[0]: PERSON}
    columns = ("customer_id", "owner")
    tables = {
        name: frame.assign(**{column: frame[column].replace(names) for column in columns if column in frame})
        for name, frame in company.tables.items()
    }
    store.load(tables, company=company.company, now=company.end)
    own = {GONE, *tables["deals"].loc[tables["deals"]["customer_id"] == GONE, "deal_id"]}
    registry = Registry(f"sqlite:///{data}/tracking.db", data / "artifacts")
    snapshot = store.snapshot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictkpi.registry.client, "_sample", lambda inputs, are_series: inputs[inputs["entity_id"].isin(own)])
        for name in ("clv", "close_time"):
            predictor = predictor_class(name)().baseline()
            predictor.fit(predictor.training_table(snapshot))
            inputs = predictor.inputs(snapshot)
            record = TrainingRecord(params={"as_of": snapshot.as_of.isoformat()})
            run_id = registry.log_training(name, record, run_name="test")
            ref = registry.register(predictor, run_id=run_id, inputs=inputs, as_of=snapshot.as_of.isoformat())
            registry.promote(name, ref.version)
            registry.last_good.remember(predictor, ModelRef(predictor=name, version=ref.version, run_id=run_id, kind="baseline", reason=""))
            keep(
                KeptTraining(
                    name, "kept", record, {"baseline": predictor}, {"baseline": inputs}, {"baseline": "baseline"}, "", "", "", True
                ),
                registry.kept_root,
            )
            rows = predictor.predict_inputs(inputs).assign(predictor=name, model_version=ref.version)
            store.write_predictions(rows)
    yield data, store, registry
    store.close()


def files_with(folder: Path, text: str) -> set[str]:
    """Files that hold the text as bytes, or in a compressed column."""
    found = {path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()}
    return found | {path.name for path in folder.rglob("*.parquet") if text in pd.read_parquet(path).to_csv()}


def test_erase__leaves_no_byte_below_the_data_folder(installation):
    data, store, registry = installation
    assert {"facts.db-wal", "baseline.inputs.parquet", "input_example.json", "serving_input_example.json"} <= files_with(data, GONE)
    assert {"facts.db-wal", "baseline.inputs.parquet"} <= files_with(data, PERSON)
    deals = store.snapshot().deals
    own = deals.loc[deals["customer_id"] == GONE, "deal_id"].tolist()
    assert own
    report = erase(store, registry, "customer", GONE, now=LATER)
    assert report.troubles == ()
    assert [name for name, _ in report.learnt] == ["clv", "close_time"]
    assert report.files["kept"] >= 1
    assert files_with(data, GONE) == set()
    assert [deal for deal in own if files_with(data, f'"{deal}"')] == []
    erase(store, registry, "person", PERSON, now=LATER)
    assert files_with(data, PERSON) == set()
    for name in ("clv", "close_time"):  # what was rewritten is still in one piece
        Registry(registry.tracking_uri, data / "artifacts").champion(name)
        registry.last_good.read(name)


def test_register__input_examples_name_no_customer_and_no_owner(installation, tmp_path):
    data, store, registry = installation
    predictor = predictor_class("close_time")().baseline()
    snapshot = store.snapshot()
    predictor.fit(predictor.training_table(snapshot))
    run_id = registry.log_training("close_time", TrainingRecord(params={}), run_name="test")
    before = set(data.rglob("input_example.json"))
    registry.register(predictor, run_id=run_id, inputs=predictor.inputs(snapshot))
    (made,) = set(data.rglob("input_example.json")) - before
    held = json.loads(made.read_text())
    frame = pd.DataFrame(held["data"], columns=held["columns"])
    assert frame["entity_id"].tolist() == ["example 1", "example 2"]
    assert set(frame["owner"]) == {"text"}
