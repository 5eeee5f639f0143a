"""Why the outlook of a month is as it is."""

from __future__ import annotations

import pytest

from predictkpi.outlook.reasons import reasons


@pytest.mark.parametrize("scope", ["total", "segment=SMB"])
def test_reasons__add_up_to_the_outlook(outlook, revenue, now, scope):
    found = reasons(outlook, revenue.explain(revenue.inputs(now, entity_ids=[scope])), scope)
    assert found["forecast"].to_numpy() == pytest.approx(outlook.revenue(scope).mean(axis=0))
    assert found.drop(columns=["ds", "forecast"]).sum(axis=1).to_numpy() == pytest.approx(found["forecast"].to_numpy())
    assert found["open_deals"].abs().iloc[0] > 0
    assert found["open_deals"].iloc[6:].abs().max() < 1e-3 * found["forecast"].max()
