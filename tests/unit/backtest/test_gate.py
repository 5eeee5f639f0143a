from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest.gate import decide
from predictkpi.backtest.run import run_backtest
from toy import company
from toy.model import Toy, ToyBaseline

CUTOFFS = [pd.Timestamp("2023-07-01"), pd.Timestamp("2023-11-01")]


class SlightlyOff(ToyBaseline):
    """The baseline again, a hundredth off: on average neither better nor worse by more than chance."""

    def rate(self, entity_id):
        return super().rate(entity_id) * (1.01 if int(entity_id[1:]) % 2 else 0.99)


def judged(model, *, customers=40, cutoffs=CUTOFFS):
    frame = company.orders(customers)
    return run_backtest({"model": model, "baseline": ToyBaseline}, company.snapshot(frame), cutoffs)


def test_decide__passes_a_better_model():
    decision = decide(judged(Toy))
    assert decision.promote
    assert 0 < decision.low < decision.improvement < decision.high <= 1
    assert decision.reason.startswith("The model beats the baseline: improvement +")
    assert "80 outcomes in 2 folds" in decision.reason


@pytest.mark.parametrize("model", [ToyBaseline, SlightlyOff])
def test_decide__refuses_an_equal_model(model):
    decision = decide(judged(model))
    assert not decision.promote
    assert decision.low <= 0 <= decision.high
    assert not decision.must_confirm


def test_decide__refuses_a_worse_model_in_plain_words():
    class Worse(ToyBaseline):
        def rate(self, entity_id):
            return super().rate(entity_id) * 3

    decision = decide(judged(Worse))
    assert not decision.promote
    assert decision.high < 0
    assert "does not beat the baseline" in decision.reason


def test_decide__leaves_ten_outcomes_to_a_person():
    decision = decide(judged(Toy, customers=10, cutoffs=CUTOFFS[:1]))
    assert decision.n_outcomes == 10
    assert decision.improvement > 0
    assert not decision.promote
    assert decision.must_confirm
    assert "a person must confirm" in decision.reason


def test_decide__refuses_a_model_that_only_one_calendar_favoured():
    result = judged(ToyBaseline)
    is_model, is_first = result.losses["candidate"] == "model", result.losses["as_of"] == CUTOFFS[0]
    # far better for everybody after the first cutoff, somewhat worse for everybody after the second
    factor = np.where(is_model & is_first, 0.7, np.where(is_model, 1.1, 1.0))
    lucky = type(result)(**{**vars(result), "losses": result.losses.assign(loss=result.losses["loss"] * factor)})
    decision = decide(lucky)
    assert decision.improvement > 0.05
    assert decision.low < 0
    assert not decision.promote


def test_decide__same_seed_same_interval():
    result = judged(Toy)
    assert decide(result) == decide(result)
    assert decide(result).low != decide(result, random_state=1).low


def test_decide__an_entity_is_drawn_whole():
    result = judged(Toy)
    copies = [result.losses.assign(horizon=result.losses["horizon"] + 10 * copy) for copy in range(5)]
    repeated = type(result)(**{**vars(result), "losses": pd.concat(copies)})
    # five times the rows of the same customers are no new evidence
    assert decide(repeated).low == pytest.approx(decide(result).low)
