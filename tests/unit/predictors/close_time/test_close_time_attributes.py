"""What the close-time predictor makes of a company's own fields."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import SettingsError
from predictkpi.predictors.close_time.attributes import Attributes
from predictkpi.predictors.close_time.model import CloseTimePredictor
from toy.own_fields import START, make_own_fields

SMALL = {"rounds": 30, "landmark_budget": 6000}
CUTOFF = START + pd.Timedelta(days=700)


@pytest.fixture(scope="module")
def company():
    return make_own_fields(deals=2500)


@pytest.fixture(scope="module")
def table(company):
    return CloseTimePredictor(**SMALL).training_table(company.snapshot())


@pytest.fixture(scope="module")
def fitted(table):
    return CloseTimePredictor(**SMALL).fit(table)


def loss(company, **settings):
    """Mean squared distance to the true chance to win, of the deals open at the cutoff; learnt from what was known then."""
    past, model = company.snapshot(CUTOFF), CloseTimePredictor(**SMALL, **settings)
    found = model.fit(model.training_table(past)).predict(past)
    found = found[found[c.STATISTIC] == "cif_won"]
    assert found[c.ENTITY_ID].nunique() > 80
    return float(((found[c.VALUE] - company.true_incidence(found[c.ENTITY_ID], found[c.HORIZON])) ** 2).mean())


def test_fit__learns_from_fields_that_tell_something(company):
    assert loss(company) < 0.6 * loss(company, attributes=0)


def test_fit__gains_nothing_from_a_field_that_is_filled_at_the_close(company):
    leaky = company.only("closing_note", "loss_reason")
    assert loss(leaky) == loss(leaky, attributes=0)


def test_fit__says_what_it_refuses_and_why(fitted):
    own = fitted.hazard_.design.attributes
    assert own.names == ["deal.fit", "customer.industry", "deal.tier"]
    assert own.categories["deal.tier"] == ["gold", "silver", "tin"]
    assert set(own.refused) == {"deal.closed_by", "deal.closing_note", "deal.goes_live", "deal.has_budget", "deal.loss_reason"}
    assert "by chance" in own.refused["deal.goes_live"], "days to a date tell the age of a deal, but no more"
    assert "by chance" in own.refused["deal.has_budget"], "known after three days, it tells the age of a deal, but no more"
    assert "0 landmarks" in own.refused["deal.closing_note"]
    assert "odds that differ" in own.refused["deal.loss_reason"]
    assert own.refused["deal.closed_by"] == ("filled when a deal closes, or no longer kept: there in 100% of closed and 0% of open deals")


def test_choose__keeps_the_most_telling_and_the_usual_values(table):
    some, n = np.random.default_rng(0), len(table)
    deal, deals = pd.factorize(table[c.ENTITY_ID])
    won = np.bincount(deal, weights=table["event"] == 1) > 0
    hint, weak = won + some.normal(0, 1.5, len(deals)), won + some.normal(0, 4, len(deals))
    wide = table.drop(columns=[name for name in table if name.startswith(("deal.", "customer."))]).assign(
        **{
            "deal.many": pd.Series([f"v{int(12 * hint[number])}" for number in deal], dtype="str"),
            "deal.own_id": table[c.ENTITY_ID],
            "deal.same": 1.0,
            "deal.noise": some.random(len(deals))[deal],
            "deal.weak": weak[deal],
            "deal.rare": np.where(some.random(n) < 0.02, hint[deal], np.nan),
            "customer.telling": np.where(some.random(n) < 0.9, hint[deal], np.nan),
        }
    )
    own = Attributes.choose(wide, most=2)
    assert own.names == ["customer.telling", "deal.many"]
    assert len(own.categories["deal.many"]) == 50
    assert own.expected == ("deal.many",)
    told = {
        "deal.noise": "by chance",
        "deal.own_id": "value of enough deals",
        "deal.rare": "at least 30 and 5%",
        "deal.same": "the same",
        "deal.weak": "2 fields are more telling",
    }
    assert set(own.refused) == set(told)
    for name, text in told.items():
        assert text in own.refused[name]
    assert "deal.weak" in Attributes.choose(wide, most=3).names
    assert Attributes.choose(wide, most=0).names == []
    with pytest.raises(SettingsError, match="attributes=-1"):
        CloseTimePredictor(attributes=-1)


def test_choose__lets_a_field_that_says_nothing_pass_as_seldom_as_it_says(table):
    bare = table.drop(columns=[name for name in table if name.startswith(("deal.", "customer."))])
    some, (deal, deals) = np.random.default_rng(1), pd.factorize(table[c.ENTITY_ID])
    noise = pd.DataFrame({f"deal.n{number:03d}": some.normal(size=len(deals))[deal] for number in range(200)})
    passed = len(Attributes.choose(pd.concat([bare, noise], axis=1), most=200).names)
    assert passed <= 7, "2 of 200 are expected at 1 %, more than 7 once in 1,000 times"


def test_training_table__holds_each_field_as_it_was_served_that_day(company, table):
    model = CloseTimePredictor(**SMALL)
    midnights = table[table[c.AS_OF].dt.normalize() == table[c.AS_OF]]
    labels = ["duration", "event", "observed_days", "sampling_rate", "is_sampled", "is_entry"]
    for day in midnights[c.AS_OF].value_counts().index[:3]:
        rows = midnights[midnights[c.AS_OF] == day].drop(columns=labels).reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, model.inputs(company.snapshot(day), entity_ids=rows[c.ENTITY_ID].tolist()), rtol=1e-12)
    assert not (table["deal.fit"] == 9.0).any(), "what was corrected at the close was not known before"


def test_predict__bears_fields_that_went_and_ignores_those_that_came(fitted, company):
    inputs = fitted.inputs(company.snapshot())
    before = fitted.predict_inputs(inputs)
    pd.testing.assert_frame_equal(fitted.predict_inputs(inputs.assign(**{"deal.new": 3.0, "customer.new": "x"})), before)
    without = fitted.predict_inputs(inputs.drop(columns="deal.tier"))
    told = without[without[c.VALUE].notna()]
    assert set(told[c.STATUS]) == {"limited"}
    assert told[c.REASON].str.contains("deal.tier, which the model learnt from, is no longer known").all()
    pd.testing.assert_frame_equal(fitted.predict_inputs(inputs.assign(**{"deal.tier": 1.0})), without)
    empty = fitted.predict_inputs(inputs.assign(**{"deal.tier": pd.Series(None, index=inputs.index, dtype="str")}))
    np.testing.assert_array_equal(empty[c.VALUE], without[c.VALUE])
    assert empty.loc[empty[c.VALUE].notna(), c.REASON].str.contains("deal.tier is missing").all()
    assert not np.allclose(empty[c.VALUE], before[c.VALUE])


def test_save_load__keeps_the_fields_and_their_values(fitted, company, tmp_path):
    fitted.save(tmp_path)
    loaded = CloseTimePredictor.load(tmp_path)
    assert loaded.hazard_.design.attributes == fitted.hazard_.design.attributes
    assert (
        json.loads((tmp_path / "state.json").read_text())["design"]["attributes"]["refused"].keys()
        == fitted.hazard_.design.attributes.refused.keys()
    )
    pd.testing.assert_frame_equal(loaded.predict(company.snapshot()), fitted.predict(company.snapshot()), check_exact=True)


def test_fit__takes_any_name(table):
    odd = 'deal.Größe, "net" [€]'
    model = CloseTimePredictor(**SMALL).fit(table.rename(columns={"deal.fit": odd}))
    assert odd in model.hazard_.feature_names
    assert len(model.hazard_.feature_names) == model.hazard_.booster.num_feature()
