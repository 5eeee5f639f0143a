"""The sample company that every server answers for, its trained champions, and different deals to ask about."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.access import AccessRole
from predictkpi.pipelines.keys import make_key
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.train import train
from predictkpi.settings import Settings
from predictkpi.snapshot import Snapshot
from predictkpi.synthetic import make_company

ROOT = Path(__file__).parents[2]
PREDICTORS = ("close_time", "clv")
PAYLOADS = 400
NOW = pd.Timestamp("2026-01-02 03:04:05")
_STATE = (c.STAGE, c.AMOUNT, c.OWNER, c.EXPECTED_CLOSE_ON)
_FIXED = (c.CREATED_AT, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM, c.CUSTOMER_ID)


def settings_in(folder: Path) -> Settings:
    """Store, registry and hyperparameters below one folder."""
    given = {
        "database_url": f"sqlite:///{folder}/facts.db",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/tracking.db",
        "artifact_root": folder / "artifacts",
        "models_dir": folder / "models",
    }
    return Settings(**given)


def environment(folder: Path) -> dict[str, str]:
    """The same for a server of its own: one thread of arithmetic each, nothing from the caller's settings."""
    settings = settings_in(folder)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTKPI_")}
    return own | {
        "PREDICTKPI_DATABASE_URL": settings.database_url,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "PREDICTKPI_ARTIFACT_ROOT": str(settings.artifact_root),
        "PREDICTKPI_MODELS_DIR": str(settings.models_dir),
        "OMP_NUM_THREADS": "1",
    }


def make(folder: Path) -> None:
    """A company of 250 customers and 3,000 deals in a store, and champions of `PREDICTORS`; nothing where they are there already."""
    if (folder / "trained").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "models", folder / "models", dirs_exist_ok=True)
    settings = settings_in(folder)
    company = make_company(seed=11, customers=250, years=4, deals=3000, orders=3000)
    store, registry = open_store(settings), open_registry(settings)
    store.load(company.tables, company=company.company, now=company.end)
    train(store, registry, predictors=PREDICTORS, as_of=None, models_dir=settings.models_dir, now=NOW)
    (folder / "trained").touch()


def key_of(folder: Path) -> str:
    """An API key of the service over that folder: what is measured is asked as a CRM would ask."""
    file = folder / "key"
    if not file.exists():
        now = pd.Timestamp.now("UTC").tz_localize(None)
        file.write_text(make_key(open_store(settings_in(folder)), "benchmark", AccessRole.ADMIN, now=now)[1], encoding="utf-8")
    return file.read_text(encoding="utf-8")


def snapshot_of(folder: Path) -> Snapshot:
    """What the store holds."""
    store = open_store(settings_in(folder))
    return store.snapshot(store.default_as_of())


def payloads(snapshot: Snapshot) -> list[dict[str, object]]:
    """Different deals as a CRM would send them: open ones with their whole history, each under an id the store does not know."""
    newest = snapshot.deal_events.sort_values(c.DS, kind="stable").drop_duplicates(c.DEAL_ID, keep="last").set_index(c.DEAL_ID)
    deals = snapshot.deals.set_index(c.DEAL_ID)
    is_open = ~newest[c.STAGE].isin(c.CLOSED_STAGES) & newest.index.isin(deals.index)
    events = dict(iter(snapshot.deal_events.sort_values(c.DS, kind="stable").groupby(c.DEAL_ID)))
    activities = dict(iter(snapshot.activities.sort_values(c.DS, kind="stable").groupby(c.DEAL_ID)))
    found = []
    for deal_id in newest.index[is_open][:PAYLOADS]:
        states = [{"at": _sent(row[c.DS])} | {name: _sent(row[name]) for name in _STATE} for row in events[deal_id].to_dict("records")]
        done = activities[deal_id].to_dict("records") if deal_id in activities else []
        deal = {"deal_id": f"CRM-{deal_id}", "name": f"Deal {deal_id}", "events": states}
        deal |= {"activities": [{"at": _sent(row[c.DS]), "kind": row[c.KIND]} for row in done]}
        found.append(deal | {name: _sent(deals.at[deal_id, name]) for name in _FIXED} | {name: states[-1][name] for name in _STATE})
    return found


def bodies(deals: list[dict[str, object]]) -> list[str]:
    """As JSON texts."""
    return [json.dumps(deal, separators=(",", ":")) for deal in deals]


def _sent(value: object) -> object:
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
