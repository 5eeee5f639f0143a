"""The envelope, and the endpoints that answer in it."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.core.types import Status

ENVELOPE = {
    "prediction_id",
    "inputs_digest",
    "predictor",
    "entity_id",
    "entity",
    "label",
    "as_of",
    "time_unit",
    "currency",
    "headline",
    "units",
    "model",
    "status",
    "reason",
    "predictions",
    "curve",
    "reasons",
}
STANDING = {"rank", "of", "decile"}


def assert_is_envelope(answer, *, predictor, horizons):
    assert set(answer) == ENVELOPE | (STANDING if predictor == "clv" else set())
    assert answer["predictor"] == answer["model"]["name"] == predictor
    assert set(answer["model"]) == {"name", "version", "kind", "reason"}
    assert answer["status"] in set(Status)
    assert bool(answer["reason"]) == (answer["status"] != "full")
    assert [item["horizon"] for item in answer["predictions"]] == list(horizons)
    assert answer["headline"] in answer["units"]
    for item in answer["predictions"]:
        assert set(item) == {"horizon", "until", "status", "values", "dates", "notes"}
        assert {name for name, value in item["values"].items() if value is None} <= set(item["notes"])
        assert pd.Timestamp(item["until"]) > pd.Timestamp(answer["as_of"])
        assert set(item["values"]) <= set(answer["units"])
        assert all(value is None or math.isfinite(value) for value in item["values"].values())


def payload_of(deal_id, snapshot):
    """A stored deal as a CRM would send it, with its whole history."""
    deal = snapshot.deals.set_index(c.DEAL_ID).loc[deal_id]
    events = snapshot.deal_events[snapshot.deal_events[c.DEAL_ID] == deal_id].sort_values(c.DS, kind="stable")

    def sent(value):
        return None if pd.isna(value) else value.isoformat() if isinstance(value, pd.Timestamp) else value

    names = (c.STAGE, c.AMOUNT, c.OWNER, c.EXPECTED_CLOSE_ON)
    states = [{"at": sent(event[c.DS]), **{name: sent(event[name]) for name in names}} for _, event in events.iterrows()]
    now = {name: value for name, value in states[-1].items() if name in names}
    fixed = {name: sent(deal[name]) for name in (c.CREATED_AT, c.SOURCE, c.PRODUCT, c.REGION, c.TEAM, c.CUSTOMER_ID)}
    done = snapshot.activities[snapshot.activities[c.DEAL_ID] == deal_id].sort_values(c.DS, kind="stable")
    activities = [{"at": sent(row[c.DS]), "kind": row[c.KIND]} for _, row in done.iterrows()]
    return {"deal_id": deal_id, "events": states, "activities": activities, **fixed, **now}


def test_clv__answers_for_a_stored_customer(get, snapshot):
    customer_id = snapshot.orders[c.CUSTOMER_ID].value_counts().index[0]
    answer = get(f"/v1/customers/{customer_id}/clv")
    assert_is_envelope(answer, predictor="clv", horizons=[3, 6, 12, 24])
    year = answer["predictions"][2]["values"]
    assert 0 <= year["p_alive"] <= 1
    assert year["q10"] <= year["q90"]
    assert answer["label"] == snapshot.customers.set_index(c.CUSTOMER_ID).loc[customer_id, c.NAME]
    assert answer["as_of"] == snapshot.as_of.isoformat()


@pytest.mark.parametrize("language", ["en", "de"])
def test_clv__says_why_in_two_languages(get, snapshot, language):
    customer_id = snapshot.orders[c.CUSTOMER_ID].value_counts().index[0]
    answer = get(f"/v1/customers/{customer_id}/clv", reasons="true", language=language)
    assert get(f"/v1/customers/{customer_id}/clv")["reasons"] is None
    reasons, year = answer["reasons"], answer["predictions"][2]
    assert {(reason["statistic"], reason["horizon"]) for reason in reasons} == {("mean", 12)} == {("mean", year["horizon"])}
    assert sum(reason["contribution"] for reason in reasons) == pytest.approx(year["values"]["mean"], rel=1e-12, abs=1e-9)
    assert reasons[0]["name"] == "baseline"
    assert reasons[0]["title"] == {"en": "the usual customer", "de": "der übliche Kunde"}[language]
    weights = [abs(reason["contribution"]) for reason in reasons[1:]]
    assert weights == sorted(weights, reverse=True)


def test_close_time__answers_for_an_open_deal(get, open_deals):
    deal_id = open_deals.index[-1]  # the one touched last: the oldest are dead, and have no close date to give
    answer = get(f"/v1/deals/{deal_id}/close-time")
    assert_is_envelope(answer, predictor="close_time", horizons=[7, 14, 30, 60, 90, 180])
    won = [item["values"]["cif_won"] for item in answer["predictions"]]
    assert won == sorted(won)
    last = answer["predictions"][-1]["values"]
    assert last["close_q10"] <= last["close_q50"] <= last["close_q90"]
    dates = answer["predictions"][-1]["dates"]
    day = pd.Timestamp(answer["as_of"]) + pd.Timedelta(days=last["close_q50"])
    assert dates["close_q50"] == day.date().isoformat()
    assert dates["close_q10"] <= dates["close_q50"] <= dates["close_q90"]
    assert last["p_won_by_month_end"] <= last["p_won_by_quarter_end"] <= last["p_won_by_fiscal_year_end"] <= last["p_win"]
    assert last["expected_value"] == pytest.approx(last["p_win"] * open_deals.loc[deal_id, c.AMOUNT])


@pytest.mark.parametrize("language", ["en", "de"])
def test_close_time__says_why_for_stored_and_sent_deals_alike(get, served, open_deals, snapshot, language):
    deal_id = open_deals.index[-1]
    params = {"reasons": "true", "language": language}
    stored = get(f"/v1/deals/{deal_id}/close-time", **params)
    sent = served.client.post("/v1/deals/close-time", json=payload_of(deal_id, snapshot), params=params).json()
    assert get(f"/v1/deals/{deal_id}/close-time")["reasons"] is None
    assert {reason["statistic"] for reason in stored["reasons"]} == {"cif_won", "close_q50"}
    for answer in (stored, sent):
        at_90 = next(item for item in answer["predictions"] if item["horizon"] == 90)["values"]["cif_won"]
        of_won = [reason for reason in answer["reasons"] if reason["statistic"] == "cif_won"]
        assert sum(reason["contribution"] for reason in of_won) == pytest.approx(at_90, abs=1e-9)
        assert of_won[0]["name"] == "baseline"
    stage = next(reason["title"] for reason in stored["reasons"] if reason["name"] == "stage")
    assert ("Stufe" in stage) == (language == "de")
    kept = ("name", "title")
    assert {tuple(reason[k] for k in kept) for reason in stored["reasons"]} == {
        tuple(reason[k] for k in kept) for reason in sent["reasons"]
    }


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("#/created_at", lambda at: {"created_at": at, "stage": "Proposal"}),
        ("#/events/0/at", lambda at: {"events": [{"at": at, "stage": "Proposal"}]}),
        ("#/activities/0/at", lambda at: {"stage": "Proposal", "activities": [{"at": at, "kind": "call"}]}),
    ],
)
def test_payload__says_nothing_of_as_of_or_later(served, snapshot, pointer, said):
    def sent(at: pd.Timestamp):
        return served.client.post("/v1/deals/close-time", json=said(at.isoformat()))

    assert sent(snapshot.as_of - pd.Timedelta("1us")).status_code == 200
    refused = sent(snapshot.as_of)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == pointer
    assert "must lie before as_of" in json.dumps(error)


def test_payload__activities_count_and_must_lie_in_the_past(served, open_deals, snapshot):
    deal = payload_of(open_deals.index[-1], snapshot)
    future = deal | {"activities": [{"at": (snapshot.as_of + pd.Timedelta(days=1)).isoformat(), "kind": "call"}]}
    answer = served.client.post("/v1/deals/close-time", json=future)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/activities/0/at"
    lively = deal | {"activities": [{"at": (snapshot.as_of - pd.Timedelta(days=day)).isoformat(), "kind": "call"} for day in (1, 2, 3)]}
    assert served.client.post("/v1/deals/close-time", json=lively).status_code == 200


@pytest.mark.parametrize("stored", [True, False])
def test_close_time__gives_any_horizon_and_the_curve_through_it(get, served, open_deals, snapshot, stored):
    deal_id = open_deals.index[-1]
    params = {"horizons": "45,7,180", "curve": "true"}
    if stored:
        answer = get(f"/v1/deals/{deal_id}/close-time", **params)
    else:
        response = served.client.post("/v1/deals/close-time", json=payload_of(deal_id, snapshot), params=params)
        assert response.status_code == 200, response.text
        answer = response.json()
    assert_is_envelope(answer, predictor="close_time", horizons=[7, 45, 180])
    usual = get(f"/v1/deals/{deal_id}/close-time")
    assert usual["curve"] is None
    assert answer["predictions"][0]["values"] == usual["predictions"][0]["values"]
    assert answer["predictions"][2]["values"] == usual["predictions"][-1]["values"]
    curve = answer["curve"]
    assert curve["horizons"] == list(range(1, 181))
    won, lost, still = (np.array(curve["values"][name]) for name in ("cif_won", "cif_lost", "p_open"))
    assert won + lost + still == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(won) >= 0).all()
    assert (np.diff(lost) >= 0).all()
    assert answer["predictions"][1]["values"] == {"cif_won": won[44], "cif_lost": lost[44], "p_open": still[44]}


def test_batch__gives_the_horizons_asked_for(served, open_deals, snapshot):
    deals = {"deals": [payload_of(open_deals.index[-1], snapshot)]}
    answer = served.client.post("/v1/deals/close-time/batch", json=deals, params={"horizons": "1,180"}).json()
    assert_is_envelope(answer["items"][0]["prediction"], predictor="close_time", horizons=[1, 180])


def test_close_time__a_deal_without_a_rep_date_is_no_less_sure_and_says_what_it_lacks(served, open_deals, snapshot):
    deal = payload_of(open_deals.index[-1], snapshot) | {"expected_close_on": None}
    deal["events"] = [event | {"expected_close_on": None} for event in deal["events"]]
    last = served.client.post("/v1/deals/close-time", json=deal).json()["predictions"][-1]
    assert last["values"]["p_slip"] is None
    assert "no expected close date" in last["notes"]["p_slip"]
    assert last["status"] != "insufficient_data"


def test_revenue__gives_every_month_up_to_the_horizon(get):
    whole = get("/v1/forecasts/revenue")
    (total,) = whole["items"]
    assert_is_envelope(total, predictor="revenue", horizons=range(1, 13))
    assert total["entity_id"] == "total"
    assert total["label"] == "Total"
    for item in total["predictions"]:
        values = item["values"]
        assert values["q025"] <= values["q10"] <= values["q50"] <= values["q90"] <= values["q975"]
    (short,) = get("/v1/forecasts/revenue", horizon=3)["items"]
    assert short["predictions"] == total["predictions"][:3]


def test_revenue__by_a_dimension_gives_one_envelope_per_member(get, snapshot):
    answer = get("/v1/forecasts/revenue", by="segment", horizon=1)
    assert {item["entity_id"] for item in answer["items"]} >= {
        f"segment={name}" for name in snapshot.customers[c.SEGMENT].dropna().unique()
    }
    for item in answer["items"]:
        assert_is_envelope(item, predictor="revenue", horizons=[1])


def test_revenue__by_crossed_dimensions_gives_one_envelope_per_cell(get):
    items = get("/v1/forecasts/revenue", by="segment,region", horizon=1)["items"]
    assert items
    assert all(item["entity_id"].startswith("region=") and "&segment=" in item["entity_id"] for item in items)
    assert items[0]["label"].endswith("(region, segment)")


def test_champion__is_the_registry_s(get, served):
    for item in get("/v1/models")["items"]:
        champion = served.serving.registry.champion(item["predictor"])[1]
        assert item["champion"]["version"] == champion.version
        assert [row["version"] for row in item["versions"] if row["is_champion"]] == [champion.version]


def test_payload__of_a_stored_deal_is_answered_like_the_stored_deal(get, served, open_deals, snapshot):
    deal_ids = list(open_deals.index[:40])
    answer = served.client.post("/v1/deals/close-time/batch", json={"deals": [payload_of(deal_id, snapshot) for deal_id in deal_ids]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["succeeded"], body["failed"]) == (len(deal_ids), 0)
    for deal_id, item in zip(deal_ids, body["items"], strict=True):
        stored = get(f"/v1/deals/{deal_id}/close-time")
        own = {name: stored[name] for name in ("label", "prediction_id", "inputs_digest")}  # a request is not the store's row
        assert item["prediction"] | own == stored


def test_payload__alone_is_answered_as_in_a_batch(served, open_deals, snapshot):
    deals = [payload_of(deal_id, snapshot) for deal_id in open_deals.index[:3]]
    batch = served.client.post("/v1/deals/close-time/batch", json={"deals": deals}).json()
    for deal, item in zip(deals, batch["items"], strict=True):
        assert served.client.post("/v1/deals/close-time", json=deal).json() == item["prediction"]


def test_payload__is_answered_the_same_whoever_else_is_in_the_batch(served, open_deals, snapshot):
    deal = payload_of(open_deals.index[-1], snapshot)
    alone = served.client.post("/v1/deals/close-time", json=deal).json()
    now, ago = deal["stage"], snapshot.as_of - pd.Timedelta(days=90)
    path = [{"at": (ago + pd.Timedelta(days=day)).isoformat(), "stage": stage} for day, stage in enumerate([now, "lost", "Unheard", now])]
    reopened = {"created_at": ago.isoformat(), "stage": now, "owner": deal["owner"], "source": deal["source"], "events": path}
    answer = served.client.post("/v1/deals/close-time/batch", json={"deals": [deal] + [reopened] * 300})
    assert answer.status_code == 200, answer.text
    assert answer.json()["succeeded"] == 301
    assert answer.json()["items"][0]["prediction"] == alone


@pytest.fixture
def deal(snapshot, open_deals):
    """The least a CRM can say."""
    created = snapshot.as_of - pd.Timedelta(days=20)
    return {"created_at": created.isoformat(), "stage": open_deals[c.STAGE].iloc[0], "amount": 1000.0}


def test_payload__unknown_to_the_store_is_answered(served, deal):
    answer = served.client.post("/v1/deals/close-time", json=deal | {"deal_id": "CRM-1", "name": "Big one"})
    assert answer.status_code == 200, answer.text
    assert_is_envelope(answer.json(), predictor="close_time", horizons=[7, 14, 30, 60, 90, 180])
    assert answer.json()["entity_id"] == "CRM-1"
    assert answer.json()["label"] == "Big one"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stage": "Daydreaming"}, "stage 'Daydreaming'"),
        ({"owner": "Nobody Known"}, "owner 'Nobody Known'"),
        ({"source": "carrier pigeon", "region": "Moon"}, "source 'carrier pigeon'"),
        ({"product": "Perpetuum mobile"}, "product 'Perpetuum mobile'"),
        ({"amount": None}, "amount is missing"),
        ({"attributes": {"shoe_size": 43}}, "attribute 'shoe_size'"),
        ({"owner": None}, "owner is missing"),
        ({"stage": None}, "stage is missing: answered from deals of all stages"),
        ({"created_at": None}, "created_at is missing: its age counts from as_of"),
    ],
)
def test_payload__with_something_unknown_is_answered_with_a_lower_status(served, deal, change, told):
    answer = served.client.post("/v1/deals/close-time", json=deal | change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] != "full"
    assert told in answer.json()["reason"]
    assert answer.json()["predictions"][0]["values"]["cif_won"] is not None


def test_payload__without_amount_has_every_chance_but_no_expected_value(served, deal):
    full, bare = (served.client.post("/v1/deals/close-time", json=sent).json() for sent in (deal, deal | {"amount": None}))
    last = bare["predictions"][-1]
    assert last["values"]["expected_value"] is None
    assert last["notes"]["expected_value"] == "amount is missing"
    assert 0 < last["values"]["p_win"] < 1
    whole = full["predictions"][-1]["values"]
    assert whole["expected_value"] == pytest.approx(whole["p_win"] * deal["amount"])


def test_payload__of_a_stored_deal_without_what_its_events_say_is_answered_alike(served, open_deals, snapshot):
    deal = payload_of(open_deals.index[-1], snapshot)
    whole = served.client.post("/v1/deals/close-time", json=deal).json()
    without_stage = served.client.post("/v1/deals/close-time", json={k: v for k, v in deal.items() if k != "stage"}).json()
    assert without_stage == whole
    first = min(event["at"] for event in deal["events"])
    since_first = served.client.post("/v1/deals/close-time", json=deal | {"created_at": first}).json()
    without_date = served.client.post("/v1/deals/close-time", json=deal | {"created_at": None}).json()
    assert "its age counts from its first event" in without_date["reason"]
    assert without_date["status"] != "full"
    assert [item["values"] for item in without_date["predictions"]] == [item["values"] for item in since_first["predictions"]]


def test_payload__without_a_stage_is_answered_from_deals_of_all_stages(served, deal):
    told = served.client.post("/v1/deals/close-time", json=deal | {"stage": None}).json()
    unheard = served.client.post("/v1/deals/close-time", json=deal | {"stage": "Daydreaming"}).json()
    assert [item["values"] for item in told["predictions"]] == [item["values"] for item in unheard["predictions"]]


def test_payload__instants_with_an_offset_are_taken_to_the_company_s_time_zone(served, deal, company):
    local = pd.Timestamp(deal["created_at"]).tz_localize(company.company.time_zone)
    same = deal | {"created_at": local.tz_convert("America/New_York").isoformat()}
    expected = served.client.post("/v1/deals/close-time", json=deal).json()
    assert served.client.post("/v1/deals/close-time", json=same).json() == expected


def test_batch__answers_or_refuses_each_deal_by_itself(served, deal, snapshot):
    deals = [
        deal,
        deal | {"stage": "won"},
        {"amount": 5.0},
        "no deal",
        deal | {"created_at": "2999-01-01"},
        deal | {"deal_id": "last"},
    ]
    answer = served.client.post("/v1/deals/close-time/batch", json={"deals": deals})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["succeeded"], body["failed"]) == (2, 4)
    assert [item["index"] for item in body["items"]] == list(range(6))
    assert [item["problem"] and item["problem"]["status"] for item in body["items"]] == [None, 409, 422, 422, 422, None]
    assert body["items"][2]["problem"]["errors"][0]["pointer"] == "#/deals/2/created_at"
    assert body["items"][4]["problem"]["errors"][0]["pointer"] == "#/deals/4/created_at"
    assert body["items"][5]["prediction"]["entity_id"] == "last"
