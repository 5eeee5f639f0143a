"""Syncs in general, on a source made of lists: one transaction a batch, resuming, repeating, deletions."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError, SourceError
from predictkpi.pipelines.ingest import ingest
from predictkpi.pipelines.sync import open_source, sync
from predictkpi.sources import read_mapping
from predictkpi.sources.base import Batch, Mark, fed_objects
from predictkpi.store import Store

NOW = pd.Timestamp("2024-06-01 12:00")
MAPPING = """
company: {name: Acme, currency: EUR}
source: {kind: sql}
defaults: {dates: {format: ISO8601}}
feeds:
  - {table: deals, file: deals, columns: {deal_id: id, created_at: created}}
  - {table: deal_events, file: changes, columns: {deal_id: id, ds: day, stage: stage, amount: amount}}
  - {table: orders, file: orders, columns: {order_id: id, ds: day, customer_id: customer, amount: amount}}
"""
DEALS = [("d1", "2024-01-01"), ("d2", "2024-01-05"), ("d3", "2024-02-01")]
CHANGES = [("d1", "2024-01-01", "Open", "10"), ("d1", "2024-02-01", "won", "12"), ("d2", "2024-01-05", "Open", "5")]
ORDERS = [("o1", "2024-02-01", "ann", "12"), ("o2", "2024-02-03", "ben", "-1"), ("o3", "2024-03-01", "ann", "7")]
COLUMNS = {"deals": ["id", "created"], "changes": ["id", "day", "stage", "amount"], "orders": ["id", "day", "customer", "amount"]}


class Lists:
    """A source of two records a batch, read in the order of the lists; ``breaks`` is the number of the batch that fails to come."""

    id_column = "id"

    def __init__(self, breaks=None, deleted=(), trouble=SourceError, **objects):
        self.objects = {"deals": DEALS, "changes": CHANGES, "orders": ORDERS} | objects
        self.breaks = breaks
        self.trouble = trouble
        self.deleted = tuple(deleted)
        self.read = 0

    def batches(self, marks, *, until):
        number = 0
        for name, records in self.objects.items():
            mark = marks.get(name, Mark())
            for start in range(int(mark.at or 0), len(records), 2):
                number += 1
                if number == self.breaks:
                    raise self.trouble("the line is dead")
                some = records[start : start + 2]
                self.read += len(some)
                frame = pd.DataFrame(some, columns=COLUMNS[name], dtype="str")
                mark = mark.moved(str(start + len(some)))
                yield Batch({name: frame}, {name: mark}, first=frozenset({name} if mark.is_first else ()))
            yield Batch({}, {name: mark.ended(mark.at)}, deleted={name: self.deleted} if self.deleted else {})


class Desk:
    def __init__(self, folder, url):
        self.path = folder / "acme.yaml"
        self.path.write_text(MAPPING)
        self.store = Store(url)
        self.store.migrate()

    def sync(self, source, *, now=NOW, rows_at_once=1, **options):
        return sync(self.store, mapping=self.path, now=lambda: now, source=source, rows_at_once=rows_at_once, **options)

    def facts(self, as_of=None):
        snapshot = self.store.snapshot(as_of)
        return {name: getattr(snapshot, name) for name in ("deals", "deal_events", "orders")}


@pytest.fixture
def desk(tmp_path, database_url):
    desk = Desk(tmp_path, database_url)
    yield desk
    desk.store.close()


@pytest.fixture
def other(tmp_path):
    (tmp_path / "other").mkdir()
    desk = Desk(tmp_path / "other", f"sqlite:///{tmp_path}/other/facts.db")
    yield desk
    desk.store.close()


def counts(report):
    return {feed.table: (feed.rows, feed.accepted, feed.unchanged, feed.rejected) for feed in report.feeds}


def equal(one, two):
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name])


def test_sync__the_first_pass_counts_as_one_first_load_however_many_batches(desk):
    report = desk.sync(Lists())
    assert counts(report) == {"deals": (3, 3, 0, 0), "deal_events": (3, 3, 0, 0), "orders": (3, 3, 0, 0)}
    facts = desk.facts()
    assert (facts["orders"]["known_at"] == facts["orders"]["ds"]).all()
    assert (facts["deal_events"]["known_at"] == facts["deal_events"]["ds"]).all()


def test_sync__again_reads_nothing_and_from_the_start_changes_nothing(desk):
    desk.sync(Lists())
    before = desk.facts(), len(desk.store.loads())
    again = Lists()
    assert desk.sync(again, now=NOW + pd.Timedelta(days=1)).batches == 0
    assert again.read == 0
    assert len(desk.store.loads()) == before[1]
    report = desk.sync(Lists(), now=NOW + pd.Timedelta(days=2), from_start=True)
    assert counts(report) == {"deals": (3, 0, 3, 0), "deal_events": (3, 0, 3, 0), "orders": (3, 0, 3, 0)}
    equal(desk.facts(), before[0])


@pytest.mark.parametrize("breaks", [1, 2, 4, 6])
def test_sync__interrupted_anywhere_resumes_to_what_an_undisturbed_one_gives(desk, other, breaks):
    with pytest.raises(SourceError, match="the line is dead"):
        desk.sync(Lists(breaks=breaks))
    rest = Lists()
    desk.sync(rest)
    assert rest.read == 9 - {1: 0, 2: 2, 4: 5, 6: 8}[breaks]
    other.sync(Lists())
    equal(desk.facts(), other.facts())


@pytest.mark.parametrize(("trouble", "read_again"), [(SourceError, 3), (RuntimeError, 4)])
def test_sync__gathers_batches_and_loses_only_those_gathered_when_it_is_killed(desk, other, trouble, read_again):
    """Of nine records six came before the break, five of them in a transaction; a source that fails leaves time for the sixth."""
    with pytest.raises(trouble, match="the line is dead"):
        desk.sync(Lists(breaks=5, trouble=trouble), rows_at_once=4)
    rest = Lists()
    report = desk.sync(rest, rows_at_once=100)
    assert (rest.read, report.batches) == (read_again, 1)
    other.sync(Lists())
    equal(desk.facts(), other.facts())


def test_sync__what_a_later_batch_says_of_a_record_holds():
    one, mark = pd.DataFrame({"id": ["a", "b"]}), {"deals": Mark("1")}
    there, gone = Batch({"deals": one}, mark), Batch({}, mark, deleted={"deals": ("b",)})
    assert there.then(gone, id_column="id").deleted == {"deals": ("b",)}
    assert gone.then(there, id_column="id").deleted == {"deals": ()}


def test_sync__later_changes_are_known_from_the_sync_that_brings_them(desk):
    desk.sync(Lists())
    past = desk.facts(NOW)
    later = NOW + pd.Timedelta(days=3)
    desk.sync(Lists(orders=[*ORDERS, ("o1", "2024-02-01", "ann", "11")]), now=later)
    equal(desk.facts(NOW), past)
    now_known = desk.facts()["orders"].set_index("order_id")
    assert now_known.loc["o1", "amount"] == 11
    assert now_known.loc["o1", "known_at"] == later


def test_sync__a_deleted_record_is_gone_from_then_on_and_may_come_back(desk):
    desk.sync(Lists())
    past = desk.facts(NOW)
    deleted_at = NOW + pd.Timedelta(days=3)
    assert desk.sync(Lists(deleted=["o2", "d1", "never heard of"]), now=deleted_at).withdrawn == 2
    assert desk.sync(Lists(deleted=["o2", "d1", "never heard of"]), now=deleted_at + pd.Timedelta(hours=1)).withdrawn == 0
    equal(desk.facts(NOW), past)
    facts = desk.facts()
    assert facts["orders"]["order_id"].tolist() == ["o1", "o3"]
    assert facts["deals"]["deal_id"].tolist() == ["d2", "d3"]
    assert facts["deal_events"]["deal_id"].tolist() == ["d2"]
    back_at = deleted_at + pd.Timedelta(days=2)
    desk.sync(Lists(orders=[*ORDERS, ORDERS[1]]), now=back_at)
    assert desk.facts()["orders"]["order_id"].tolist() == ["o1", "o2", "o3"]
    assert desk.facts(back_at)["orders"]["order_id"].tolist() == ["o1", "o3"]


def test_sync__a_bad_record_does_not_stop_the_sync_and_is_counted(desk):
    report = desk.sync(Lists(orders=[*ORDERS, ("o4", "2024-03-02", "ann", "ten")]))
    assert counts(report)["orders"] == (4, 3, 0, 1)
    assert report.rejects["value"].tolist() == ["ten"]
    assert desk.sync(Lists(orders=[*ORDERS, ("o4", "2024-03-02", "ann", "ten"), ("o5", "never", "ann", "1")])).rejects[
        "value"
    ].tolist() == ["never"]


def test_sync__refuses_where_no_record_of_the_first_batch_fits(desk):
    with pytest.raises(SourceError, match="all 2 records for orders were rejected"):
        desk.sync(Lists(orders=[("o1", "x", "ann", "1"), ("o2", "y", "ann", "1")]))
    assert desk.store.counts()["orders"] == 0
    assert "orders" not in desk.store.marks("acme")


def test_sync__mappings_of_files_and_of_sources_are_told_apart(desk, tmp_path):
    with pytest.raises(MappingError, match="load it with `predictkpi sync`"):
        ingest(desk.store, mapping=desk.path, source=tmp_path, now=NOW)
    files = tmp_path / "files.yaml"
    files.write_text(MAPPING.replace("source: {kind: sql}", ""))
    with pytest.raises(MappingError, match="load them with `predictkpi ingest`"):
        open_source(read_mapping(files), {})
    files.write_text(MAPPING.replace("kind: sql", "kind: sqll"))
    with pytest.raises(MappingError, match="did you mean 'sql'"):
        open_source(read_mapping(files), {})


def test_fed_objects__what_checks_the_deals_is_read_after_their_events(tmp_path):
    path = tmp_path / "acme.yaml"
    live = "  - {table: deal_events, file: NAME, states: live, columns: {deal_id: id, stage: stage}}\n"
    path.write_text(MAPPING + live.replace("NAME", "deals_now"))
    assert fed_objects(read_mapping(path)) == ["orders", "deals", "changes", "deals_now"]
    path.write_text(MAPPING + live.replace("NAME", "deals"))
    with pytest.raises(MappingError, match="read it once more under another name"):
        fed_objects(read_mapping(path))
