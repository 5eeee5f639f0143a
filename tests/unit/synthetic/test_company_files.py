"""The sample company as files."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.synthetic import make_company, write_company
from predictkpi.tables import TABLES


@pytest.fixture(scope="module")
def small():
    return make_company(seed=9, customers=60, years=1, deals=150, orders=400)


def test_write_company__writes_every_version_of_every_filled_table(small, tmp_path):
    write_company(small, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "mapping.yaml", "customers.csv", "orders.csv", "deals.csv", "deal_events.csv", "activities.csv", "spend.csv", "targets.csv",
    }  # fmt: skip
    for name in TABLES:
        if len(small.tables[name]):
            frame = pd.read_csv(tmp_path / "new" / f"{name}.csv")
            assert list(frame.columns) == [*TABLES[name].column_names, "known_at"]
            assert len(frame) == len(small.tables[name])


def test_write_company__is_the_same_each_time(small, tmp_path):
    for folder in ("a", "b"):
        write_company(small, tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_write_company__its_mapping_is_one_that_sources_read(small, tmp_path):
    from predictkpi.sources import read_mapping

    write_company(small, tmp_path)
    mapping = read_mapping(tmp_path / "mapping.yaml")
    assert mapping.company == small.company
    assert [feed.table for feed in mapping.feeds] == [name for name in TABLES if len(small.tables[name])]
    assert all(feed.known_at == "known_at" for feed in mapping.feeds)


@pytest.mark.parametrize("as_of", ["2022-06-01", "2024-02-10", None])
def test_write_company__a_store_loaded_from_it_shows_the_same_snapshots(company, sample_store, as_of):
    instant = company.end if as_of is None else pd.Timestamp(as_of)
    direct, stored = company.snapshot(instant), sample_store.snapshot(None if as_of is None else instant)
    assert stored.as_of == instant
    for name in TABLES:
        columns = [*TABLES[name].column_names, "known_at"]
        pd.testing.assert_frame_equal(stored.table(name)[columns], direct.table(name)[columns], check_dtype=False)
