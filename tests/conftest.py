"""Fixtures every test may use: one small sample company, built once a run, and the door to real data where it is at hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

TOGETHER = ("service", "pages", "docs")
"""Tests that share what takes half a minute to make: each group runs in one process, the longest first."""
PAGES = re.compile(r"test_(page_|site|browser|dashboard|languages|sentences)")
"""Files of the service's folder that are a group of their own, as they take as long as all the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The groups of `TOGETHER` come first: `make test` has several processes, and nobody should wait for the longest in the end."""
    items.sort(key=lambda item: TOGETHER.index(found) if (found := _group(item.nodeid)) in TOGETHER else len(TOGETHER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than cores: a quarter of the time a test waits for a server, a database or a browser."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests of a file run in one process, and those of a group of `TOGETHER`: each process would make every fixture anew.

    xdist's own ``loadgroup`` changes node ids for that, which pytest 9.2 does not take.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


def _group(nodeid: str) -> str:
    path = Path(nodeid.partition("::")[0])
    folder = path.parts[1] if path.parts[0] == "tests" else path.parts[0]
    if folder == "service" and PAGES.match(path.name):
        return "pages"
    return folder if folder in TOGETHER else path.as_posix()


@pytest.fixture(scope="session")
def company():
    """A sample company of 250 customers over 4 years, with its truth."""
    from predictkpi.synthetic import make_company

    return make_company(seed=11, customers=250, years=4, deals=1200, orders=3000)


@pytest.fixture(scope="session")
def snapshot(company):
    """Everything the sample company knew at its end."""
    return company.snapshot()


@pytest.fixture(scope="session")
def real_data() -> Callable[..., Path]:
    """``real_data("deals", "maven-crm")`` is that folder of real data; the test skips where it is not at hand."""
    root = os.environ.get("PREDICTKPI_REAL_DATA")

    def folder(*parts: str) -> Path:
        if not root:
            pytest.skip("real data is not at hand: set PREDICTKPI_REAL_DATA to its folder")
        path = Path(root, *parts)
        if not path.exists():
            pytest.skip(f"real data is not at hand: {Path(*parts)} is not in PREDICTKPI_REAL_DATA")
        return path

    return folder


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's server programs; the test skips where no server is installed."""
    from postgres.server import programs

    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is at hand: install one (Debian: apt-get install postgresql), or put its initdb on the PATH")
    return found


@pytest.fixture(scope="session")
def postgres(postgres_programs):
    """A running PostgreSQL (`postgres.server.Server`), started once a run; each test makes its own database on it."""
    from postgres.server import running_server

    with running_server(postgres_programs) as server:
        yield server


@pytest.fixture(scope="session")
def sample_store(company, tmp_path_factory):
    """A real SQLite store that the sample company was ingested into, through its files and mapping."""
    import pandas as pd

    from predictkpi.pipelines.ingest import ingest
    from predictkpi.store import Store
    from predictkpi.synthetic import write_company

    folder = tmp_path_factory.mktemp("sample")
    write_company(company, folder)
    store = Store(f"sqlite:///{folder}/store.db")
    store.migrate()
    ingest(store, mapping=folder / "mapping.yaml", source=folder, now=pd.Timestamp(company.end))
    return store
