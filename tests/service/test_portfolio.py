"""GET /v1/deals/portfolio: what the open deals will bring together."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c

PATH = "/v1/deals/portfolio"


def test_portfolio__of_all_deals_agrees_with_the_deals_one_by_one(get, served, open_deals):
    answer = get(PATH)
    champion = served.serving.view.champion("close_time")
    won = champion.table.wide(30)["cif_won"]
    amount = open_deals[c.AMOUNT].reindex(won.index)
    total = answer["total"]
    assert answer["groups"] == []
    assert total["open_deals"] == len(won) == sum(answer["statuses"].values())
    assert total["weighted_amount"] == pytest.approx((won * amount).sum())
    assert total["wins"]["mean"] == pytest.approx(won.sum(), rel=0.05)
    assert total["wins"]["q10"] < total["wins"]["q50"] < total["wins"]["q90"]
    assert answer["model"]["version"] == champion.ref.version
    assert pd.Timestamp(answer["until"]) == pd.Timestamp(answer["as_of"]) + pd.Timedelta(days=30)
    assert get(PATH) == answer, "the same question has the same answer"


def test_portfolio__by_owner_has_one_group_each_and_a_filter_gives_that_group(get, open_deals):
    answer = get(PATH, by="owner", horizon=60)
    assert [group["group"] for group in answer["groups"]] == sorted(open_deals[c.OWNER].dropna().unique())
    assert sum(group["open_deals"] for group in answer["groups"]) == answer["total"]["open_deals"]
    assert sum(group["wins"]["mean"] for group in answer["groups"]) == pytest.approx(answer["total"]["wins"]["mean"])
    first, second = answer["groups"][:2]
    alone = get(PATH, owner=first["group"], horizon=60)["total"]
    flat_alone, flat_first = (pd.json_normalize(found).iloc[0].to_dict() for found in (alone | {"group": first["group"]}, first))
    assert flat_alone == pytest.approx(flat_first)
    both = get(PATH, owner=[first["group"], second["group"]], horizon=60)["total"]
    assert both["open_deals"] == first["open_deals"] + second["open_deals"]


def test_portfolio__until_a_date_is_that_horizon(get, snapshot):
    until = snapshot.as_of + pd.Timedelta(days=45)
    assert get(PATH, until=until.isoformat()) == get(PATH, horizon=45)


def test_portfolio__where_no_deal_fits_both_filters_holds_nothing(get, open_deals):
    pairs = set(zip(open_deals[c.OWNER], open_deals[c.STAGE], strict=True))
    owner, stage = next((o, s) for o in open_deals[c.OWNER].unique() for s in open_deals[c.STAGE].unique() if (o, s) not in pairs)
    answer = get(PATH, owner=owner, stage=stage)
    assert answer["total"]["open_deals"] == 0
    assert answer["total"]["amount"]["q90"] == 0


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"by": "colour"}, "by"),
        ({"horizon": 0}, "horizon"),
        ({"horizon": 181}, "horizon"),
        ({"until": "2999-01-01"}, "until"),
        ({"until": "2020-01-01"}, "until"),
        ({"until": "2026-01-20", "horizon": 7}, "until"),
        ({"owner": "Nobody Known"}, "owner"),
        ({"stage": "Daydreaming"}, "stage"),
    ],
)
def test_portfolio__wrong_parameter_is_422_and_named(problem, params, name):
    found = problem(422, "GET", PATH, params=params)
    assert [item["parameter"] for item in found["errors"]] == [name]
