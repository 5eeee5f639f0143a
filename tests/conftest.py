"""Fixtures every test may use: one small sample company, built once a run, and the door to real data where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

TOGETHER = ("service", "docs")
"""Folders whose tests share what takes a minute to make: each runs in one process, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file run in one process, those of `TOGETHER` in one a folder; `make test` has several processes."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here)
        item.add_marker(pytest.mark.xdist_group(path.parts[0] if path.parts[0] in TOGETHER else path.as_posix()))
    items.sort(key=lambda item: TOGETHER.index(folder) if (folder := item.path.relative_to(here).parts[0]) in TOGETHER else len(TOGETHER))


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
