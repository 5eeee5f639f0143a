"""Late corrections change what is known from then on, never before: everything of an earlier as_of is rebuilt byte for byte.

A real store; a second export that corrects a third of everything, and deletions. KPIs, training tables and predictions of the
earlier as_of are taken before and after, as exact frames and as hashes.
"""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.pipelines.ingest import ingest
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.store import Store
from predictkpi.synthetic import make_company, write_company
from predictkpi.tables import TABLES

LATER = pd.Timedelta(days=20)
CORRECTED = {
    "orders": {"amount": lambda values: values * 3 + 1},
    "deal_events": {"amount": lambda values: values + 1000, "stage": lambda values: values.where(values != "won", "lost")},
    "customers": {"segment": lambda values: values.map(lambda value: "Other"), "channel": lambda values: values.map(lambda value: "other")},
    "deals": {"source": lambda values: values.map(lambda value: "elsewhere")},
    "spend": {"cost": lambda values: values * 2 + 1},
    "activities": {"kind": lambda values: values.map(lambda value: "fax")},
}


def taken(store: Store, as_of: pd.Timestamp, *, kpis: tuple[str, ...], predictors: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """These KPIs, these predictors' training tables and baseline predictions, and all tables, as known before ``as_of``."""
    snapshot = store.snapshot(as_of)
    found = {name: get_kpi(name).series(snapshot) for name in kpis}
    for name in predictors:
        model = predictor_class(name)()
        baseline = model.baseline()
        found[f"{name} table"] = model.training_table(snapshot)
        found[f"{name} predictions"] = baseline.fit(baseline.training_table(snapshot)).predict(snapshot)
    return found | {f"{name} history": snapshot.history(name).drop(columns="is_deleted", errors="ignore") for name in TABLES}


def digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """``(before, after, now)``: what was taken of the end of the books, before and after corrections, and what is taken of today."""
    folder = tmp_path_factory.mktemp("rebuild")
    company = make_company(seed=3, customers=80, years=2, deals=250, orders=600)
    write_company(company, folder)
    store = Store(f"sqlite:///{folder}/facts.db")
    store.migrate()
    ingest(store, mapping=folder / "mapping.yaml", source=folder, now=company.end)
    everything = {"kpis": kpi_names(), "predictors": predictor_names()}
    before = taken(store, company.end, **everything)
    corrected = {}
    for name, changes in CORRECTED.items():
        newest = company.snapshot().table(name).iloc[::3].drop(columns="known_at")
        corrected[name] = newest.assign(**{column: change(newest[column]) for column, change in changes.items()})
    counts = store.load(corrected, company=company.company, now=company.end + LATER)
    assert all(count.rejected == 0 and count.accepted for count in counts.values())
    with store.begin_load(company=company.company, now=company.end + LATER) as load:
        assert load.withdraw("orders", "order_id", company.tables["orders"]["order_id"].unique().tolist()[:50]) == 50
    after = taken(store, company.end, **everything)
    today = taken(store, company.end + 2 * LATER, kpis=("revenue", "win_rate", "cac", "open_pipeline"), predictors=("clv", "close_time"))
    store.close()
    return before, after, today


def test_rebuild__of_an_earlier_as_of_is_the_same_byte_for_byte(rebuilt):
    before, after, _ = rebuilt
    assert before.keys() == after.keys()
    for name, frame in before.items():
        pd.testing.assert_frame_equal(after[name], frame, check_exact=True)
        assert digest(after[name]) == digest(frame), name


@pytest.mark.parametrize(
    "name", ["revenue", "win_rate", "cac", "open_pipeline", "clv predictions", "close_time table", "close_time predictions"]
)
def test_rebuild__the_corrections_do_matter_from_then_on(rebuilt, name):
    before, _, now = rebuilt
    assert len(before[name])
    assert digest(now[name]) != digest(before[name])
