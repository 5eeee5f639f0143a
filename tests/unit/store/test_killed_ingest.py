"""``kill -9`` at any moment of an ingest leaves the store as before that load or as after it, and loading again completes it.

The process is the command line itself, forked off a process that has imported it already, so that every kill falls into the work. The suite
kills a few, spread over the time that a whole ingest takes here; ``PREDICTKPI_KILLS=50`` kills that many of each kind on each database:
first loads, which may make their indexes at the end, and later ones.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from nursery import Nursery
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store
from predictkpi.synthetic import make_company, write_company
from predictkpi.tables import TABLES

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("PREDICTKPI_KILLS", "4"))
SEED = 7
FOREVER = pd.Timestamp("2200-01-01")
IMPORTS = """
import predictkpi.pipelines.ingest, predictkpi.pipelines.open_store, predictkpi.cli.app, predictkpi.cli.render, psycopg
from predictkpi.cli import main

def ingest(url, folder):
    os.environ["PREDICTKPI_DATABASE_URL"] = url
    sys.argv = ["predictkpi", "ingest", "--mapping", folder + "/mapping.yaml", "--source", folder]
    main()
"""


class State:
    """All that a store holds, for comparison."""

    def __init__(self, url: str):
        store = Store(url)
        engine = sa.create_engine(store.url)
        indexes = {index["name"] for name in TABLES for index in sa.inspect(engine).get_indexes(name)}
        engine.dispose()
        self.books = (store.company, len(store.loads()), len(store.rejects()), indexes)
        facts = None if store.is_empty else store.facts()
        self.tables = {name: facts.read(name, known_before=FOREVER) if facts else TABLES[name].empty() for name in TABLES}
        store.close()

    def __eq__(self, other: State) -> bool:
        return self.books == other.books and self.holds_the_facts_of(other)

    def holds_the_facts_of(self, other: State) -> bool:
        return all(self.tables[name].equals(other.tables[name]) for name in TABLES)


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery(imports=IMPORTS, work="ingest(*words)")
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Two exports of one company, as the folders of their files: the second has a year of new rows and of corrections."""
    company = make_company(seed=3, customers=60, years=2, deals=200, orders=500)
    until = company.end - pd.DateOffset(years=1)
    early = dataclasses.replace(company, end=until, tables={name: rows[rows["known_at"] < until] for name, rows in company.tables.items()})
    folders = [tmp_path_factory.mktemp("early"), tmp_path_factory.mktemp("late")]
    for one, folder in zip((early, company), folders, strict=True):
        write_company(one, folder)
    return folders


@pytest.fixture(params=["first", "later"])
def copies(request, database_url, exports):
    """A way to as many stores as a test likes, empty ones or such that hold the first export; each call gives the URL of another."""
    store = Store(database_url)
    store.migrate()
    if request.param == "later":
        ingest(store, mapping=exports[0] / "mapping.yaml", source=exports[0], now=pd.Timestamp.now("UTC"))
    store.close()
    if store.url.get_backend_name() == "postgresql":
        return lambda: request.getfixturevalue("postgres").new_database(template=store.url.database)
    held = Path(store.url.database)

    def copy() -> str:
        made = held.with_name(f"copy{len(list(held.parent.iterdir()))}.db")
        shutil.copyfile(held, made)
        return f"sqlite:///{made}"

    return copy


def test_ingest__killed_at_any_moment_leaves_the_store_before_or_after(nursery, copies, exports):
    before, url = State(copies()), copies()
    started = time.perf_counter()
    assert nursery.run(url, exports[1]) == 0
    duration, after = time.perf_counter() - started, State(url)
    assert not after.holds_the_facts_of(before)

    rng, found = random.Random(SEED), []
    while len(found) < KILLS:
        url, started = copies(), time.perf_counter()
        code = nursery.run(url, exports[1], seconds=duration * (len(found) + rng.random()) / KILLS)
        if code == 0:  # faster than its kill: the next ones come a little earlier
            duration = time.perf_counter() - started
            continue
        assert code == -signal.SIGKILL
        left = State(url)
        assert left in (before, after), f"kill {len(found)} left half a load"
        found.append("before" if left == before else "after")

        store = Store(url)
        ingest(store, mapping=exports[1] / "mapping.yaml", source=exports[1], now=pd.Timestamp.now("UTC"))
        store.close()
        assert State(url).holds_the_facts_of(after)
    print(f"{KILLS} kills: the store was as before {found.count('before')} times, as after {found.count('after')} times")
    assert "before" in found
