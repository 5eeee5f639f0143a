from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.features.margins import PRIOR_ORDERS, margin_shares
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import table_schema

END = pd.Timestamp("2024-06-01")
IDS = pd.Index(["a", "b", "c"])


def order_rows(rows) -> pd.DataFrame:
    """``(order_id, customer_id, amount, currency)``, booked and known in January."""
    frame = pd.DataFrame(rows, columns=[c.ORDER_ID, c.CUSTOMER_ID, c.AMOUNT, c.CURRENCY])
    day = pd.Timestamp("2024-01-10")
    return frame.assign(**{c.DS: day, c.PRODUCT: "", c.DEAL_ID: "", c.KNOWN_AT: day}).astype({c.AMOUNT: float})


def field_rows(rows, *, table="orders", kind="number") -> pd.DataFrame:
    """``(id, name, value, known_at)`` of one table's own fields."""
    frame = pd.DataFrame(rows, columns=[c.ENTITY_ID, c.NAME, c.VALUE, c.KNOWN_AT])
    frame = frame.assign(**{c.KNOWN_AT: pd.to_datetime(frame[c.KNOWN_AT]), c.TABLE: table, c.KIND: kind})
    return frame[list(table_schema("attributes").empty().columns)]


def shares(orders, fields, *, as_of=END, ids=IDS, **tables) -> np.ndarray:
    facts = MemoryFacts({"orders": order_rows(orders), "attributes": fields} | tables, Company(currency="EUR"))
    return margin_shares(Snapshot(facts, as_of), ids)


ORDERS = [("1", "a", 100, "EUR"), ("2", "a", 100, "EUR"), ("3", "b", 50, "EUR"), ("4", "b", 999, "EUR")]
MARGINS = field_rows([("1", "margin", "40", "2024-01-10"), ("2", "margin", "20", "2024-02-10"), ("3", "margin", "5", "2024-01-10")])


def test_margin_shares__are_drawn_to_the_company_by_orders_of_the_customers_own_size():
    share = 65 / 250
    a = (60 + PRIOR_ORDERS * 100 * share) / (200 + PRIOR_ORDERS * 100)
    b = (5 + PRIOR_ORDERS * 50 * share) / (50 + PRIOR_ORDERS * 50)
    assert shares(ORDERS, MARGINS) == pytest.approx([a, b, share]), "order 4 has no margin, customer c no order"


def test_margin_shares__know_only_what_was_known():
    early = shares(ORDERS, MARGINS, as_of=pd.Timestamp("2024-02-01"))
    share = 45 / 150
    assert early[2] == pytest.approx(share)
    assert early[0] == pytest.approx((40 + PRIOR_ORDERS * 100 * share) / (100 + PRIOR_ORDERS * 100))
    corrected = pd.concat([MARGINS, field_rows([("1", "margin", "-30", "2024-03-01")])])
    assert shares(ORDERS, corrected, as_of=pd.Timestamp("2024-02-01")) == pytest.approx(early)
    assert shares(ORDERS, corrected)[2] == pytest.approx(-5 / 250)


@pytest.mark.parametrize(
    "fields",
    [
        field_rows([]),
        field_rows([("1", "cost", "40", "2024-01-10")]),
        field_rows([("a", "margin", "40", "2024-01-10")], table="customers"),
        field_rows([("1", "margin", "high", "2024-01-10")], kind="category"),
        field_rows([("1", "margin", None, "2024-01-10")]),
        field_rows([("gone", "margin", "40", "2024-01-10")]),
        field_rows([("1", "margin", "40", "2024-07-01")]),
    ],
    ids=["no field", "another field", "of customers", "text", "empty", "of no order", "known later"],
)
def test_margin_shares__are_missing_where_no_order_has_a_margin(fields):
    assert np.isnan(shares(ORDERS, fields)).all()


def test_margin_shares__of_no_orders_are_missing():
    assert np.isnan(margin_shares(Snapshot(MemoryFacts({}), END), IDS)).all()


def test_margin_shares__of_refunds_stay_those_of_the_company():
    orders = [("1", "a", 100, "EUR"), ("2", "b", 100, "EUR"), ("3", "b", -99.9, "EUR"), ("4", "c", 10, "EUR"), ("5", "c", -30, "EUR")]
    fields = field_rows([(order, "margin", value, "2024-01-10") for order, value in zip("12345", (40, 40, -10, 4, -12), strict=True)])
    found = shares(orders, fields)
    share = 62 / 80.1
    assert found[2] == pytest.approx(share)
    assert found[1] == pytest.approx((30 + PRIOR_ORDERS * 99.95 * share) / (0.1 + PRIOR_ORDERS * 99.95))
    assert np.isnan(shares(orders[3:], fields)).all(), "refunds outweigh sales: no share of a loss"


def test_margin_shares__count_margins_in_the_currency_of_their_order():
    rates = pd.DataFrame({c.DS: pd.to_datetime(["2024-01-01", "2024-01-09", "2024-01-11"]), c.CURRENCY: "USD", c.RATE: [9.0, 0.5, 9.0]})
    orders = [("1", "a", 100, "EUR"), ("2", "b", 100, "USD"), ("3", "c", 70, "JPY")]
    fields = field_rows([("1", "margin", "20", "2024-01-10"), ("2", "margin", "80", "2024-01-10"), ("3", "margin", "30", "2024-01-10")])
    found = shares(orders, fields, fx_rates=rates.assign(**{c.KNOWN_AT: pd.Timestamp("2024-01-01")}))
    assert found[2] == pytest.approx(60 / 200), "200 EUR sold, 20 EUR and 80 USD left; no rate tells what 30 JPY are"
