"""A running service from an empty store to a changed champion, without a restart."""

from __future__ import annotations

import gc
import shutil
import threading
import traceback
import weakref
from pathlib import Path

import httpx
import pandas as pd
import pytest
from running_service import running, settings_in

from predictkpi.core import columns as c
from predictkpi.errors import NoChampionError
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.targets import Promise, set_target
from predictkpi.predictors import predictor_names
from predictkpi.registry import Registry
from predictkpi.registry.connection import Connection
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.overview import overview
from predictkpi.service.outlooks import periods_of
from predictkpi.service.state import Serving

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def own_settings(settings, tmp_path):
    """A copy of the trained service's store and registry, to be changed."""
    own = settings_in(tmp_path)
    shutil.copy(settings.tracking_uri.removeprefix("sqlite:///"), own.tracking_uri.removeprefix("sqlite:///"))
    open_store(own).load(open_tables(settings), company=open_store(settings).company, now=open_store(settings).default_as_of())
    return own


def open_tables(settings):
    snapshot = open_store(settings).snapshot()
    return {name: snapshot.history(name) for name in ("customers", "orders", "deals", "deal_events", "spend", "targets")}


def register_again(registry, predictor, snapshot) -> str:
    """The champion once more, as a new version."""
    model, champion = registry.champion(predictor)
    return registry.register(model, run_id=champion.run_id, inputs=model.inputs(snapshot), as_of=snapshot.as_of.isoformat()).version


def test_service__leads_from_nothing_to_ready(settings, tmp_path):
    own = settings_in(tmp_path)
    tracking = own.tracking_uri.removeprefix("sqlite:///")
    shutil.copy(settings.tracking_uri.removeprefix("sqlite:///"), tracking)
    registry = open_registry(own)
    champions = {name: registry.champion_version(name) for name in predictor_names()}
    for name in champions:
        drop_alias(own, name)
    with running(own) as service:
        assert service.client.get("/health/live").json() == {"status": "live"}
        service.until(lambda: service.client.get("/health/ready").json()["type"] == "/problems/no-data")
        refused = service.client.get("/v1/kpis")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert "predictkpi ingest" in service.client.get("/").text

        open_store(own).load(open_tables(settings), company=open_store(settings).company, now=open_store(settings).default_as_of())
        service.until(lambda: service.client.get("/v1/kpis").status_code == 200)
        waiting = service.client.get("/health/ready")
        assert waiting.status_code == 503
        assert waiting.json()["missing"] == [f"champion of {name}" for name in predictor_names()]
        refused = service.client.get("/v1/forecasts/revenue")
        assert refused.status_code == 503
        assert refused.json()["type"] == "/problems/no-champion"
        assert "predictkpi train" in refused.json()["detail"]
        assert "predictkpi train" in service.client.get("/").text

        for name, version in champions.items():
            registry.promote(name, version)
        ready = service.wait_until_ready().json()
        assert {name: champion["version"] for name, champion in ready["champions"].items()} == champions
        assert ready["warning"] is None


def drop_alias(settings, name):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
    client.delete_registered_model_alias(name, "champion")


def test_champion__is_swapped_without_a_failed_request(own_settings):
    registry = open_registry(own_settings)
    with running(own_settings) as service:
        service.wait_until_ready()
        deal_id = service.serving.view.champions["close_time"].table.entity_ids[0]
        version = register_again(registry, "close_time", service.serving.view.snapshot)
        answers, stop = [], threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=service.url) as client:
                while not stop.is_set():
                    answer = client.get(f"/v1/deals/{deal_id}/close-time")
                    answers.append((answer.status_code, answer.json().get("model", {}).get("version")))

        asking = threading.Thread(target=ask)
        asking.start()
        registry.promote("close_time", version)
        service.until(lambda: answers and answers[-1][1] == version)
        stop.set()
        asking.join()
        assert {status for status, _ in answers} == {200}
        seen = [answered_by for _, answered_by in answers]
        assert seen == sorted(seen, key=int), "never back to the old version"
        assert version in service.client.get("/").text


def spoil(settings, predictor, version):
    """Cut the newest artifact of a version short, as a full disk would."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
    folder = Path(client.get_model_version_download_uri(predictor, version).removeprefix("file://"))
    (manifest,) = folder.rglob("predictor.json")
    manifest.write_text(manifest.read_text(encoding="utf-8")[:20], encoding="utf-8")


def test_champion__that_cannot_be_loaded_leaves_the_last_good_one_in_service(own_settings):
    registry = open_registry(own_settings)
    store = open_store(own_settings)
    serving = Serving(store, open_registry(own_settings))
    serving.refresh()
    good = serving.view.champions["clv"].ref.version
    bad = register_again(registry, "clv", serving.view.snapshot)
    spoil(own_settings, "clv", bad)
    registry.promote("clv", bad)
    assert serving.refresh()
    assert serving.view.champions["clv"].ref.version == good
    assert f"version {good} is still served" in serving.trouble
    assert serving.view.predict("clv", serving.view.champions["clv"].table.entity_ids[0]).model.version == good


def test_registry__that_goes_away_leaves_the_champions_in_service_and_a_restart_finds_them(own_settings, monkeypatch):
    serving = Serving(open_store(own_settings), open_registry(own_settings))
    serving.refresh()
    good = {name: champion.ref for name, champion in serving.view.champions.items()}

    def nobody_answers(self):
        raise ConnectionRefusedError("nobody listens at 127.0.0.1:1")

    monkeypatch.setattr(Connection, "client", property(nobody_answers))
    serving.refresh()
    assert {name: champion.ref for name, champion in serving.view.champions.items()} == good
    assert "127.0.0.1:1" in serving.trouble

    with running(own_settings) as service:
        told = service.wait_until_ready().json()
        assert {name: model["version"] for name, model in told["champions"].items()} == {name: ref.version for name, ref in good.items()}
        assert f"version {good['clv'].version} is still served" in told["warning"]
        assert "127.0.0.1:1" in told["warning"]
        deal_id = serving.view.champions["close_time"].table.entity_ids[0]
        answer = service.client.get(f"/v1/deals/{deal_id}/close-time")
        assert answer.status_code == 200
        assert answer.json()["model"]["version"] == good["close_time"].version
        assert "nobody listens" in answer.headers["x-predictkpi-degraded"]
        assert service.client.get("/").status_code == 200


def test_registry__that_is_away_at_the_first_start_is_what_the_service_says(own_settings):
    serving = Serving(open_store(own_settings), Registry(NOBODY, own_settings.artifact_root))
    serving.refresh()
    assert not serving.view.champions
    assert all("127.0.0.1:1" in str(error) for error in serving.view.missing.values())


def test_view__that_was_replaced_is_let_go_of(own_settings, caplog):
    """Also where a predictor is missing: why it is, and who was told so, must not hold the view that said it."""
    caplog.set_level("CRITICAL", "predictkpi")  # records that are kept for the report would hold it
    store, registry = open_store(own_settings), open_registry(own_settings)
    drop_alias(own_settings, "clv")
    serving, former = Serving(store, registry, warm={"/": overview}), []
    for version in (register_again(registry, "close_time", store.snapshot()) for _ in range(3)):
        registry.promote("close_time", version)
        serving.refresh()
        serving._warming.join(60)
        for _ in range(2):
            with pytest.raises(NoChampionError) as told:
                serving.view.champion("clv")
        assert sum(1 for _ in traceback.walk_tb(told.tb)) == 2
        del told
        former.append(weakref.ref(serving.view))
    gc.collect()
    assert [view() is not None for view in former] == [False, False, True]


def test_dashboard__that_fails_leaves_the_answers_in_service_and_is_said_to_fail(served, caplog):
    def fail(view):
        raise ZeroDivisionError("a chart without a width")

    serving = Serving(served.serving.store, served.serving.registry, warm={"/": fail})
    assert serving.refresh()
    serving._warming.join(30)
    assert serving.view.champions.keys() == served.serving.view.champions.keys()
    assert "the dashboard fails with ZeroDivisionError" in serving.trouble
    assert "a chart without a width" in caplog.text


def test_new_data__moves_as_of_and_the_predictions(own_settings, snapshot):
    store, warmed = open_store(own_settings), []
    serving = Serving(store, open_registry(own_settings), warm={"/": lambda view: warmed.append(serving.current is view)})
    assert serving.refresh()
    serving._warming.join(30)
    assert warmed == [True], "the first view does not wait for its pages"
    assert not serving.refresh()
    before = serving.view
    order = snapshot.orders.tail(1).assign(
        **{c.ORDER_ID: "NEW-1", c.DS: snapshot.as_of + pd.Timedelta(hours=9), c.KNOWN_AT: snapshot.as_of + pd.Timedelta(hours=10)}
    )
    store.load({"orders": order}, company=before.company, now=snapshot.as_of + pd.Timedelta(hours=11))
    assert serving.refresh()
    assert warmed == [True, False], "new data are shown once their pages are there"
    assert serving.view.as_of == before.as_of + pd.Timedelta(days=1)
    assert before.as_of == snapshot.as_of
    rows = serving.view.champions["clv"].table.frame
    assert set(rows[c.AS_OF]) == {serving.view.as_of}


def test_target__is_shown_at_once_and_spares_what_does_not_depend_on_it(own_settings):
    store, shown = open_store(own_settings), []
    serving = Serving(store, open_registry(own_settings))
    assert serving.refresh()
    before = serving.view
    with speaking("en"):
        plain = overview(before)
    set_target(store, before.snapshot, Promise("revenue", "total", "Q", before.as_of), 123456.0, now=before.as_of.to_pydatetime())
    serving._prepare = lambda view: shown.append((serving.shown.view is view, serving.view is before))
    assert serving.refresh()
    assert shown == [(True, True)], "pages do not wait for what answers are prepared with"
    after, fresh = serving.view, Serving(store, open_registry(own_settings))
    assert serving.shown.view is after
    assert after.champions is before.champions
    assert periods_of(after).outlook is periods_of(before).outlook
    assert fresh.refresh()
    with speaking("en"):
        assert overview(after) == overview(fresh.view) != plain, "what was taken over is what would have been worked out anew"
