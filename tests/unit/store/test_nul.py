r"""NUL characters: PostgreSQL keeps none in text, so on every store such a cell is a reject, and the reject itself can be kept."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.types import Company
from predictkpi.errors import SchemaError
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.replay import replay
from toy import company

NOW = pd.Timestamp("2024-06-01")
MAPPING = r"""
company: {name: Acme, currency: EUR}
feeds:
  - table: customers
    file: customers.csv
    values: {Note: {}}
    columns: {customer_id: Id, name: Name, segment: Size}
    attributes: {Note: category, Score: number, Paid: flag}
"""
LINES = [
    "Id,Name,Size,Note,Score,Paid",
    "1,Ann,big,fine,1,yes",
    "2\0,Ben,big,fine,1,yes",
    "3,Ca\0t,big,fine,1,yes",
    "4,Dan,big,mo\0re,1,yes",
    "5,Eve,big,fine,1\0,\0",
    "6,Fay,big,fine,1,yes,one\0 too many",
]


@pytest.fixture
def load(store, tmp_path):
    def run():
        (tmp_path / "customers.csv").write_text("\n".join(LINES) + "\n", newline="")
        (tmp_path / "mapping.yaml").write_text(MAPPING)
        return ingest(store, mapping=tmp_path / "mapping.yaml", source=tmp_path, now=NOW)

    return run


def test_ingest__a_cell_with_a_nul_is_a_reject_that_can_be_kept_listed_and_replayed(store, load, tmp_path):
    report = load()
    nul, flag = r"holds a NUL character (\x00), which no database keeps in text", "neither yes nor no"
    found = report.rejects[["file", "row", "table", "field", "value", "reason"]]
    assert [(row, table, field, value) for _, row, table, field, value, _ in found.itertuples(index=False)] == [
        (3, "customers", "Id", r"2\x00"),
        (4, "customers", "Name", r"Ca\x00t"),
        (7, "customers", "", r"6,Fay,big,fine,1,yes,one\x00 too many"),
        (5, "attributes", "Note", r"mo\x00re"),
        (6, "attributes", "Score", r"1\x00"),
        (6, "attributes", "Paid", r"\x00"),
    ]
    assert found["reason"].str.startswith(nul).tolist() == [True, True, False, True, False, False]
    assert found["reason"].iloc[-1].startswith(flag)
    for feed in report.feeds:
        assert feed.records == feed.accepted + feed.unchanged + feed.rejected
    kept = store.rejects()
    assert kept["value"].tolist() == found["value"].tolist()
    assert store.snapshot(NOW + pd.Timedelta(days=1)).customers["customer_id"].tolist() == ["1", "4", "5"]

    mended = (tmp_path / "mapping.yaml").read_text().replace("{Note: {}}", r'{Note: {"mo\0re": more}, Name: {"Ca\0t": Cat}}')
    (tmp_path / "mended.yaml").write_text(mended)
    replayed = replay(store, mapping=tmp_path / "mended.yaml", now=NOW + pd.Timedelta(days=2))
    assert (replayed.waiting, replayed.settled, replayed.left) == (6, 5, 1)
    later = store.snapshot(NOW + pd.Timedelta(days=3))
    assert later.customers["name"].tolist() == ["Ann", "Cat", "Dan", "Eve"]
    assert later.attributes("customers")["note"].to_dict() == {"1": "fine", "3": "fine", "4": "more", "5": "fine"}
    assert store.rejects()["value"].tolist() == [r"2\x00", r"1\x00", r"\x00", r"6,Fay,big,fine,1,yes,one\x00 too many"]


def test_load__of_frames_refuses_it_too(store):
    orders = company.orders(customers=2)
    orders["product"] = "a\0b"
    with pytest.raises(SchemaError, match="NUL"):
        store.load({"orders": orders}, company=Company(name="Toys"), now=NOW)
    assert store.is_empty
