"""The conformance suite again, for customer value in a company whose orders have a margin."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from test_predictors import (  # noqa: F401
    as_of,
    fitted,
    past,
    test_backtest_equals_serving__one_path_for_both,
    test_cohort__is_there_and_is_predicted_whole,
    test_fitted__predicts_a_company_with_an_empty_cohort,
    test_no_future__changing_the_future_changes_nothing,
    test_one_entity__is_answered_as_within_the_whole,
    test_outcomes__are_mature_only_when_the_whole_span_has_passed,
    test_predictions__are_well_formed,
    test_save_load__gives_the_same_predictions,
)

from predictkpi.core import columns as c
from predictkpi.store import Store
from toy.own_fields import versions


@pytest.fixture(scope="module", params=[("clv", "model"), ("clv", "baseline")], ids="-".join)
def candidate(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def company(company):
    """Every version of every order leaves a third, or a quarter, of its amount."""
    orders = company.tables["orders"]
    share = orders[c.ORDER_ID].str[-1].isin(list("02468")).map({True: 1 / 3, False: 1 / 4})
    margins = versions("orders", orders[c.ORDER_ID], "margin", "number", (orders[c.AMOUNT] * share).map(repr), orders[c.KNOWN_AT])
    return dataclasses.replace(company, tables=company.tables | {"attributes": margins})


@pytest.fixture(scope="module")
def snapshot(company):
    return company.snapshot()


@pytest.fixture(scope="module")
def sample_store(company, tmp_path_factory):
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('margins')}/store.db")
    store.migrate()
    store.load({name: frame for name, frame in company.tables.items() if len(frame)}, company=company.company, now=company.end)
    yield store
    store.close()


def test_margin__is_there_for_everybody(fitted, past):  # noqa: F811
    wide = fitted.predict(past).pivot(index=[c.ENTITY_ID, c.HORIZON], columns=c.STATISTIC, values=c.VALUE)
    sold = wide[wide["mean"] > 0]
    assert len(sold) > 100
    assert (sold["margin"] / sold["mean"]).between(0.2, 0.4).mean() > 0.95
    assert pd.notna(wide["margin"]).all()
