"""An erasure while the service runs: it stops speaking of the customer by itself, and no file below its folder names it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from running_service import running, settings_in

from predictkpi.pipelines.erase import erase
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.score import score


@pytest.fixture
def own_settings(settings, tmp_path):
    """Copies of the trained company's store and tracking database; the artifacts are the trained ones."""
    own = settings_in(tmp_path)
    for ours, theirs in ((own.database_url, settings.database_url), (own.tracking_uri, settings.tracking_uri)):
        source, target = (url.removeprefix("sqlite:///") for url in (theirs, ours))
        with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as here:
            there.backup(here)
    return own


def test_erasure__while_serving_reaches_the_view_and_every_file(own_settings, settings):
    trained = settings.artifact_root
    settings = own_settings
    folder = settings.artifact_root.parent
    store, registry = open_store(settings), open_registry(settings)
    now = pd.Timestamp("2030-01-01")
    with running(settings) as service:
        service.wait_until_ready()
        view = service.serving.view
        deals = view.snapshot.deals
        open_deals = set(view.champions["close_time"].table.entity_ids)
        customer = deals.loc[deals["deal_id"].isin(open_deals), "customer_id"].iloc[0]
        deal_ids = set(deals.loc[deals["customer_id"] == customer, "deal_id"])
        owner = view.snapshot.deal_events["owner"].iloc[0]
        deal = next(iter(deal_ids & open_deals))
        assert service.client.get(f"/v1/customers/{customer}/clv").status_code == 200
        assert service.client.get(f"/v1/deals/{deal}/close-time").status_code == 200
        score(store, registry, predictors=("clv",), now=now)
        names = {customer, *deal_ids, owner}
        assert "facts.db-wal" in files_that_name(folder, names)
        assert files_that_name(trained, names) == {}, "models keep no id and no owner"
        report = erase(store, registry, "customer", customer, now=now)
        erase(store, registry, "person", owner, now=now)
        assert {"orders", "deals", "deal_events", "predictions"} <= set(report.rows)
        assert {name for name, _ in report.learnt} == {"clv", "close_time", "revenue"}
        service.until(lambda: service.client.get(f"/v1/customers/{customer}/clv").status_code == 404)
        assert service.client.get(f"/v1/deals/{deal}/close-time").status_code == 404
        assert owner not in set(service.serving.view.snapshot.deal_events["owner"])
    assert store.erasures.forget_deleted()
    assert files_that_name(folder, names) == {}


def files_that_name(folder, names: set[str]) -> dict[str, list[str]]:
    """Files below the folder that hold one of these as a word of its own."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            text = pd.read_parquet(path).to_csv().encode() if path.suffix == ".parquet" else b""
            for name in names:
                if name.encode() in content or name.encode() in text:
                    found.setdefault(str(path.relative_to(folder)), []).append(name)
    return found
