"""What the gate looks at beside the gain: the champion, promises, segments, speed."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest import gate
from predictkpi.backtest.checks import GateRule, _coverage
from predictkpi.backtest.paired import ratio_interval
from predictkpi.backtest.run import assemble, run_backtest
from predictkpi.core import columns as c
from predictkpi.core.types import Spec, Statistic
from toy import company
from toy.model import SPEC, Toy, ToyBaseline

CUTOFFS = tuple(pd.Timestamp(day) for day in ("2023-05-01", "2023-08-01", "2023-11-01"))
QUANTILES = {"q025": -1.96, "q10": -1.2816, "q50": 0.0, "q90": 1.2816, "q975": 1.96}
SERIES = Spec(
    name="levels",
    title={"en": "Levels", "de": "Niveaus"},
    entity="customer",
    horizons=(1,),
    time_unit="month",
    statistics=tuple(Statistic(name=name, unit="currency", description=name) for name in ("mean", *QUANTILES)),
    headline="mean",
    score="quantiles",
)


def simulated(errors: dict[str, np.ndarray], spread: dict[str, float], *, entities: int = 60, seed: int = 0):
    """A backtest of candidates that err by normal ``errors`` and promise intervals of a standard deviation ``spread``."""
    rng = np.random.default_rng(seed)
    pairs = pd.MultiIndex.from_product([CUTOFFS, [f"e{k:02d}" for k in range(entities)], [1]], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])
    actual = 100 + 10 * rng.standard_normal(len(pairs))
    keys = pairs.to_frame(index=False)
    outcomes = keys.assign(**{c.STATISTIC: "mean", c.VALUE: actual, c.IS_MATURE: True})
    rows = []
    for name, error in errors.items():
        point = actual + error
        for statistic, z in {"mean": 0.0, **QUANTILES}.items():
            rows.append(keys.assign(candidate=name, **{c.STATISTIC: statistic, c.VALUE: point + z * spread[name]}))
    scale = pd.Series(1.0, index=[f"e{k:02d}" for k in range(entities)])
    return assemble(SERIES, tuple(errors), pd.concat(rows), outcomes, dict.fromkeys(CUTOFFS, scale))


@pytest.fixture
def noise():
    return np.random.default_rng(5).standard_normal(60 * len(CUTOFFS))


LABELS = pd.DataFrame({c.ENTITY_ID: [f"e{k:02d}" for k in range(60)], "segment": ["region=EMEA"] * 45 + ["region=APAC"] * 15})
SEGMENTS = pd.concat([LABELS.assign(**{c.AS_OF: cutoff}) for cutoff in CUTOFFS])


def test_gate__lets_a_better_model_pass_that_is_honest_everywhere(noise):
    result = simulated({"model": 5 * noise, "champion": 7 * noise, "baseline": 8 * noise}, {"model": 5, "champion": 7, "baseline": 8})
    decision = gate.decide(result, segments=SEGMENTS)
    assert decision.promote, decision.reason
    assert {check.name for check in decision.checks} == {
        "champion",
        "calibration: coverage 80%",
        "calibration: coverage 95%",
        "segment: region=APAC",
        "segment: region=EMEA",
    }
    assert decision.reason.startswith("The model beats the baseline: improvement +")


def test_gate__stops_a_model_that_is_better_on_average_and_worse_in_one_segment(noise):
    is_apac = np.tile(np.arange(60) >= 45, len(CUTOFFS))
    ours = np.where(is_apac, 11 * noise, 2 * noise)
    spread = {"model": 5.0, "baseline": 8.0}
    decision = gate.decide(simulated({"model": ours, "baseline": 8 * noise}, spread), segments=SEGMENTS)
    assert decision.low > 0, decision
    assert not decision.promote
    assert "segment: region=APAC" in [check.name for check in decision.failed]
    assert "may not serve: " in decision.reason
    assert "region=APAC: -" in decision.reason
    assert gate.decide(simulated({"model": 3 * noise, "baseline": 8 * noise}, {"model": 3, "baseline": 8}), segments=SEGMENTS).promote


def test_gate__leaves_a_segment_of_few_outcomes_alone(noise):
    is_apac = np.tile(np.arange(60) >= 45, len(CUTOFFS))
    result = simulated({"model": np.where(is_apac, 12 * noise, 3 * noise), "baseline": 8 * noise}, {"model": 5.0, "baseline": 8.0})
    decision = gate.decide(result, segments=SEGMENTS, rule=GateRule(segment_outcomes=46))
    assert [check.name for check in decision.checks if check.name.startswith("segment")] == ["segment: region=EMEA"]


@pytest.mark.parametrize(("spread", "told"), [(1.5, r"coverage 80%: 0\.[2-4]"), (25.0, r"coverage 80%: (0\.9|1\.0)")])
def test_gate__stops_a_model_whose_intervals_do_not_hold(noise, spread, told):
    decision = gate.decide(simulated({"model": 5 * noise, "baseline": 60 * noise}, {"model": spread, "baseline": 60}))
    assert decision.low > 0
    assert not decision.promote
    assert re.search(told, decision.reason), decision.reason


def test_coverage__knows_that_nothing_lies_below_nothing():
    index = pd.MultiIndex.from_product([CUTOFFS[:1], [f"e{k}" for k in range(4)], [1]], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])
    y, low, high = (pd.Series(values, index) for values in ([0.0, 5.0, 30.0, 0.0], [0.0, 0.0, 10.0, -9.0], [9.0, 9.0, 20.0, 9.0]))
    promise = _coverage(0.8, y, low, high, 0.05)
    assert promise.kept.tolist() == [1, 1, 0, 1]
    assert promise.promised.tolist() == pytest.approx([0.9, 0.9, 0.8, 0.8]), "below a refund lies something"
    assert promise.right == pytest.approx(3.4 / 4)
    assert promise.value(draws=50, random_state=0)[0] == pytest.approx(3 / 4)


@pytest.mark.parametrize(("bought", "promised"), [(0, 1.0), (3, 0.9)])
def test_coverage__of_intervals_that_are_nothing_misses_those_who_bought(bought, promised):
    index = pd.MultiIndex.from_product([CUTOFFS[:1], [f"e{k}" for k in range(4)], [1]], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])
    y, nothing = pd.Series([7.0] * bought + [0.0] * (4 - bought), index), pd.Series(0.0, index)
    promise = _coverage(0.8, y, nothing, nothing, 0.05)
    assert promise.kept.mean() == 1 - bought / 4
    assert promise.promised.tolist() == pytest.approx([promised] * 4)


def test_gate__does_not_hold_against_a_model_what_the_calendar_did_to_all(noise):
    result = simulated({"model": 5 * noise, "baseline": 60 * noise}, {"model": 1.5, "baseline": 9})
    checks = {check.name: check for check in gate.decide(result).checks}
    check = checks["calibration: coverage 80%"]
    assert check.figures["high"] < 0.75
    assert check.is_passed == (check.figures["value"] >= check.figures["reference"])
    assert check.is_passed
    assert "off, but no further than the baseline" in check.reason


def test_gate__stops_a_model_that_is_not_clearly_better_than_the_champion(noise):
    other = np.random.default_rng(6).standard_normal(len(noise))
    spread = {"model": 5.0, "champion": 5.0, "baseline": 9.0}
    decision = gate.decide(simulated({"model": 5 * noise, "champion": 5 * other, "baseline": 9 * noise}, spread))
    assert decision.low > 0
    assert [check.name for check in decision.failed] == ["champion"]
    assert "of the champion's loss" in decision.reason


def test_gate__judges_segments_against_the_champion_where_there_is_one(noise):
    spread = {"model": 5.0, "champion": 6.0, "baseline": 9.0}
    decision = gate.decide(simulated({"model": 5 * noise, "champion": 6 * noise, "baseline": 9 * noise}, spread), segments=SEGMENTS)
    assert all("of the champion's loss" in check.reason for check in decision.checks if check.name.startswith("segment"))


def test_gate__expects_totals_and_wins_to_come_true():
    class Cheap(Toy):
        def rate(self, entity_id):
            return super().rate(entity_id) * 0.6

    result = run_backtest({"model": Cheap, "baseline": ToyBaseline}, company.snapshot(company.orders(60)), CUTOFFS)
    decision = gate.decide(result)
    assert decision.low > 0
    assert [check.name for check in decision.failed] == ["calibration: total"]
    assert SPEC.score == "mean"


def test_gate__stops_a_slow_model():
    result = run_backtest({"model": Toy, "baseline": ToyBaseline}, company.snapshot(company.orders(60)), CUTOFFS)
    assert set(result.milliseconds) == {"model", "baseline"}
    slow = type(result)(**{**vars(result), "milliseconds": {"model": 1300.0, "baseline": 1.0}})
    assert [check.name for check in gate.decide(slow).failed] == ["speed"]
    assert gate.decide(slow, rule=GateRule(slowest_ms=1400)).promote
    beside = {"model": 30.0, "champion": 5.0, "baseline": 1.0}
    slower = type(result)(**{**vars(result), "milliseconds": beside})
    assert [check.name for check in gate.decide(slower).failed] == ["speed"]


def test_decision__is_plain_data_for_the_log(noise):
    decision = gate.decide(simulated({"model": 5 * noise, "baseline": 8 * noise}, {"model": 5, "baseline": 8}), segments=SEGMENTS)
    found = decision.as_dict()
    assert found["promote"] is True
    assert {check["name"] for check in found["checks"]} >= {"segment: region=EMEA"}
    assert all(isinstance(value, float) for check in found["checks"] for value in check["figures"].values())


def test_ratio__is_nan_where_nothing_was_promised():
    assert np.isnan(ratio_interval(np.zeros((2, 2, 3)))).all()


def test_gate__asks_a_person_where_few_customers_were_seen_often():
    result = run_backtest({"model": Toy, "baseline": ToyBaseline}, company.snapshot(company.orders(12)), CUTOFFS)
    decision = gate.decide(result)
    assert (result.n_outcomes, result.n_entities) == (36, 12)
    assert decision.must_confirm
    assert decision.reason.startswith("Only 12 customers to judge by (fewer than 30)")


def chances(said: dict[str, tuple[float, float]], *, deals: int = 400):
    """Half of the deals are won in 7 of 10 cases, half in 3: what candidates say of the two halves."""
    rng = np.random.default_rng(1)
    pairs = pd.MultiIndex.from_product([CUTOFFS, [f"d{k:03d}" for k in range(deals)], [30]], names=[c.AS_OF, c.ENTITY_ID, c.HORIZON])
    is_good = np.tile(np.arange(deals) % 2 == 0, len(CUTOFFS))
    won = (rng.random(len(pairs)) < np.where(is_good, 0.7, 0.3)).astype(float)
    keys = pairs.to_frame(index=False)
    outcomes = keys.assign(**{c.STATISTIC: "cif_won", c.VALUE: won, c.IS_MATURE: True})
    rows = [
        keys.assign(candidate=name, **{c.STATISTIC: "cif_won", c.VALUE: np.where(is_good, high, low)}) for name, (high, low) in said.items()
    ]
    statistic = Statistic(name="cif_won", unit="probability", description="won")
    spec = SERIES.model_copy(
        update={"entity": "deal", "statistics": (statistic,), "headline": "cif_won", "score": "cumulative_incidence", "horizons": (30,)}
    )
    return assemble(spec, tuple(said), pd.concat(rows), outcomes, {})


def test_gate__stops_chances_that_are_too_sure_though_their_sum_is_right():
    sure = gate.decide(chances({"model": (0.92, 0.08), "baseline": (0.05, 0.05)}))
    assert sure.low > 0
    assert [check.name for check in sure.failed] == ["calibration: chances"]
    assert gate.decide(chances({"model": (0.7, 0.3), "baseline": (0.05, 0.05)})).failed == []
