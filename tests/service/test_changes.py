"""GET /v1/deals/{deal_id}/close-time/changes, and who is known to have answered a week ago."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.errors import ArtifactError
from predictkpi.pipelines.changes import week_change
from predictkpi.predictors.close_time.changes import Week
from predictkpi.predictors.close_time.model import CloseTimePredictor


@pytest.fixture(scope="module")
def week(served):
    return Week.before(served.serving.view.snapshot)


@pytest.fixture(scope="module")
def old_deal(week, open_deals):
    """Open now and a week ago, touched last."""
    then = week.then.deals[c.DEAL_ID]
    events = week.then.deal_events
    closed = events.loc[events[c.STAGE].isin(c.CLOSED_STAGES), c.DEAL_ID]
    return open_deals.index[open_deals.index.isin(then) & ~open_deals.index.isin(closed)][-1]


def test_changes__add_up_and_end_at_the_answer_of_now(get, old_deal):
    answer = get(f"/v1/deals/{old_deal}/close-time/changes")
    parts = answer["parts"]
    assert sum(parts.values()) == pytest.approx(answer["change"], abs=1e-9)
    assert answer["change"] == answer["now"] - answer["before"]
    (now,) = [item for item in get(f"/v1/deals/{old_deal}/close-time")["predictions"] if item["horizon"] == 90]
    assert answer["now"] == now["values"]["cif_won"]
    assert pd.Timestamp(answer["as_of"]) - pd.Timestamp(answer["since"]) == pd.Timedelta(days=7)
    assert parts["model"] == 0
    assert answer["version_before"] is None
    assert "not known" in answer["notes"][0]


def test_changes__of_a_deal_created_since_say_so(get, open_deals, snapshot):
    created = snapshot.deals.set_index(c.DEAL_ID)[c.CREATED_AT]
    new = [deal_id for deal_id in open_deals.index if created[deal_id] >= snapshot.as_of - pd.Timedelta(days=7)]
    assert new
    answer = get(f"/v1/deals/{new[0]}/close-time/changes")
    assert (answer["before"], answer["change"], answer["parts"]) == (None, None, None)
    assert 0 <= answer["now"] <= 1
    assert "nothing" not in answer["notes"][0]
    assert "not known before" in answer["notes"][0]


def test_changes__of_unknown_and_closed_deals_are_problems(problem, snapshot):
    closed = snapshot.deal_events[snapshot.deal_events[c.STAGE] == c.WON][c.DEAL_ID].iloc[0]
    problem(404, "GET", "/v1/deals/none/close-time/changes")
    problem(409, "GET", f"/v1/deals/{closed}/close-time/changes")


class _Scored:
    """A store of which only the version that scored last is asked."""

    def __init__(self, version):
        self._version = version

    def scored_version(self, predictor, *, until):
        return self._version


class _Versions:
    """A registry that loads one version, or fails to."""

    def __init__(self, found):
        self._found = found

    def version(self, predictor, version):
        if isinstance(self._found, Exception):
            raise self._found
        return self._found, None


def test_week_change__names_the_version_of_then(served, week, old_deal):
    champion = served.serving.view.champion("close_time")
    predictor, ref = champion.predictor, champion.ref
    other = CloseTimePredictor(rounds=8, landmark_budget=1500, min_rows=20)
    other.fit(other.training_table(week.then))

    def change(version, found):
        return week_change(_Scored(version), _Versions(found), old_deal, week, predictor=predictor, ref=ref)

    changed = change("0", other)
    assert changed.version_before == "0"
    assert changed.change.model != 0
    assert changed.change.data + changed.change.time + changed.change.model == pytest.approx(
        changed.change.now - changed.change.before, abs=1e-9
    )
    assert changed.notes == ()
    same = change(ref.version, AssertionError("not to be loaded"))
    assert same.change.model == 0
    assert "answered then as now" in same.notes[0]
    broken = change("0", ArtifactError("cut short"))
    assert broken.change.model == 0
    assert "cannot be loaded (cut short)" in broken.notes[0]
