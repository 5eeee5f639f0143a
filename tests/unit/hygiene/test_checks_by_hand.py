"""Each check on a handful of deals whose answer can be read off the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.errors import UnknownNameError
from predictkpi.hygiene import DealBooks, Result, check_names, get_check
from predictkpi.hygiene.customer_checks import normalised
from predictkpi.hygiene.deal_checks import bulk_limit
from toy.books import books, deal, event


def run(name: str, snapshot) -> Result:
    return get_check(name).run(DealBooks(snapshot))


def found(result: Result) -> dict[str, float]:
    return dict(zip(result.findings["entity_id"], result.findings["money"], strict=True))


def test_overdue_close__counts_from_the_day_after():
    on = [pd.Timestamp(f"2024-{day}") for day in ("06-30", "07-01", "06-01")]
    snapshot = books(
        deals=[deal(name, "01-01") for name in "abcd"],
        deal_events=[
            event("a", "01-02", "talk", amount=100.0, expected_close_on=on[0]),
            event("b", "01-02", "talk", amount=200.0, expected_close_on=on[1]),
            event("c", "01-02", "talk", amount=400.0, expected_close_on=on[2]),
            event("c", "02-02", "won", amount=400.0, expected_close_on=on[2]),
            event("d", "01-02", "talk", amount=800.0),
        ],
    )
    result = run("overdue_close", snapshot)
    assert found(result) == {"a": 100.0}
    assert (result.examined, result.money) == (2, 100.0)
    assert result.findings["detail"].tolist() == ["1 days overdue"]


def test_without_amount_and_owner__look_at_open_deals_only():
    snapshot = books(
        deals=[deal(name, "01-01") for name in "abcde"],
        deal_events=[
            event("a", "01-02", "talk", amount=10.0, owner="Ann"),
            event("b", "01-02", "talk", owner="Ann"),
            event("c", "01-02", "talk", amount=0.0),
            event("d", "01-02", "lost"),
        ],
    )
    assert set(found(run("without_amount", snapshot))) == {"b", "c", "e"}
    assert set(found(run("without_owner", snapshot))) == {"c", "e"}
    assert run("without_amount", snapshot).examined == 4


def test_closed_before_created__finds_dates_that_run_backwards():
    snapshot = books(
        deals=[deal("a", "03-01"), deal("b", "02-01T10:00"), deal("c", "02-01")],
        deal_events=[
            event(name, day, "won", amount=money) for name, day, money in (("a", "02-01", 5.0), ("b", "02-01", 7.0), ("c", "02-02", 9.0))
        ],
    )
    assert found(run("closed_before_created", snapshot)) == {"a": 5.0}


def test_pushed_often__counts_later_dates_only():
    def path(name: str, *days: str) -> list[dict]:
        return [event(name, f"02-0{n}", "talk", amount=1.0, expected_close_on=pd.Timestamp(f"2024-{day}")) for n, day in enumerate(days, 1)]

    snapshot = books(
        deals=[deal("a", "01-01"), deal("b", "01-01")],
        deal_events=[*path("a", "03-01", "04-01", "05-01", "06-01"), *path("b", "03-01", "04-01", "05-01", "04-15", "04-15")],
    )
    assert found(run("pushed_often", snapshot)) == {"a": 1.0}


def test_untouched__is_longer_than_closed_deals_ever_were():
    closed = [f"c{number:02d}" for number in range(40)]
    snapshot = books(
        deals=[*(deal(name, "01-01") for name in [*closed, "old", "new", "called"])],
        deal_events=[
            *(event(name, day, stage) for name in closed for day, stage in (("01-11", "talk"), ("01-31", "won"))),
            event("old", "06-01", "talk", amount=9.0),
            event("new", "06-12", "talk", amount=8.0),
            event("called", "06-01", "talk", amount=7.0),
        ],
        activities=[{"activity_id": "A1", "deal_id": "called", "ds": pd.Timestamp("2024-06-20"), "kind": "call"}],
    )
    result = run("untouched", snapshot)
    assert found(result) == {"old": 9.0}
    assert "more than 20 days" in result.threshold


def test_bulk_closed__finds_the_clean_up_and_no_busy_month_end():
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", "2024-06-28", freq="D")
    usual = pd.Series(rng.negative_binomial(2, 0.4, len(days)) + 1, index=days)
    assert (usual < bulk_limit(usual)).all()
    limit = bulk_limit(usual)
    with_two = usual.copy()
    with_two.iloc[[50, 120]] = [120, 80]
    assert limit / 1.5 < bulk_limit(with_two) < 1.5 * limit
    assert bulk_limit(usual.head(10)) is None

    counts = [2] * 30 + [40]
    names = [f"d{day:02d}-{number:02d}" for day, count in enumerate(counts) for number in range(count)]
    on = [f"{1 + day // 28:02d}-{1 + day % 28:02d}" for day, count in enumerate(counts) for _ in range(count)]
    snapshot = books(
        deals=[deal(name, "01-01") for name in names],
        deal_events=[event(name, day, "lost", amount=2.0) for name, day in zip(names, on, strict=True)],
    )
    result = run("bulk_closed", snapshot)
    assert (result.count, result.money, result.examined) == (40, 80.0, 100)
    assert set(result.findings["entity_id"].str.slice(0, 3)) == {"d30"}


def test_bulk_limit__false_alarms_are_as_rare_as_stated():
    alarms = 0
    for seed in range(200):
        counts = pd.Series(np.random.default_rng(seed).poisson(4, 250))
        counts = counts[counts > 0]
        alarms += bool((counts >= bulk_limit(counts)).any())
    assert alarms <= 8


def test_duplicate_customers__by_normalised_name():
    names = {"C1": "Müller & Söhne GmbH", "C2": "MULLER SOHNE", "C3": "Müller AG", "C4": "", "C5": ""}
    snapshot = books(
        customers=[{"customer_id": key, "name": name, "known_at": pd.Timestamp("2024-01-01")} for key, name in names.items()],
        orders=[{"order_id": "O1", "customer_id": "C2", "ds": pd.Timestamp("2024-02-01"), "amount": 50.0}],
    )
    result = run("duplicate_customers", snapshot)
    assert found(result) == {"C2": 50.0, "C1": 0.0}
    assert result.examined == 3


@pytest.mark.parametrize(
    ("name", "spelt"), [("A.C.M.E.  Inc.", "acme"), ("GmbH", "gmbh"), ("Zoë-Café Co. KG", "zoe cafe"), ("Nord & Süd", "nord sud")]
)
def test_normalised__spells_names(name, spelt):
    assert normalised(name) == spelt


def test_leaking_fields__finds_what_is_filled_at_the_close():
    names = [f"d{number:02d}" for number in range(60)]
    snapshot = books(
        deals=[deal(name, "01-01", source="web") for name in names],
        deal_events=[
            *(event(name, "01-02", "talk", owner="Ann") for name in names),
            *(event(name, "02-02", "won", owner="Ann", amount=5.0) for name in names[:40]),
        ],
        attributes=[
            *(_attribute(name, "lost_reason", "price", "02-02T00:00") for name in names[:40]),
            *(_attribute(name, "budget", "yes", "01-01") for name in names),
        ],
    )
    result = run("leaking_fields", snapshot)
    assert set(found(result)) == {"deal_events.amount", "attributes.lost_reason"}
    assert result.findings["detail"].str.startswith("leak: 40 of 40").all()
    assert result.examined == 6


def _attribute(entity: str, name: str, value: str, day: str) -> dict:
    known = pd.Timestamp(f"2024-{day}")
    return {"table": "deals", "entity_id": entity, "name": name, "kind": "category", "value": value, "known_at": known}


@pytest.mark.parametrize("name", check_names())
def test_check__on_empty_books_finds_nothing_and_is_declared(name):
    check = get_check(name)
    result = run(name, books())
    assert (result.count, result.examined, result.money) == (0, 0, 0.0)
    assert result.threshold
    assert set(check.title) == {"en", "de"}
    assert all([check.looks_at, check.at_stake, check.way_out])


def test_get_check__names_what_there_is():
    with pytest.raises(UnknownNameError, match="overdue_close"):
        get_check("nope")
