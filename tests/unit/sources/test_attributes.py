"""A company's own fields: from the columns of a file to typed frames, as they were known."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError, UnknownNameError
from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

T = pd.Timestamp
NOW = T("2024-06-01 12:00")
MAPPING = """
defaults: {dates: {format: "%Y-%m-%d"}}
feeds:
  - table: deals
    file: deals.csv
    columns: {deal_id: id, created_at: created}
    attributes:
      Lead Score: number
      Tier: category
      Renewal: {name: renews_on, kind: date}
      Budget ok?: {name: has_budget, kind: flag}
"""
HEADER = "id,created,Lead Score,Tier,Renewal,Budget ok?"


@pytest.fixture
def load(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()

    def run(*lines, mapping=MAPPING, now=NOW):
        (tmp_path / "deals.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        (tmp_path / "mapping.yaml").write_text(mapping)
        return ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=now)

    run.store = store
    yield run
    store.close()


def test_attributes__come_typed_and_known_with_their_deal(load):
    load("1,2024-01-05,0.1,gold,2025-01-01,Yes", "2,2024-02-05,,silver,,no")
    wide = load.store.snapshot().attributes("deals")
    assert wide.index.tolist() == ["1", "2"]
    assert dict(wide.dtypes.astype(str)) == {
        "has_budget": "boolean", "lead_score": "float64", "renews_on": "datetime64[us]", "tier": "str",
    }  # fmt: skip
    assert wide["lead_score"].iloc[0] == 0.1
    assert wide["lead_score"].isna().tolist() == [False, True]
    assert wide["has_budget"].tolist() == [True, False]
    assert wide["renews_on"].iloc[0] == T("2025-01-01")
    assert load.store.snapshot(T("2024-02-01")).attributes("deals").index.tolist() == ["1"]
    assert load.store.snapshot().attributes("customers").empty
    with pytest.raises(UnknownNameError):
        load.store.snapshot().attributes("spend")


def test_attributes__change_from_the_load_that_says_so_and_the_past_stays(load):
    load("1,2024-01-05,1,gold,,")
    before = load.store.snapshot(NOW).attributes("deals")
    later = NOW + pd.Timedelta(days=2)
    assert sum(feed.accepted for feed in load("1,2024-01-05,1,gold,,", now=later).feeds) == 0
    report = load("1,2024-01-05,1,,,", now=later)
    assert [(feed.table, feed.accepted, feed.unchanged) for feed in report.feeds] == [("deals", 0, 1), ("attributes", 1, 3)]
    pd.testing.assert_frame_equal(load.store.snapshot(later).attributes("deals"), before)
    assert load.store.snapshot().attributes("deals")["tier"].isna().all()


def test_attributes__a_bad_cell_is_a_reject_of_its_own(load):
    report = load("1,2024-01-05,high,gold,soon,maybe", "2,2024-01-06,2,gold,,")
    assert [(feed.table, feed.records, feed.rejected) for feed in report.feeds] == [("deals", 2, 0), ("attributes", 8, 3)]
    found = [(r.row, r.table, r.field, r.value) for r in report.rejects.itertuples()]
    assert found == [
        (2, "attributes", "Lead Score", "high"),
        (2, "attributes", "Renewal", "soon"),
        (2, "attributes", "Budget ok?", "maybe"),
    ]
    assert report.rejects["reason"].str.len().min() > 0
    assert len(load.store.snapshot().deals) == 2


def test_attributes__of_a_rejected_row_come_when_it_does(load):
    report = load("1,05.01.2024,1,gold,,", "2,2024-01-06,2,gold,,")
    assert [(feed.table, feed.records, feed.rejected) for feed in report.feeds] == [("deals", 2, 1), ("attributes", 4, 0)]


def test_attributes__one_that_is_mapped_later_counts_as_a_first_load(load):
    without = MAPPING.replace("      Tier: category\n", "").replace("attributes:", "ignore: [Tier]\n    attributes:")
    load("1,2024-01-05,1,gold,,", mapping=without)
    load("1,2024-01-05,2,gold,,", now=NOW + pd.Timedelta(days=1))
    early = load.store.snapshot(T("2024-02-01")).attributes("deals")
    assert early["tier"].tolist() == ["gold"]
    assert early["lead_score"].tolist() == [1.0]


def test_attributes__always_known_and_kind_changed(load):
    load("1,2024-01-05,1,7,,", mapping=MAPPING + "    known_at: always\n")
    assert load.store.snapshot(T("1999-01-01")).attributes("deals").index.tolist() == ["1"]
    load("1,2024-01-05,1,7,,", mapping=MAPPING.replace("Tier: category", "Tier: number"), now=NOW + pd.Timedelta(days=1))
    assert load.store.snapshot().attributes("deals")["tier"].tolist() == [7.0]
    assert load.store.snapshot(NOW).attributes("deals")["tier"].tolist() == ["7"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Tier: category", "Tier: colour", "'category', 'number', 'date' or 'flag'"),
        ("Tier: category", "Tier: {kind: category, name: region}", "deals has a column of that name"),
        ("Tier: category", "Tier: {kind: category, name: lead_score}", "given twice"),
        ("Tier: category", "Tier: {kind: category, nmae: tier}", "did you mean 'name'"),
        ("Tier: category", "Tear: category", "did you mean 'Tier'"),
        ("columns: {deal_id: id, created_at: created}", "columns: {created_at: created}\n    constants: {deal_id: x}", "map deal_id"),
        ("table: deals", "table: spend", "spend"),
    ],
)
def test_attributes__mistakes_in_the_mapping_are_named(load, old, new, message):
    with pytest.raises(MappingError, match=message):
        load("1,2024-01-05,1,gold,,", mapping=MAPPING.replace(old, new))


def test_attributes__one_name_has_one_kind(load):
    other = "  - {table: deals, file: more.csv, columns: {deal_id: id}, attributes: {Tier: number}}\n"
    with pytest.raises(MappingError, match="'tier' of deals is a category in one feed and a number in another"):
        load("1,2024-01-05,1,gold,,", mapping=MAPPING + other)


def test_attributes__a_long_file_feeds_the_table_itself(load, tmp_path):
    (tmp_path / "long.csv").write_text("t,e,n,k,v\ndeals,1,score,number,3\ndeals,2,score,number,much\ndeals,1,vip,flag,true\n")
    mapping = """
feeds:
  - {table: attributes, file: long.csv, columns: {table: t, entity_id: e, name: n, kind: k, value: v}}
"""
    report = load(mapping=mapping)
    assert report.rejects[["row", "value", "reason"]].to_numpy().tolist() == [[3, "much", "is not of its kind"]]
    wide = load.store.snapshot().attributes("deals")
    assert wide.loc["1"].tolist() == [3.0, True]
