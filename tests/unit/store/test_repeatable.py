"""What the store decides of repeated requests, and the pages of rejects and of the audit log, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import sqlalchemy as sa

from predictkpi.core.types import Company
from predictkpi.store.audit import AUDIT_ID
from predictkpi.store.loading import Counts
from predictkpi.store.repeatable import Repeated
from predictkpi.store.schema import REJECT_FIELDS, REPEATABLE

NOW = pd.Timestamp("2026-01-02 03:04:05")
NO_TIME = pd.Timedelta(0)
ASKED = {"actor": "Ann Lee", "action": "GET /v1/kpis", "subject": "", "status": 200, "times": 1}
LEASE, KEEP = pd.Timedelta(minutes=1), pd.Timedelta(hours=24)


@pytest.fixture
def begin(store):
    """``begin(key)`` -> None where it is claimed, else what holds it; ``after`` so long."""
    return lambda key, digest="d", *, after=NO_TIME: store.repeatables.begin(key, digest, now=NOW + after, lease=LEASE, keep=KEEP)


def test_key__is_claimed_answered_and_forgotten(store, begin):
    assert begin("k") is None
    assert begin("k", "other") == Repeated("d", None)
    store.repeatables.finish("k", b"\x00answer\xff", begun_at=NOW, erasures=0)
    assert begin("k", after=2 * LEASE) == Repeated("d", b"\x00answer\xff"), "an answer outlives the lease"
    assert begin("k", after=KEEP + LEASE) is None


def test_claim__ends_when_it_is_dropped_and_when_its_process_died(store, begin):
    assert begin("k") is None
    store.repeatables.drop("k", begun_at=NOW)
    assert begin("k") is None
    assert begin("k", after=2 * LEASE) is None
    assert not store.repeatables.finish("k", b"late", begun_at=NOW, erasures=0), "its claim had ended"
    store.repeatables.drop("k", begun_at=NOW)
    assert store.repeatables.finish("k", b"answer", begun_at=NOW + 2 * LEASE, erasures=0)
    store.repeatables.drop("k", begun_at=NOW + 2 * LEASE)
    assert begin("k", after=2 * LEASE) == Repeated("d", b"answer"), "an answer is not given back"


def test_many_at_once__one_has_the_claim(begin):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: begin("k"), range(16)))
    assert found.count(None) == 1
    assert found.count(Repeated("d", None)) == 15


def test_old_answers__are_forgotten_on_demand(store, begin):
    assert begin("old") is None
    store.repeatables.finish("old", b"answer", begun_at=NOW, erasures=0)
    store.repeatables.forget(now=NOW + KEEP + LEASE, keep=KEEP)
    assert begin("old", "other") is None


def test_claim__looks_at_its_own_key_alone_and_old_ones_are_found_by_an_index(store, begin):
    """It holds the writer's turn: what it does must not grow with the answers that are kept."""
    assert begin("old") is None
    assert begin("new", after=KEEP + LEASE) is None
    engine = sa.create_engine(store.url)
    with engine.connect() as connection:
        assert sorted(connection.execute(sa.select(REPEATABLE.c.request_key)).scalars()) == ["new", "old"]
    assert ["asked_at"] in [index["column_names"] for index in sa.inspect(engine).get_indexes("repeatable")]
    engine.dispose()


def test_answer__made_of_data_from_before_an_erasure_is_not_kept(store, begin):
    store.accesses.add([dict.fromkeys(("day", "first_at", "last_at"), NOW) | ASKED])
    assert begin("open") is None
    store.erasures.erase("person", "Ann Lee", at=NOW)
    count = store.erasures.count()
    assert not store.repeatables.finish("open", b"Ann Lee", begun_at=NOW, erasures=0)
    assert begin("open") is None, "the claim went with the erasure"
    assert not store.repeatables.finish("open", b"Ann Lee", begun_at=NOW, erasures=count - 1)
    assert store.repeatables.finish("open", b"nobody", begun_at=NOW, erasures=count)


def test_rejects_and_audit__go_on_behind_a_row(store):
    rejects = pd.DataFrame([("a.csv", row, "orders", "amount", "x", "is no number") for row in range(3)], columns=REJECT_FIELDS)
    for _ in range(2):
        with store.begin_load(company=Company(), now=NOW) as load:
            load.write_rejects(rejects)
            load.finish(Counts(rejected=3))
    whole = store.rejects(with_records=True)
    assert whole["load_id"].tolist() == [2, 2, 2, 1, 1, 1]
    for place in range(6):
        after = tuple(int(value) for value in whole[["load_id", "reject_id"]].iloc[place])
        rest = store.rejects(with_records=True, after=after)
        assert rest["reject_id"].tolist() == whole["reject_id"].tolist()[place + 1 :]
    for number in range(3):
        store.write_audit(NOW, "train", f"p{number}", {})
    newest = store.audit(limit=1)
    assert newest["subject"].tolist() == ["p2"]
    assert store.audit(before=int(newest[AUDIT_ID].iloc[0]))["subject"].tolist() == ["p1", "p0"]
