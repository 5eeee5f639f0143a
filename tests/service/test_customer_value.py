"""GET /v1/customers/value and /v1/channels/value, the rank in a customer's answer, and the commands that give the same numbers."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef, Status
from predictkpi.predictors.clv.model import ClvPredictor
from predictkpi.service.api.customer_value import channels_value, customers_value
from predictkpi.service.view import Champion, PredictionTable, View

PATH = "/v1/customers/value"
CHANNELS = "/v1/channels/value"
HORIZONS = [3, 6, 12, 24]


@pytest.fixture(scope="module")
def champion(served):
    return served.serving.view.champion("clv")


def at(group, horizon):
    return next(value for value in group["values"] if value["horizon"] == horizon)


def test_value__of_all_customers_is_the_sum_of_their_predictions(get, champion):
    answer = get(PATH)
    assert answer["groups"] == []
    total = answer["total"]
    assert [value["horizon"] for value in total["values"]] == [item["horizon"] for item in answer["horizons"]] == HORIZONS
    for horizon in HORIZONS:
        wide, found = champion.table.wide(horizon), at(total, horizon)
        assert found["revenue"]["mean"] == pytest.approx(wide["mean"].sum())
        assert found["discounted"] == pytest.approx(wide["discounted"].sum())
        assert found["expected_purchases"] == pytest.approx(wide["expected_purchases"].sum())
        assert found["revenue"]["q10"] < found["revenue"]["q50"] < found["revenue"]["q90"]
        assert found["revenue"]["q90"] < wide["q90"].sum(), "a total's quantile is no sum of quantiles"
    assert total["customers"] == len(champion.table)
    assert all(sum(item["statuses"].values()) == total["customers"] for item in answer["horizons"])
    assert all(item["reason"] for item in answer["horizons"]), "accounts without an order are below full, and the answer says so"
    assert pd.Timestamp(answer["horizons"][2]["until"]) == pd.Timestamp(answer["as_of"]) + pd.DateOffset(months=12)
    assert answer["model"]["version"] == champion.ref.version
    assert get(PATH) == answer, "the same question has the same answer"


def test_value__by_segment_has_one_group_each_and_a_filter_gives_that_group(get, snapshot):
    answer = get(PATH, by="segment", horizon=12)
    assert [group["group"] for group in answer["groups"]] == sorted(snapshot.customers[c.SEGMENT].unique())
    assert sum(group["customers"] for group in answer["groups"]) == answer["total"]["customers"]
    assert sum(group["without_order"] for group in answer["groups"]) == answer["total"]["without_order"] > 0
    assert sum(at(group, 12)["revenue"]["mean"] for group in answer["groups"]) == pytest.approx(at(answer["total"], 12)["revenue"]["mean"])
    first, second = answer["groups"][:2]
    alone = get(PATH, segment=first["group"], horizon=12)["total"]
    assert (alone["customers"], alone["without_order"]) == (first["customers"], first["without_order"])
    assert at(alone, 12)["revenue"] == pytest.approx(at(first, 12)["revenue"])
    both = get(PATH, segment=[first["group"], second["group"]], horizon=12)["total"]
    assert both["customers"] == first["customers"] + second["customers"]


def test_value__by_owner_follows_the_newest_deal(get, snapshot):
    groups = {group["group"]: group["customers"] for group in get(PATH, by="owner", horizon=3)["groups"]}
    without = set(snapshot.customers[c.CUSTOMER_ID]) - set(snapshot.deals[c.CUSTOMER_ID])
    assert groups["(none)"] == len(without) > 0
    assert set(groups) - {"(none)"} <= set(snapshot.deal_events[c.OWNER])


def test_value__where_nobody_fits_both_filters_is_nothing(get, snapshot):
    owner = min(get(PATH, by="owner", horizon=3)["groups"], key=lambda group: group["customers"])["group"]
    present = {group["group"] for group in get(PATH, by="industry", horizon=3, owner=owner)["groups"]}
    industry = next(name for name in snapshot.customers[c.INDUSTRY].unique() if name not in present)
    answer = get(PATH, owner=owner, industry=industry)
    assert answer["total"]["customers"] == 0
    assert [value["revenue"]["q90"] for value in answer["total"]["values"]] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"by": "colour"}, "by"),
        ({"horizon": 5}, "horizon"),
        ({"horizon": "soon"}, "horizon"),
        ({"segment": "Giant"}, "segment"),
        ({"owner": "Nobody Known"}, "owner"),
        ({"channel": "telepathy"}, "channel"),
    ],
)
def test_value__wrong_parameter_is_422_and_named(problem, params, name):
    found = problem(422, "GET", PATH, params=params)
    assert [item["parameter"] for item in found["errors"]] == [name]


def test_clv__says_where_the_customer_stands(get, champion):
    mean = champion.table.wide(12)["mean"].sort_values(ascending=False)
    best, last = get(f"/v1/customers/{mean.index[0]}/clv"), get(f"/v1/customers/{mean.index[-1]}/clv")
    assert (best["rank"], best["of"], best["decile"]) == (1, len(mean), 1)
    assert last["rank"] == (mean > mean.iloc[-1]).sum() + 1
    assert last["decile"] == 10


def test_channels__give_ratio_and_payback_or_say_why_not(get, champion):
    answer = get(CHANNELS)
    by_name = {channel["channel"]: channel for channel in answer["channels"]}
    assert answer["since"] == "2025-01-01T00:00:00"
    assert sum(channel["customers"] for channel in answer["channels"]) == answer["total"]["customers"] > 0
    assert answer["total"]["cac"] == pytest.approx(answer["total"]["cost"] / answer["total"]["customers"])
    assert "no spend is recorded for it" in by_name["organic"]["reason"]
    assert by_name["organic"]["value_24"]["mean"] > 0
    assert by_name["sales"]["value_24"] is None
    for channel in [*answer["channels"], answer["total"]]:
        has_cost = channel["cac"] is not None
        assert has_cost == (channel["ltv_to_cac_24"] is not None) == (channel["payback"] is not None)
        assert has_cost or channel["reason"]
        assert (channel["status"] == "insufficient_data") == (not has_cost)
        if has_cost:
            assert channel["ltv_to_cac_24"]["mean"] == pytest.approx(channel["value_24"]["mean"] / channel["cac"])
            assert channel["ltv_to_cac_12"]["q10"] < channel["ltv_to_cac_12"]["q90"]
    assert answer["model"]["version"] == champion.ref.version


def test_customers_command__agrees_with_the_api(cli, get):
    code, out, err = cli("customers", "--by", "segment", "--format", "json")
    assert code == 0, err
    rows = json.loads(out)
    answer = get(PATH, by="segment")
    expected = [(group, value) for group in [*answer["groups"], answer["total"]] for value in group["values"]]
    for row, (group, value) in zip(rows, expected, strict=True):
        assert (row["group"], row["horizon"], row["customers"]) == (group["group"], value["horizon"], group["customers"])
        assert [row[name] for name in ("mean", "q10", "q50", "q90")] == pytest.approx(list(value["revenue"].values()))
        assert row["discounted"] == pytest.approx(value["discounted"])


def test_customers_command__table_has_one_row_a_group_and_a_total(cli, get, snapshot):
    code, out, err = cli("customers", "--by", "region", "--horizon", "24", "--segment", "SMB")
    assert code == 0, err
    assert "net revenue in 24 months" in out
    for region in snapshot.customers.loc[snapshot.customers[c.SEGMENT] == "SMB", c.REGION].unique():
        assert region in out
    assert "total" in out
    code, out, err = cli("customers", "--format", "csv", "--horizon", "6")
    assert code == 0, err
    assert out.splitlines()[0].startswith("group,horizon,customers,without_order,mean")
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--horizon", "5"), "there are 3, 6, 12, 24 months"),
        (("--owner", "Nobody Known"), "Nobody Known"),
        (("--by", "colour"), "colour"),
    ],
)
def test_customers_command__refuses_what_makes_no_sense(cli, arguments, told):
    code, out, err = cli("customers", *arguments)
    assert (code, out) == (1, "")
    assert told in err


def test_channels_command__agrees_with_the_api(cli, get):
    code, out, err = cli("channels", "--format", "json")
    assert code == 0, err
    answer = get(CHANNELS)
    for row, channel in zip(json.loads(out), [*answer["channels"], answer["total"]], strict=True):
        assert (row["channel"], row["cac"], row["reason"]) == (channel["channel"], channel["cac"], channel["reason"])
        told = channel["payback"] or {"expected": None, "q90": None}
        assert (row["payback_months"], row["payback_q90"]) == (told["expected"], told["q90"])
    code, out, err = cli("channels")
    assert code == 0, err
    assert all(channel["channel"] in out for channel in answer["channels"])
    assert all(name in out for name in ("CAC", "LTV:CAC 24", "payback", "total"))


def test_commands__teach(cli):
    for name, told in (("customers", "--by segment"), ("channels", "LTV to CAC")):
        code, out, _ = cli(name, "--help")
        assert code == 0
        assert told in out


def test_value__of_a_baseline_says_so_in_every_status(snapshot, served):
    baseline = ClvPredictor().baseline()
    baseline.fit(baseline.training_table(snapshot))
    ref = ModelRef(predictor="clv", version="7", kind="baseline", reason="no model was better", run_id="r")
    champion = Champion(baseline, ref, PredictionTable(baseline.predict(snapshot)))
    view = View(snapshot, {"clv": champion}, {}, served.serving.view.fingerprint)
    answer = customers_value(view, by="segment")
    assert {status for item in answer.horizons for status in item.statuses} == {Status.BASELINE, Status.PRIOR}
    assert all(item.reason == "no model was better" for item in answer.horizons)
    year = at(answer.total.model_dump(), 12)["revenue"]
    assert year["mean"] == pytest.approx(champion.table.wide(12)["mean"].sum())
    assert year["q10"] < year["mean"] < year["q90"]
    channels = channels_value(view)
    assert {channel.status for channel in channels.channels} == {Status.BASELINE, Status.INSUFFICIENT_DATA}
    assert channels.total.ltv_to_cac_24.q10 < channels.total.ltv_to_cac_24.q90
