"""`predictkpi forecast` and `pipeline` over the store and the champions that the service has: the same numbers."""

from __future__ import annotations

import json

import pandas as pd
import pytest


def test_forecast__gives_the_horizons_asked_for(cli, get, open_deals):
    deal_id = open_deals.index[-1]
    code, out, err = cli("forecast", "close_time", "--entity", deal_id, "--horizons", "45,7", "--format", "json")
    assert code == 0, err
    found = {(row["horizon"], row["statistic"]): row["value"] for row in json.loads(out)}
    answer = get(f"/v1/deals/{deal_id}/close-time", horizons="7,45")
    assert found == {(item["horizon"], name): value for item in answer["predictions"] for name, value in item["values"].items()}


def test_forecast__table_shows_what_people_need(cli, open_deals):
    code, out, err = cli("forecast", "close_time", "--entity", open_deals.index[-1])
    assert code == 0, err
    assert all(name in out for name in ("cif won", "p win", "p slip", "expected value"))
    assert "p won by month end" not in out


@pytest.mark.parametrize("by", ["team", "segment,region"])
def test_forecast__of_revenue_splits_as_the_api_does(cli, get, by):
    code, out, err = cli("forecast", "revenue", "--by", by, "--horizon", "1", "--format", "json")
    assert code == 0, err
    items = get("/v1/forecasts/revenue", by=by, horizon=1)["items"]
    assert {row["entity_id"] for row in json.loads(out)} == {item["entity_id"] for item in items}
    assert len(items) > 1
    code, _, err = cli("forecast", "revenue", "--by", "colour")
    assert code == 1
    assert "region,segment" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("close_time", "--horizons", "7,500"), "no horizon 500: there are any from 1 to 180 days"),
        (("close_time", "--horizons", "soon"), "'soon' is no whole number"),
        (("clv", "--horizons", "5"), "no horizon 5: there are 3, 6, 12, 24 months"),
    ],
)
def test_forecast__refuses_other_horizons(cli, arguments, told):
    code, out, err = cli("forecast", *arguments)
    assert (code, out) == (1, "")
    assert told in err


def test_pipeline__agrees_with_the_api(cli, get):
    code, out, err = cli("pipeline", "--by", "owner", "--horizon", "45", "--format", "json")
    assert code == 0, err
    rows = json.loads(out)
    answer = get("/v1/deals/portfolio", by="owner", horizon=45)
    for row, group in zip(rows, [*answer["groups"], answer["total"]], strict=True):
        assert row["group"] == group["group"]
        assert row["open_deals"] == group["open_deals"]
        assert row["weighted_amount"] == pytest.approx(group["weighted_amount"])
        assert [row[f"wins_{name}"] for name in ("mean", "q10", "q90")] == [group["wins"][name] for name in ("mean", "q10", "q90")]


def test_pipeline__table_has_one_row_a_group_and_a_total(cli, get):
    code, out, err = cli("pipeline", "--by", "team", "--until", "2026-02-15")
    assert code == 0, err
    assert "won before 2026-02-15" in out
    for group in get("/v1/deals/portfolio", by="team")["groups"]:
        assert group["group"] in out
    assert "total" in out
    assert "wins q10 to q90" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--until", "2999-01-01"), "within 180 days"),
        (("--until", "2026-02-01", "--horizon", "3"), "not both"),
        (("--owner", "Nobody Known"), "Nobody Known"),
        (("--by", "colour"), "colour"),
    ],
)
def test_pipeline__refuses_what_makes_no_sense(cli, arguments, told):
    code, out, err = cli("pipeline", *arguments)
    assert (code, out) == (1, "")
    assert told in err


def test_changes__agree_with_the_api(cli, get, open_deals, snapshot):
    created = snapshot.deals.set_index("deal_id")["created_at"].reindex(open_deals.index)
    ids = [open_deals.index[created < snapshot.as_of - pd.Timedelta(days=8)][-1], created.idxmax()]
    code, out, err = cli("changes", *ids, "--format", "json")
    assert code == 0, err
    for row in json.loads(out):
        answer = get(f"/v1/deals/{row['entity_id']}/close-time/changes")
        assert (row["now"], row["before"]) == (answer["now"], answer["before"])
        assert row["notes"] == "; ".join(answer["notes"])
    code, out, err = cli("changes", *ids)
    assert code == 0, err
    assert all(name in out for name in (*ids, "before", "data", "time", "model"))


def test_reasons__agree_with_the_api(cli, get, open_deals):
    deal_id = open_deals.index[-1]
    code, out, err = cli("reasons", deal_id, "--format", "json", "--language", "de")
    assert code == 0, err
    told = {(row["statistic"], row["title"]): row["contribution"] for row in json.loads(out)}
    answer = get(f"/v1/deals/{deal_id}/close-time", reasons="true", language="de")
    assert told == pytest.approx({(reason["statistic"], reason["title"]): reason["contribution"] for reason in answer["reasons"]})
    code, out, err = cli("reasons", deal_id)
    assert code == 0, err
    assert all(name in out for name in (deal_id, "the usual open deal", "stage and the way to it", "prediction"))
    code, out, err = cli("reasons", deal_id, "--language", "fr")
    assert code == 1
    assert "'fr'" in err


def test_reasons__of_a_customer_agree_with_the_api_and_add_up(cli, get, snapshot):
    customer_id = snapshot.orders["customer_id"].value_counts().index[0]
    code, out, err = cli("reasons", customer_id, "--of", "clv", "--format", "json", "--language", "de")
    assert code == 0, err
    told = {row["title"]: row["contribution"] for row in json.loads(out)}
    answer = get(f"/v1/customers/{customer_id}/clv", reasons="true", language="de")
    assert told == pytest.approx({reason["title"]: reason["contribution"] for reason in answer["reasons"]})
    code, out, err = cli("reasons", customer_id, "--of", "clv")
    assert code == 0, err
    year = f"{answer['predictions'][2]['values']['mean']:,.1f}"
    assert all(
        name in out for name in (customer_id, "the usual customer", "how much a purchase is worth", "12 months, EUR", "prediction", year)
    )
    code, out, err = cli("reasons", "nobody", "--of", "clv")
    assert code == 1
    assert "'nobody'" in err
