from __future__ import annotations

import pandas as pd
import pytest
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import DataError, MappingError, SchemaError, SettingsError, StoreError
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.store import Store
from predictkpi.tables import TABLES

NOW = pd.Timestamp("2024-06-01")
COMPANY = Company(name="Acme", currency="EUR", time_zone="Europe/Berlin")


def typed(table: str, **columns: list) -> pd.DataFrame:
    schema = TABLES[table]
    empty = schema.empty()
    frame = pd.DataFrame({name: columns.get(name, [None] * len(next(iter(columns.values())))) for name in empty.columns})
    return frame.astype(empty.dtypes.to_dict())


def customers(*rows: tuple[str, str, str]) -> pd.DataFrame:
    ids, segments, known = zip(*rows, strict=True)
    return typed("customers", customer_id=list(ids), segment=list(segments), known_at=list(known))


def test_store__empty_one_says_so(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/none.db")
    assert store.is_empty
    assert store.company is None
    assert set(store.counts().values()) == {0}
    assert store.rejects().empty
    assert store.loads().empty
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(DataError, match="predictkpi ingest"):
        store.snapshot()
    store.close()


def test_migrate__may_be_repeated_and_keeps_the_facts(store):
    store.load({"customers": customers(("a", "big", "2024-01-01"))}, company=COMPANY, now=NOW)
    store.migrate()
    assert store.counts()["customers"] == 1


def test_load__gives_back_what_memory_facts_give(store, company):
    store.load(company.tables, company=company.company, now=company.end + pd.Timedelta(days=4000))
    for as_of in (company.end - pd.Timedelta(days=400), company.end):
        expected, found = Snapshot(MemoryFacts(company.tables, company.company), as_of), store.snapshot(as_of)
        for name in TABLES:
            pd.testing.assert_frame_equal(found.table(name), expected.table(name)[found.table(name).columns], check_dtype=False)
    assert store.company == company.company


def test_facts__have_schema_dtypes_and_oldest_version_first(store):
    store.load(
        {"customers": customers(("a", "new", "2024-02-01"), ("a", "old", "2024-01-01"), ("b", "x", "2024-01-15"))}, company=COMPANY, now=NOW
    )
    facts = store.facts().read("customers", known_before=pd.Timestamp("2024-02-02"))
    assert facts.dtypes.to_dict() == TABLES["customers"].empty().dtypes.to_dict()
    assert facts["segment"].tolist() == ["old", "x", "new"]
    assert store.facts().read("customers", known_before=pd.Timestamp("2024-02-01"))["segment"].tolist() == ["old", "x"]
    assert store.facts().read("deals", known_before=NOW).dtypes.to_dict() == TABLES["deals"].empty().dtypes.to_dict()


def test_load__keeps_microseconds_unicode_and_empties(store):
    at = pd.Timestamp("2024-01-01 10:11:12.123456")
    store.load({"customers": typed("customers", customer_id=["ß'\"\n"], created_at=[at], known_at=[at])}, company=COMPANY, now=NOW)
    row = store.snapshot().customers.iloc[0]
    assert (row["customer_id"], row["created_at"], row["known_at"]) == ("ß'\"\n", at, at)
    assert pd.isna(row["segment"])


def test_load__twice_changes_nothing(store):
    rows = {"customers": customers(("a", "big", "2024-01-01"), ("b", "small", "2024-01-02"))}
    store.load(rows, company=COMPANY, now=NOW)
    again = store.load(rows, company=COMPANY, now=NOW + pd.Timedelta(days=1))
    assert (again["customers"].accepted, again["customers"].unchanged) == (0, 2)
    assert store.counts()["customers"] == 2
    assert store.loads()["unchanged"].tolist() == [2, 0]


def test_load__a_correction_leaves_earlier_snapshots_as_they_were(store):
    store.load({"customers": customers(("a", "small", "2024-01-01"))}, company=COMPANY, now=NOW)
    before = store.snapshot(NOW).customers
    store.load({"customers": typed("customers", customer_id=["a", "b"], segment=["big", "new"])}, company=COMPANY, now=NOW)
    pd.testing.assert_frame_equal(store.snapshot(NOW).customers, before)
    assert store.snapshot().customers["segment"].tolist() == ["big", "new"]


def test_load__failing_leaves_no_trace(store):
    good = customers(("a", "big", "2024-01-01"))
    bad = typed("orders", order_id=["o"], ds=["2024-01-01"], amount=[1.0])
    with pytest.raises(SchemaError, match="customer_id"):
        store.load({"customers": good, "orders": bad}, company=COMPANY, now=NOW)
    assert store.is_empty
    assert set(store.counts().values()) == {0}
    assert store.loads().empty


def test_load__first_one_leaves_the_indexes_as_they_were(store):
    """Also one that fails: a first load may fill a table before it makes the indexes."""
    engine = sa.create_engine(store.url)

    def indexes() -> dict[str, set[str | None]]:
        return {name: {index["name"] for index in sa.inspect(engine).get_indexes(name) if index["unique"]} for name in TABLES}

    before = indexes()
    assert all(before.values())
    with pytest.raises(SchemaError, match="required, but empty"):
        rows = {"customers": customers(("a", "x", "2024-01-01")), "orders": typed("orders", order_id=["o"])}
        store.load(rows, company=COMPANY, now=NOW)
    assert indexes() == before
    store.load({"customers": customers(("a", "x", "2024-01-01"))}, company=COMPANY, now=NOW)
    assert indexes() == before
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        columns = "customer_id, known_at, load_id, content_hash"
        connection.execute(sa.text(f"INSERT INTO customers ({columns}) SELECT {columns} FROM customers"))
    engine.dispose()


def test_load__contradicting_rows_raise(store):
    with pytest.raises(SchemaError, match="repeats"):
        store.load({"customers": customers(("a", "x", "2024-01-01"), ("a", "y", "2024-01-01"))}, company=COMPANY, now=NOW)


@pytest.mark.parametrize("changed", [{"currency": "USD"}, {"time_zone": "UTC"}])
def test_load__another_companys_books_are_refused(store, changed):
    store.load({"customers": customers(("a", "x", "2024-01-01"))}, company=COMPANY, now=NOW)
    with pytest.raises(MappingError, match=next(iter(changed))):
        store.load({}, company=COMPANY.model_copy(update=changed), now=NOW)
    store.load({}, company=COMPANY.model_copy(update={"fiscal_year_starts": 4}), now=NOW)
    assert store.company == Company(name="Acme", currency="EUR", time_zone="Europe/Berlin", fiscal_year_starts=4)


def test_load__another_company_is_refused_by_its_name(store):
    store.load({"customers": customers(("a", "x", "2024-01-01"))}, company=COMPANY, now=NOW)
    other = COMPANY.model_copy(update={"name": "Globex", "time_zone": "UTC"})
    with pytest.raises(MappingError, match=r"'Globex', but .* 'Acme'.*PREDICTKPI_DATABASE_URL and MLFLOW_TRACKING_URI") as caught:
        store.load({}, company=other, now=NOW)
    assert "time_zone" not in str(caught.value)
    store.load({}, company=Company(currency="EUR", time_zone="Europe/Berlin"), now=NOW)
    assert store.company == COMPANY


def test_load__names_a_company_that_had_no_name(store):
    store.load({"customers": customers(("a", "x", "2024-01-01"))}, company=Company(), now=NOW)
    store.load({}, company=Company(name="Acme"), now=NOW)
    assert store.company == Company(name="Acme")


def test_default_as_of__is_the_midnight_after_the_newest_fact_that_happened(store):
    target = typed("targets", kpi=["revenue"], scope=["total"], freq=["M"], ds=["2025-01-01"], value=[1.0], known_at=["2024-05-01"])
    store.load({"targets": target}, company=COMPANY, now=NOW)
    with pytest.raises(DataError, match="no customers, orders, deals or spend"):
        store.default_as_of()
    store.load({"customers": customers(("a", "x", "2024-01-01 13:00"))}, company=COMPANY, now=NOW)
    assert store.default_as_of() == pd.Timestamp("2024-01-02")
    store.load({"customers": customers(("b", "x", "2024-01-02"))}, company=COMPANY, now=NOW)
    assert store.default_as_of() == pd.Timestamp("2024-01-03")


def test_store__readers_see_nothing_of_a_load_before_it_is_committed(store):
    store.load({"customers": customers(("a", "x", "2024-01-01"))}, company=COMPANY, now=NOW)
    rows = customers(("b", "x", "2024-01-02"))
    with store.begin_load(company=COMPANY, now=NOW) as load:
        plan = load.plan("customers", rows, origin=lambda labels: pd.Series("row", index=labels))
        load.write("customers", rows, plan)
        assert load.newest("customers", ["customer_id"])["customer_id"].tolist() == ["a", "b"]
        assert store.counts()["customers"] == 1
    assert store.counts()["customers"] == 2


def predictions(entities: list[str], values: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame({c.ENTITY_ID: entities, c.VALUE: values})
    rest = {
        c.PREDICTOR: "clv",
        c.AS_OF: NOW.as_unit("us"),
        c.HORIZON: 12,
        c.STATISTIC: "mean",
        c.MODEL_VERSION: "1",
        c.STATUS: "full",
        c.REASON: "",
    }
    return frame.assign(**rest)[c.PREDICTION_COLUMNS]


def test_predictions__come_back_and_are_replaced_by_entity(store):
    store.write_predictions(predictions(["a", "b"], [1.0, float("nan")]))
    store.write_predictions(predictions(["b", "c"], [2.0, 3.0]))
    found = store.read_predictions(predictor="clv", model_version="1", as_of=NOW)
    expected = predictions(["a", "b", "c"], [1.0, 2.0, 3.0]).astype(found.dtypes.to_dict())
    pd.testing.assert_frame_equal(found, expected)
    assert found[c.AS_OF].dtype == "datetime64[us]"
    only = store.read_predictions(predictor="clv", model_version="1", as_of=NOW, entity_ids=["c"])
    assert only[c.VALUE].tolist() == [3.0]
    assert store.read_predictions(predictor="clv", model_version="1", as_of=NOW, entity_ids=[]).empty
    assert store.read_predictions(predictor="clv", model_version="2", as_of=NOW)[c.VALUE].dtype == "float64"


def test_scored_version__is_that_of_the_newest_predictions_by_then(store):
    assert store.scored_version("clv", until=NOW) is None
    day = pd.Timedelta(days=1)
    for version, as_of in (("3", NOW - 9 * day), ("1", NOW - 8 * day), ("2", NOW - 8 * day), ("4", NOW)):
        store.write_predictions(predictions(["a"], [1.0]).assign(**{c.MODEL_VERSION: version, c.AS_OF: as_of.as_unit("us")}))
    assert store.scored_version("clv", until=NOW - 7 * day) == "2"
    assert store.scored_version("clv", until=NOW - 8 * day) == "2"
    assert store.scored_version("clv", until=NOW - 9 * day) == "3"
    assert store.scored_version("clv", until=NOW) == "4"
    assert store.scored_version("clv", until=NOW - 10 * day) is None
    assert store.scored_version("revenue", until=NOW) is None


@pytest.mark.parametrize("url", ["nonsense", "nobase://user:secret@host/x", "sqlite://user:secret@host/x"])
def test_store__says_what_is_wrong_with_a_url_but_no_password(url):
    with pytest.raises(SettingsError, match=r"sqlite:///var/predictkpi\.db") as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_store__that_cannot_be_opened_says_so_in_one_line(tmp_path):
    (tmp_path / "bad.db").write_text("junk\n" * 1000)
    (tmp_path / "file").write_text("x")
    store = Store(f"sqlite:///{tmp_path}/bad.db")
    for ask in (store.migrate, store.counts, lambda: store.company, lambda: store.load({}, company=COMPANY, now=NOW)):
        with pytest.raises(StoreError, match=r"sqlite:///.*bad\.db: file is not a database") as caught:
            ask()
        assert "\n" not in str(caught.value)
    store.close()
    with pytest.raises(StoreError, match="unable to open database file"):
        Store(f"sqlite:///{tmp_path}").migrate()
    with pytest.raises(DataError, match="the folder of the database cannot be made"):
        Store(f"sqlite:///{tmp_path}/file/facts.db").migrate()


def answers(*given: tuple[str, str, int]) -> list[dict[str, object]]:
    fixed = {"predictor": "clv", "model_version": "1", "as_of": NOW, "inputs_digest": "00ff", "content": "[]", "times": 1}
    at = [NOW + pd.Timedelta(hours=hour) for _, _, hour in given]
    return [
        fixed | {"prediction_id": name, "entity_id": entity, "first_served_at": when, "last_served_at": when}
        for (name, entity, _), when in zip(given, at, strict=True)
    ]


def test_answers__are_kept_once_and_counted(store):
    store.log_answers(answers(("i", "a", 1), ("j", "b", 2)))
    store.log_answers(answers(("i", "a", 5)))
    found = store.read_answers("clv")
    hour = pd.Timedelta(hours=1)
    assert found["prediction_id"].tolist() == ["j", "i"], "in the order in which they were last given"
    assert found["times"].tolist() == [1, 2]
    assert found["first_served_at"].tolist() == [NOW + 2 * hour, NOW + hour]
    assert found["last_served_at"].tolist() == [NOW + 2 * hour, NOW + 5 * hour]
    assert store.read_answers("clv", model_version="2").empty
    assert store.read_answers("revenue").empty
    assert store.predicted_days("clv").to_dict("records") == [{"model_version": "1", "role": "served", "as_of": NOW}]
    assert store.scored_version("clv", until=NOW) is None


def test_scoreboards__are_replaced_by_newer_ones(store):
    assert store.read_scoreboards() == {}
    assert store.scoreboards_made() == ()
    for hour, text in ((1, "old"), (2, "new")):
        store.write_scoreboard("clv", text, as_of=NOW, now=NOW + pd.Timedelta(hours=hour))
    store.write_scoreboard("revenue", "other", as_of=NOW, now=NOW)
    assert store.read_scoreboards() == {"clv": "new", "revenue": "other"}
    assert store.scoreboards_made() == (("clv", NOW + pd.Timedelta(hours=2)), ("revenue", NOW))
