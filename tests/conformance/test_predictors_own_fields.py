"""The conformance suite again, for the predictor that uses a company's own fields, on a company that has some."""

from __future__ import annotations

import pandas as pd
import pytest
from test_predictors import (  # noqa: F401
    as_of,
    fitted,
    past,
    test_backtest_equals_serving__one_path_for_both,
    test_cohort__is_there_and_is_predicted_whole,
    test_fit__is_deterministic_and_forgets_what_it_knew,
    test_fitted__predicts_a_company_with_an_empty_cohort,
    test_no_future__changing_the_future_changes_nothing,
    test_one_entity__is_answered_as_within_the_whole,
    test_outcomes__are_mature_only_when_the_whole_span_has_passed,
    test_predictions__are_well_formed,
    test_save_load__gives_the_same_predictions,
)

from predictkpi.core import columns as c
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.store import Store
from toy.own_fields import make_own_fields


@pytest.fixture(scope="module", params=[("close_time", "model"), ("close_time", "baseline")], ids="-".join)
def candidate(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def company():
    return make_own_fields()


@pytest.fixture(scope="module")
def snapshot(company):
    return company.snapshot()


@pytest.fixture(scope="module")
def sample_store(company, tmp_path_factory):
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('own')}/store.db")
    store.migrate()
    store.load({name: frame for name, frame in company.tables.items() if len(frame)}, company=company.company, now=company.end)
    yield store
    store.close()


def test_own_fields__are_among_the_inputs_and_in_use(candidate, fitted, past):  # noqa: F811
    inputs = fitted.inputs(past)
    assert inputs["deal.fit"].notna().all()
    assert inputs["customer.industry"].notna().all()
    if candidate[1] == "model":
        assert {"deal.fit", "deal.tier", "customer.industry"} <= set(fitted.hazard_.design.attributes.names)


def test_own_fields__corrected_later_change_no_earlier_answer(fitted, company, as_of):  # noqa: F811
    fields = company.tables["attributes"]
    known = fields[fields[c.KNOWN_AT] < as_of]
    corrections = known.assign(**{c.VALUE: known[c.VALUE].where(known[c.KIND] != "number", "-5.0"), c.KNOWN_AT: as_of})
    corrected = MemoryFacts(company.tables | {"attributes": pd.concat([fields, corrections])}, company.company)
    later = as_of + pd.Timedelta(days=1)
    assert (fitted.inputs(Snapshot(corrected, later))["deal.fit"] == -5.0).any()
    pd.testing.assert_frame_equal(fitted.predict(Snapshot(company.facts, as_of)), fitted.predict(Snapshot(corrected, as_of)))


def test_own_fields__that_the_store_no_longer_has_lower_the_status_and_are_named(candidate, fitted, company, as_of):  # noqa: F811
    if candidate[1] == "baseline":
        pytest.skip("a baseline learns from no own field")
    now = fitted.predict(company.without("fit").snapshot(as_of))
    assert len(now) == len(fitted.predict(company.snapshot(as_of)))
    assert now[c.VALUE].notna().any()
    assert (now[c.STATUS] != "full").all()
    assert now[c.REASON].str.contains("deal.fit, which the model learnt from, is no longer known", regex=False).any()
