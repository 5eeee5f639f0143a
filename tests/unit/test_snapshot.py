"""The lens: versions, the exclusive as_of, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import FutureAccessError
from predictkpi.snapshot import MemoryFacts, Snapshot

T = pd.Timestamp


def _order(order_id, ds, amount, known_at):
    return {
        c.ORDER_ID: order_id,
        c.DS: T(ds),
        c.CUSTOMER_ID: "a",
        c.AMOUNT: amount,
        c.CURRENCY: "EUR",
        c.PRODUCT: "p",
        c.DEAL_ID: None,
        c.KNOWN_AT: T(known_at),
    }


@pytest.fixture
def facts():
    return MemoryFacts(
        {
            "orders": pd.DataFrame(
                [
                    _order("1", "2024-01-05", 100.0, "2024-01-05"),
                    _order("1", "2024-01-05", 80.0, "2024-02-10"),
                    _order("2", "2024-01-20", 50.0, "2024-03-01"),
                    _order("3", "2024-06-01", 70.0, "2024-01-07"),
                ]
            )
        }
    )


def test_table__shows_the_newest_version_known(facts):
    assert Snapshot(facts, T("2024-02-10")).orders[c.AMOUNT].tolist() == [100.0]
    assert Snapshot(facts, T("2024-02-11")).orders[c.AMOUNT].tolist() == [80.0]


def test_table__as_of_is_exclusive(facts):
    assert len(Snapshot(facts, T("2024-03-01")).orders) == 1
    assert len(Snapshot(facts, T("2024-03-01 00:00:01")).orders) == 2


def test_table__hides_bookings_dated_ahead_but_history_has_them(facts):
    seen = Snapshot(facts, T("2024-02-01"))
    assert seen.orders[c.ORDER_ID].tolist() == ["1"]
    assert "3" in seen.history("orders")[c.ORDER_ID].tolist()


def test_at__equals_a_fresh_snapshot_and_never_goes_forward(facts):
    late = Snapshot(facts, T("2024-07-01"))
    for as_of in ("2024-01-06", "2024-02-10", "2024-05-01"):
        pd.testing.assert_frame_equal(late.at(T(as_of)).orders, Snapshot(facts, T(as_of)).orders)
    with pytest.raises(FutureAccessError, match="cannot show"):
        late.at(T("2024-07-02"))


def test_history__refuses_facts_that_break_the_promise(facts):
    class Leaky:
        company = facts.company

        def read(self, table, *, known_before):
            return facts.read(table, known_before=T.max)

    with pytest.raises(FutureAccessError, match="2 rows were known only"):
        Snapshot(Leaky(), T("2024-02-01")).history("orders")


def test_with_rows__adds_what_only_the_caller_knows(facts):
    seen = Snapshot(facts, T("2024-02-01"))
    richer = seen.with_rows({"orders": pd.DataFrame([_order("9", "2024-01-31", 5.0, "2024-01-31")])})
    assert set(richer.orders[c.ORDER_ID]) == {"1", "9"}
    assert set(seen.orders[c.ORDER_ID]) == {"1"}


def test_with_rows__hides_rows_of_the_future(facts):
    richer = Snapshot(facts, T("2024-02-01")).with_rows({"orders": pd.DataFrame([_order("9", "2024-02-05", 5.0, "2024-02-05")])})
    assert "9" not in set(richer.orders[c.ORDER_ID])


def test_table__that_nobody_gave_is_empty_with_its_columns(facts):
    assert list(Snapshot(facts, T("2024-02-01")).spend.columns) == [c.DS, c.CHANNEL, c.COST, c.CURRENCY, c.KNOWN_AT]
