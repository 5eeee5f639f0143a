"""Late corrections change what is known from then on, never before: everything of an earlier as_of is rebuilt byte for byte.

A real store on each database. After the first export come corrections of a third of every table, deletions as a connector and as a file
state them, and a replay of the first export's rejects. Every KPI (in total and by a dimension), every predictor's training table and
the forecasts of its model and its baseline, all of the earlier as_of, are taken before and after, as exact frames and as hashes. Forecasts
are made on one of the databases: they see nothing of a database but tables, and those are compared on both.
"""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest
import yaml

from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.store import Store
from predictkpi.synthetic import make_company, write_company
from predictkpi.tables import TABLES

LATER = pd.Timedelta(days=20)
KPIS = ("revenue", "win_rate", "cac", "open_pipeline")
PREDICTORS = ("clv", "close_time")
"""What the corrections must change."""
FEW = {
    "clv": {"rounds": 20, "draws": 32, "past_rows": 3000},
    "close_time": {"rounds": 15, "landmark_budget": 4000},
    "revenue": {"draws": 100, "origins": 2, "pool_series": 4},
}
"""Trees, draws and rows."""
CORRECTED = {
    "orders": {"amount": lambda values: values * 3 + 1},
    "deal_events": {"amount": lambda values: values + 1000, "stage": lambda values: values.where(values != "won", "lost")},
    "customers": {"segment": lambda values: values.map(lambda value: "Other"), "channel": lambda values: values.map(lambda value: "other")},
    "deals": {"source": lambda values: values.map(lambda value: "elsewhere")},
    "spend": {"cost": lambda values: values * 2 + 1},
    "activities": {"kind": lambda values: values.map(lambda value: "fax")},
}


def taken(
    store: Store, as_of: pd.Timestamp, *, kpis: tuple[str, ...], predictors: tuple[str, ...], with_forecasts: bool
) -> dict[str, pd.DataFrame]:
    """These KPIs, these predictors' training tables and maybe forecasts, and all tables, as known before ``as_of``."""
    snapshot = store.snapshot(as_of)
    found = {}
    for kpi in map(get_kpi, kpis):
        found[kpi.name] = kpi.series(snapshot)
        found[f"{kpi.name} by {kpi.dimensions[0]}"] = kpi.series(snapshot, by=kpi.dimensions[0])
    for name in predictors:
        model = predictor_class(name)(**FEW[name])
        table = model.training_table(snapshot)
        found[f"{name} table"] = table
        if not with_forecasts:
            continue
        found[f"{name} forecast"] = model.fit(table).predict(snapshot)
        baseline = model.baseline()
        found[f"{name} baseline"] = baseline.fit(baseline.training_table(snapshot)).predict(snapshot)
    found["customers' attributes"] = snapshot.attributes("customers")
    return found | {f"{name} history": snapshot.history(name).drop(columns="is_deleted", errors="ignore") for name in TABLES}


def digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


class Books:
    """The sample company's export in a folder, of which some rows cannot be read, and a store of it."""

    def __init__(self, folder, url):
        self.folder = folder
        self.company = make_company(seed=3, customers=80, years=2, deals=250, orders=600)
        write_company(self.company, folder)
        orders, customers = (pd.read_csv(folder / f"{name}.csv", dtype="str") for name in ("orders", "customers"))
        orders.loc[orders.index[::40], "amount"] = "unclear"
        orders.to_csv(folder / "orders.csv", index=False)
        customers.assign(Score=range(len(customers))).to_csv(folder / "customers.csv", index=False)
        self.mapping = yaml.safe_load((folder / "mapping.yaml").read_text())
        self.feed("customers")["attributes"] = {"Score": "number"}
        self.store = Store(url)
        self.store.migrate()

    def feed(self, table):
        return next(feed for feed in self.mapping["feeds"] if feed["table"] == table)

    def written(self, mapping):
        path = self.folder / "rules.yaml"
        path.write_text(yaml.safe_dump(mapping, sort_keys=False))
        return path

    def export(self):
        report = ingest(self.store, mapping=self.written(self.mapping), source=self.folder, now=self.company.end)
        assert len(report.rejects) > 10

    def correct(self, *, now):
        corrected = {}
        for name, changes in CORRECTED.items():
            newest = self.company.snapshot().table(name).iloc[::3].drop(columns="known_at")
            if name == "orders":  # the rows that could not be read stay rejects
                newest = newest[newest["order_id"].isin(self.store.snapshot().orders["order_id"])]
            corrected[name] = newest.assign(**{column: change(newest[column]) for column, change in changes.items()})
        counts = self.store.load(corrected, company=self.company.company, now=now)
        assert all(count.rejected == 0 and count.accepted for count in counts.values())

    def delete(self, *, now):
        with self.store.begin_load(company=self.company.company, now=now) as load:
            assert load.withdraw("orders", "order_id", self.store.snapshot().orders["order_id"].tolist()[:50]) == 50
        deals = self.store.snapshot().deals["deal_id"].tolist()[::5]
        (self.folder / "gone.csv").write_text("deal_id,gone\n" + "".join(f"{deal},yes\n" for deal in deals))
        feed = {"table": "deals", "file": "gone.csv", "columns": {"deal_id": "deal_id"}, "deleted": {"gone": ["yes"]}}
        report = ingest(self.store, mapping=self.written({"feeds": [feed]}), source=self.folder, now=now)
        assert report.withdrawn == len(deals)

    def replay(self, *, now):
        self.feed("orders")["values"] = {"amount": {"unclear": "12345.0"}}
        report = replay(self.store, mapping=self.written(self.mapping), now=now)
        assert report.counts.accepted > 10


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def rebuilt(request, tmp_path_factory):
    """``(before, after, now)``: what was taken of the end of the books before and after all that came later, and what of today."""
    folder = tmp_path_factory.mktemp("rebuild")
    url = f"sqlite:///{folder}/facts.db" if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    books = Books(folder, url)
    end = books.company.end
    books.export()
    with_forecasts = request.param == "sqlite"
    everything = {"kpis": kpi_names(), "predictors": predictor_names(), "with_forecasts": with_forecasts}
    before = taken(books.store, end, **everything)
    books.correct(now=end + LATER)
    books.delete(now=end + LATER + pd.Timedelta(days=1))
    books.replay(now=end + LATER + pd.Timedelta(days=2))
    after = taken(books.store, end, **everything)
    today = taken(books.store, end + 2 * LATER, kpis=KPIS, predictors=PREDICTORS, with_forecasts=with_forecasts)
    books.store.close()
    return before, after, today


def test_rebuild__of_an_earlier_as_of_is_the_same_byte_for_byte(rebuilt):
    before, after, _ = rebuilt
    assert before.keys() == after.keys()
    assert {f"{name} table" for name in predictor_names()} | set(kpi_names()) <= before.keys()
    for name, frame in before.items():
        pd.testing.assert_frame_equal(after[name], frame, check_exact=True)
        assert digest(after[name]) == digest(frame), name


def test_rebuild__the_corrections_do_matter_from_then_on(rebuilt):
    before, _, now = rebuilt
    predicted = {name for name in now if name.startswith(PREDICTORS)}
    assert {f"{name} table" for name in PREDICTORS} <= predicted
    for name in {*KPIS, *predicted}:
        assert len(before[name])
        assert digest(now[name]) != digest(before[name]), name


def test_rebuild__holds_for_forecasts_too(rebuilt, request):
    made = {name for name in rebuilt[0] if name.endswith((" forecast", " baseline"))}
    is_sqlite = request.node.callspec.params["rebuilt"] == "sqlite"
    assert made == ({f"{name} {what}" for name in predictor_names() for what in ("forecast", "baseline")} if is_sqlite else set())
