"""Which candidates a model is tried beside, and the segments it is judged in."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from predictkpi.core import columns as c
from predictkpi.pipelines.trial import candidates_beside, segments_of
from predictkpi.predictors import predictor_class
from predictkpi.snapshot import MemoryFacts, Snapshot
from toy.model import Toy, ToyBaseline

EARLY, LATE, END = (pd.Timestamp(day) for day in ("2024-03-01", "2024-09-01", "2025-01-01"))


@pytest.fixture
def snapshot(snapshot) -> Snapshot:
    """Two customers and their deals; c1 became Enterprise between the cutoffs, after it had bought much."""
    old = pd.Timestamp("2020-01-01")
    customers = snapshot.customers.head(2).assign(
        **{c.CUSTOMER_ID: ["c1", "c2"], c.SEGMENT: ["SMB", "SMB"], c.REGION: ["EMEA", None], c.CHANNEL: "search", c.KNOWN_AT: old}
    )
    raised = customers.head(1).assign(**{c.SEGMENT: "Enterprise", c.KNOWN_AT: pd.Timestamp("2024-06-01")})
    deals = snapshot.deals.head(2).assign(
        **{c.DEAL_ID: ["d1", "d2"], c.CUSTOMER_ID: ["c1", "c2"], c.TEAM: ["Growth", None], c.PRODUCT: "Core", c.KNOWN_AT: old}
    )
    return Snapshot(MemoryFacts({"customers": pd.concat([customers, raised]), "deals": deals}), END)


def judged(*entity_ids: str) -> SimpleNamespace:
    """As much of a backtest's result as names its pairs."""
    return SimpleNamespace(
        losses=pd.DataFrame([(day, name) for day in (EARLY, LATE) for name in entity_ids], columns=[c.AS_OF, c.ENTITY_ID])
    )


def of(predictor: str, snapshot: Snapshot, *entity_ids: str) -> set[tuple[pd.Timestamp, str, str]]:
    found = segments_of(predictor_class(predictor).spec, judged(*entity_ids), snapshot)
    return set(found[[c.AS_OF, c.ENTITY_ID, "segment"]].itertuples(index=False, name=None))


def test_segments__are_those_known_at_each_cutoff(snapshot):
    found = {row for row in of("clv", snapshot, "c1", "c2") if row[2].startswith("segment=")}
    assert found == {
        (EARLY, "c1", "segment=SMB"),
        (LATE, "c1", "segment=Enterprise"),
        (EARLY, "c2", "segment=SMB"),
        (LATE, "c2", "segment=SMB"),
    }


def test_segments__of_deals_are_their_own_and_their_customers_and_none_that_is_missing(snapshot):
    found = {(name, segment) for day, name, segment in of("close_time", snapshot, "d1", "d2") if day == EARLY}
    common = {"segment=SMB", "channel=search", "product=Core"}
    assert found == {(name, segment) for name in ("d1", "d2") for segment in common} | {("d1", "region=EMEA"), ("d1", "team=Growth")}


def test_segments__of_series_are_members_and_neither_the_total_nor_crossed_ones(snapshot):
    found = {segment for _, _, segment in of("revenue", snapshot, "total", "region=EMEA", "region=EMEA&segment=SMB")}
    assert found == {"region=EMEA"}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("champion", "has_one"),
    [(None, False), (ToyBaseline(), False), (Toy(), False), (Toy(factor=0.7), True)],
    ids=["none", "baseline", "equal", "other"],
)
def test_champion__is_a_candidate_where_its_settings_are_others(tmp_path, champion, has_one):
    found = candidates_beside(champion, "toy", tmp_path)
    assert set(found) == {"model", "baseline"} | ({"champion"} if has_one else set())
    if has_one:
        made = found["champion"]()
        assert (made.factor, hasattr(made, "rates_")) == (0.7, False)
