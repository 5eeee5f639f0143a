"""Every answer is logged, once, and nothing that befalls the log befalls the answers."""

from __future__ import annotations

import sqlite3
import threading

import pandas as pd
import pytest
import sqlalchemy as sa
from running_service import running, settings_in

from predictkpi.core import columns as c
from predictkpi.core.answers import unpacked
from predictkpi.errors import StoreError
from predictkpi.service.answer_log import AnswerLog
from predictkpi.service.schemas import Model, Prediction, PredictionEnvelope
from predictkpi.store import Store

AT = pd.Timestamp("2024-03-04 10:11:12")
AS_OF = pd.Timestamp("2024-03-04")


def answer(number: int = 0, **changed) -> PredictionEnvelope:
    values = Prediction(
        horizon=30, until=AS_OF, status="full", values={"cif_won": 0.25 + number, "cif_lost": None}, notes={"cif_lost": "?"}
    )
    told = {
        "prediction_id": f"{number:032x}",
        "inputs_digest": "00ff",
        "predictor": "close_time",
        "entity_id": f"D-{number}",
        "entity": "deal",
        "label": "a deal",
        "as_of": AS_OF,
        "time_unit": "day",
        "currency": "EUR",
        "headline": "cif_won",
        "units": {"cif_won": "probability", "cif_lost": "probability"},
        "model": Model(name="close_time", version="3", kind="model", reason=""),
        "status": "full",
        "reason": "",
        "predictions": [values],
    }
    return PredictionEnvelope(**(told | changed))


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/log.db")
    store.migrate()
    yield store
    store.close()


def test_log__writes_an_answer_once_and_counts_how_often_it_was_given(store):
    log = AnswerLog(store)
    for second in range(1000):
        log.record([answer(1)], at=AT + pd.Timedelta(seconds=second))
    log.record([answer(2)], at=AT)
    assert log.waiting == 2
    assert log.write() is None
    log.record([answer(1)], at=AT + pd.Timedelta(hours=1))
    log.write()
    kept = store.read_answers("close_time").set_index(c.ENTITY_ID)
    assert kept["times"].to_dict() == {"D-1": 1001, "D-2": 1}
    assert kept.loc["D-1", "first_served_at"] == AT
    assert kept.loc["D-1", "last_served_at"] == AT + pd.Timedelta(hours=1)
    assert (kept[c.INPUTS_DIGEST] == "00ff").all()
    rows = unpacked(kept.reset_index()).set_index([c.ENTITY_ID, c.STATISTIC])
    assert rows.loc[("D-1", "cif_won"), c.VALUE] == 1.25
    assert pd.isna(rows.loc[("D-1", "cif_lost"), c.VALUE])
    assert (rows.loc[("D-1", "cif_won"), [c.HORIZON, c.AS_OF]] == [30, AS_OF]).all()


def fill_up(store: Store) -> None:
    """No connection of this store may make the file larger from now on, and what is free in it is used up: a full disk, to SQLite."""
    store.close()

    @sa.event.listens_for(store._engine, "connect")
    def _limit(connection, _):
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes it as what the file holds already

    with pytest.raises(StoreError, match="database or disk is full"):
        for number in range(100_000):
            store.write_scoreboard(f"p{number}", "x" * 4000, as_of=AS_OF, now=AT)


def test_full_disk__leaves_the_answers_waiting_and_drops_only_what_has_no_room(store):
    log = AnswerLog(store, most=3000)
    fill_up(store)
    log.record((answer(number) for number in range(3000)), at=AT)
    assert log.trouble is None
    error = log.write()
    assert isinstance(error, StoreError)
    assert "database or disk is full" in str(error)
    written = len(store.read_answers("close_time"))
    assert log.waiting == 3000 - written, "all that was not written waits"
    assert f"{log.waiting} wait" in log.trouble
    assert log.dropped == 0
    log.record((answer(number) for number in range(3000, 6000)), at=AT)
    assert log.waiting == 3000
    assert log.dropped == 3000 - written
    assert f"{log.dropped} served answers since the start were not logged" in log.trouble

    log._store = Store(str(store.url))  # room again
    assert log.write() is None
    assert log.waiting == 0
    assert len(store.read_answers("close_time")) == 3000 + written
    assert "are not being logged" not in log.trouble
    log._store.close()


class Failing:
    """A store that fails for so many writes, then keeps what it is given."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.rows: list[dict] = []
        self.wrote = threading.Event()

    def log_answers(self, rows) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise StoreError("away")
        self.rows += rows
        self.wrote.set()


def test_log__tries_again_and_forgets_the_trouble(caplog):
    store = Failing(2)
    log = AnswerLog(store, every_seconds=0.001, retry_seconds=0.001)
    log.start()
    log.record([answer(1), answer(1), answer(2)], at=AT)
    assert store.wrote.wait(10)
    log.stop()
    assert [(row[c.ENTITY_ID], row["times"]) for row in store.rows] == [("D-1", 2), ("D-2", 1)]
    assert log.trouble is None
    assert "served answers cannot be logged" in caplog.text
    assert "logged again; 0 were lost" in caplog.text


def test_log__writes_what_waits_when_it_stops():
    store = Failing(0)
    log = AnswerLog(store, every_seconds=1000)
    log.start()
    log.record([answer(1)], at=AT)
    log.stop()
    assert len(store.rows) == 1


def test_log__keeps_an_id_that_no_database_takes(store):
    log = AnswerLog(store)
    log.record([answer(1, entity_id="D\0x")], at=AT)
    assert log.write() is None
    assert store.read_answers("close_time")[c.ENTITY_ID].tolist() == ["D\ufffdx"]


@pytest.fixture(scope="module")
def logged(served):
    """Ask, and read what has been logged by then."""

    def logged(method: str, path: str, **kwargs) -> tuple[dict, pd.DataFrame]:
        told = served.client.request(method, path, **kwargs)
        assert told.status_code == 200, told.text
        served.serving.answers.write()
        kept = pd.concat([served.serving.store.read_answers(name) for name in ("revenue", "clv", "close_time")])
        return told.json(), kept.set_index(c.PREDICTION_ID)

    return logged


def values_of(rows: pd.DataFrame) -> dict[tuple[int, str], float]:
    kept = unpacked(rows)
    return dict(zip(zip(kept[c.HORIZON], kept[c.STATISTIC], strict=True), kept[c.VALUE], strict=True))


def test_api__logs_stored_entities_sent_deals_batches_and_series(logged, served, open_deals):
    deal_id, sent = open_deals.index[-1], {"stage": "Qualified", "deal_id": "CRM-1", "amount": 4200}
    for method, path, kwargs, find in (
        ("GET", f"/v1/deals/{deal_id}/close-time", {}, lambda body: [body]),
        ("GET", f"/v1/customers/{served.serving.view.champions['clv'].table.entity_ids[0]}/clv", {}, lambda body: [body]),
        ("GET", "/v1/forecasts/revenue", {"params": {"by": "segment", "horizon": 2}}, lambda body: body["items"]),
        ("POST", "/v1/deals/close-time", {"json": sent}, lambda body: [body]),
        (
            "POST",
            "/v1/deals/close-time/batch",
            {"json": {"deals": [sent | {"deal_id": "CRM-2"}, {}]}},
            lambda body: [item["prediction"] for item in body["items"] if item["prediction"]],
        ),
    ):
        body, kept = logged(method, path, **kwargs)
        answers = find(body)
        assert answers, path
        for told in answers:
            row = kept.loc[[told["prediction_id"]]]
            assert row[c.ENTITY_ID].item() == told["entity_id"]
            assert row[c.MODEL_VERSION].item() == told["model"]["version"]
            assert row[c.AS_OF].item() == pd.Timestamp(told["as_of"])
            assert row[c.INPUTS_DIGEST].item() == told["inputs_digest"]
            expected = {(each["horizon"], name): value for each in told["predictions"] for name, value in each["values"].items()}
            assert values_of(row.reset_index()) == pytest.approx(
                {key: float("nan") if value is None else value for key, value in expected.items()}, nan_ok=True
            )


def test_api__names_the_same_answer_alike_and_another_otherwise(logged, open_deals):
    path, sent = f"/v1/deals/{open_deals.index[-2]}/close-time", {"stage": "Qualified", "amount": 4200}
    first, kept = logged("GET", path)
    again, kept_again = logged("GET", path)
    assert again["prediction_id"] == first["prediction_id"]
    assert kept_again.loc[first["prediction_id"], "times"] == kept.loc[first["prediction_id"], "times"] + 1
    assert len(kept_again) == len(kept)
    other, _ = logged("GET", path, params={"horizons": "7"})
    assert other["prediction_id"] != first["prediction_id"]
    assert other["inputs_digest"] == first["inputs_digest"]
    one, _ = logged("POST", "/v1/deals/close-time", json=sent)
    two, _ = logged("POST", "/v1/deals/close-time", json=sent | {"amount": 4300})
    assert one["inputs_digest"] != two["inputs_digest"]
    assert one["prediction_id"] != two["prediction_id"]


def test_service__with_a_full_disk_answers_and_says_what_is_not_logged(monkeypatch, settings, tmp_path, open_deals):
    own = settings_in(tmp_path, MLFLOW_TRACKING_URI=settings.tracking_uri)
    with (
        sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as there,
        sqlite3.connect(own.database_url.removeprefix("sqlite:///")) as here,
    ):
        there.backup(here)
    has_tried, settle = threading.Event(), AnswerLog._settle

    def settle_and_tell(log, error, left):
        settle(log, error, left)
        if error is not None:
            has_tried.set()

    monkeypatch.setattr(AnswerLog, "_settle", settle_and_tell)
    with running(own) as service:
        service.wait_until_ready()
        fill_up(service.serving.answers._store)
        deals = [{"deal_id": f"CRM-{number}", "stage": "Qualified", "amount": number} for number in range(300)]
        assert service.client.post("/v1/deals/close-time/batch", json={"deals": deals}).json()["succeeded"] == 300
        assert has_tried.wait(30)
        warning = service.client.get("/health/ready").json()["warning"]
        assert "served answers are not being logged" in warning
        assert "database or disk is full" in warning
        assert service.client.get(f"/v1/deals/{open_deals.index[0]}/close-time").status_code == 200
