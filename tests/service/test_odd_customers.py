"""Odd customers over HTTP, from one store: each has a defined answer with status and reason, a margin, and reasons that add up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from running_service import running, settings_in

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.promote import promote
from predictkpi.pipelines.train import train
from predictkpi.tables import table_schema
from toy.own_fields import versions

START, END = pd.Timestamp("2022-01-01"), pd.Timestamp("2024-06-01")
DAY = END - pd.Timedelta(days=30)
MONTH = pd.Timedelta(days=30)
ODD = {
    "refunds": ([(DAY, -50.0), (DAY + MONTH / 3, -20.0)], "limited", "only refunds"),
    "cancelled": ([(DAY, 80.0), (DAY, -80.0)], "limited", "only refunds"),
    "loss": ([(DAY, 80.0), (DAY + MONTH / 3, -300.0)], "limited", "as much was refunded as bought"),
    "once": ([(DAY, 80.0)], "full", ""),
    "one day": ([(DAY + pd.Timedelta(hours=hour), 80.0) for hour in range(9)], "full", ""),
    "giant": ([(DAY, 80_000.0)], "limited", "one purchase over 100 times the usual one"),
    "early": ([(END - back * MONTH, 80.0) for back in range(1, 9)], "full", "dated before the account was opened"),
    "new": ([], "prior", "no order yet"),
    "dear": ([(END - back * MONTH, 80.0) for back in range(1, 9)], "full", "cost more than they brought"),
}


def usual_orders() -> list[tuple[str, pd.Timestamp, float]]:
    """500 customers who buy at rates of their own and leave."""
    rng, rows = np.random.default_rng(8), []
    for i in range(500):
        born, rate, leaves = rng.uniform(0, 760), rng.gamma(0.9, 1 / 45.0), rng.exponential(400.0)
        days = born + np.concatenate([[0.0], np.cumsum(rng.exponential(1 / rate, 200))])
        value = 60.0 * np.exp(rng.normal(0.0, 0.6))
        rows += [(f"c{i:03d}", START + pd.Timedelta(days=int(day)), value * rng.gamma(4.0, 0.25)) for day in days if day < born + leaves]
    return [row for row in rows if row[1] < END]


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Iterator:
    rows = [*usual_orders(), *((name, day, amount) for name, (orders, _, _) in ODD.items() for day, amount in orders)]
    orders = pd.DataFrame(rows, columns=[c.CUSTOMER_ID, c.DS, c.AMOUNT]).assign(**{c.CURRENCY: "EUR"})
    orders = orders.assign(**{c.ORDER_ID: [f"o{i}" for i in range(len(orders))], c.KNOWN_AT: orders[c.DS]})
    names = [*sorted(orders[c.CUSTOMER_ID].unique()), "new"]
    opened = {"early": END - pd.Timedelta(days=20), "new": END - pd.Timedelta(days=50)}
    customers = pd.DataFrame({c.CUSTOMER_ID: names, c.CREATED_AT: [opened.get(name, START) for name in names]})
    customers = customers.assign(**{c.SEGMENT: "SMB", c.KNOWN_AT: customers[c.CREATED_AT]})
    share = orders[c.CUSTOMER_ID].map({"dear": -2.0}).fillna(0.3)
    margins = versions("orders", orders[c.ORDER_ID], "margin", "number", (orders[c.AMOUNT] * share).map(repr), orders[c.KNOWN_AT])
    given = {"orders": orders, "customers": customers}
    tables = {
        name: table_schema(name).empty().merge(frame, how="right")[table_schema(name).empty().columns] for name, frame in given.items()
    }
    settings = settings_in(tmp_path_factory.mktemp("odd"))
    store = open_store(settings)
    store.load(tables | {"attributes": margins}, company=Company(name="Odd", currency="EUR"), now=END)
    registry = open_registry(settings)
    for report in train(store, registry, predictors=["clv", "revenue"], as_of=None, models_dir=settings.models_dir, now=END):
        if report.challenger:  # whatever the gate says of so small a company: the model's answers are asked for
            promote(store, registry, report.predictor, report.challenger.version, now=END)
    with running(settings) as service:
        service.wait_until_ready()
        yield service


@pytest.mark.parametrize("name", ODD)
def test_odd_customer__has_a_defined_answer_with_status_and_reason(odd, name):
    response = odd.client.get(f"/v1/customers/{name}/clv", params={"reasons": "true"})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"]["kind"] == "model"
    _, status, reason = ODD[name]
    quarter = answer["predictions"][0]
    assert quarter["status"] == status
    told = answer["reason"] if status != "full" else " ".join(quarter["notes"].values())
    assert reason in told
    assert (told == "") == (reason == "")
    for item in answer["predictions"]:
        values = item["values"]
        assert set(values) == set(answer["units"])
        assert all(value is not None and np.isfinite(value) for value in values.values())
        assert all(value >= 0 for statistic, value in values.items() if statistic != "margin")
        assert values["margin"] >= 0 or "cost more than they brought" in item["notes"].get("margin", "") + answer["reason"]
        assert (values["margin"] < 0) == (name == "dear")
    year = answer["predictions"][2]["values"]["mean"]
    assert (year == 0) == (name in ("refunds", "cancelled"))
    assert sum(part["contribution"] for part in answer["reasons"]) == pytest.approx(year, rel=1e-9, abs=1e-9)
