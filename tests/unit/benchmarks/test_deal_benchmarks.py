"""What the benchmarks of close time compute, against naive loops and on files small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deals.judging import Landmarks, brier_sums, date_quantiles, date_scores, deal_weights, integrated, probability_scores, saved
from deals.loan_pipeline import loan_facts
from deals.peers import PEERS, Encoder, Peer, from_hazards, run_peer
from predictkpi.core import columns as c
from predictkpi.metrics.survival import integrated_brier_score
from predictkpi.snapshot import Snapshot

HORIZONS = (7, 14, 30)


def landmarks(rows) -> Landmarks:
    """From ``(deal, duration, event, observed_days)``."""
    return Landmarks.of(pd.DataFrame(rows, columns=["entity_id", "duration", "event", "observed_days"]))


def even(n: int, share: float, days: int = 60) -> np.ndarray:
    """Won incidences that grow evenly to ``share``: (n, days + 1)."""
    return np.tile(share * np.arange(days + 1) / days, (n, 1))


def test_integrated__equals_the_metric_where_all_is_mature():
    seen = landmarks([("A", 3.0, 1, 40.0), ("B", 20.0, 1, 40.0), ("B", 5.0, 1, 40.0), ("C", 40.0, 0, 40.0), ("D", 9.0, 2, 40.0)])
    won = even(5, 0.4) + np.linspace(0, 0.1, 5)[:, None]
    expected = integrated_brier_score(won[:, HORIZONS], seen.won_by(HORIZONS), HORIZONS)
    assert integrated(*brier_sums(seen, won, HORIZONS), HORIZONS) == pytest.approx([expected])


def test_integrated__counts_a_pair_only_where_its_horizon_ends_by_the_datas_end():
    seen = landmarks([("A", 3.0, 1, 40.0), ("B", 8.0, 0, 8.0)])
    sums, counts = brier_sums(seen, np.zeros((2, 61)), HORIZONS)
    assert counts.tolist() == [[1, 1, 1], [1, 0, 0]]
    # mean losses 1/2, 1, 1 at 7, 14, 30 days
    assert integrated(sums, counts, HORIZONS)[0] == pytest.approx((0.5 / 2 * 7 + 0.75 * 7 + 16) / 30)


def test_saved__draws_deals_not_landmarks():
    of_one_deal = landmarks([("A", 3.0, 1, 40.0)] * 50 + [("B", 40.0, 0, 40.0)] * 50)
    weights = deal_weights(2, draws=400)
    ours, reference = (integrated(*brier_sums(of_one_deal, won, HORIZONS), HORIZONS, weights) for won in (even(100, 0.5), even(100, 0.2)))
    found = saved(ours, reference)
    # only three resamples of two deals exist, so the limits are those of the deals alone
    assert found["low"] == pytest.approx(1 - (ours / reference).max())
    assert found["low"] < found["saved"] < found["high"]
    assert saved(ours, ours) == {"saved": 0.0, "low": 0.0, "high": 0.0}


def test_date_quantiles__are_those_of_wins_before_the_datas_end():
    seen = landmarks([("A", 10.0, 1, 40.0), ("B", 10.0, 1, 20.5), ("C", 10.0, 2, 40.0)])
    assert date_quantiles(seen, even(3, 0.6), (0.1, 0.5, 0.9)) == pytest.approx(np.array([[4, 20, 36], [2.05, 10.25, 18.45], [4, 20, 36]]))
    found = date_scores(seen, date_quantiles(seen, even(3, 0.6), (0.1, 0.5, 0.9)))
    assert found == pytest.approx({"landmarks": 2, "undated": 0, "coverage80": 1.0, "width80": (32 + 16.4) / 2, "error": (10 + 0.25) / 2})


def test_date_quantiles__of_a_deal_that_cannot_be_won_are_missing_and_counted():
    seen = landmarks([("A", 10.0, 1, 40.0), ("B", 10.0, 1, 40.0)])
    won = np.concatenate([even(1, 0.6), even(1, 0.0)])
    quantiles = date_quantiles(seen, won, (0.1, 0.5, 0.9))
    assert np.isnan(quantiles[1]).all()
    assert date_scores(seen, quantiles)["undated"] == 1


def test_probability_scores__allow_two_standard_deviations_of_the_number_of_wins():
    seen = landmarks([(str(n), 3.0 if n % 2 else 40.0, n % 2, 40.0) for n in range(100)])
    found = probability_scores(seen, np.full((100, 61), 0.5), 30)
    assert found["portfolio_error"] == pytest.approx(0.0)
    assert found["portfolio_allowed"] == pytest.approx(2 * 5 / 50)


def test_from_hazards__equals_a_loop_over_days():
    rng = np.random.default_rng(0)
    increments = rng.uniform(0, 0.05, (2, 3, 20))
    found = from_hazards(increments)
    for row in range(3):
        survival, won = 1.0, 0.0
        for day in range(20):
            both = increments[:, row, day].sum()
            won += survival * (1 - np.exp(-both)) * increments[0, row, day] / both
            survival *= np.exp(-both)
            assert found[row, day] == pytest.approx(won)


def peer_table(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    days = rng.exponential(np.exp(2.5 - x))
    return pd.DataFrame(
        {"entity_id": [f"D{i}" for i in range(n)], "as_of": pd.Timestamp("2025-01-01"), "x": np.where(x > 2, np.nan, x), "stage": "Lead"}
        | {"duration": np.minimum(days, 40.0), "event": np.where(days < 40, rng.integers(1, 3, n), 0), "observed_days": 40.0}
        | {"is_sampled": True}
    )


def test_encoder__knows_only_columns_that_the_inputs_have():
    table = peer_table()
    encoder = Encoder(table, table[["entity_id", "as_of", "x", "stage"]])
    assert set(encoder.numbers) == {"x"}
    assert encoder.matrix(table).shape == (400, 2)
    assert np.isfinite(encoder.matrix(table)).all()


def test_run_peer__that_is_not_installed_is_named():
    table = peer_table()
    found = run_peer(Peer("nothing", "no_such_tool", [{}], lambda *_: None), table, table, {}, HORIZONS)
    assert "no_such_tool" in found.missing
    assert found.won == {}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.title)
def test_run_peer__beats_one_curve_for_all(peer):
    pytest.importorskip(peer.module, reason="peers are installed by make bench")
    table = peer_table()
    judged = Landmarks.of(table)
    found = run_peer(peer, table, table[["entity_id", "as_of", "x", "stage"]], {"A": judged}, HORIZONS)
    share = np.nan_to_num(judged.won_by(HORIZONS)).mean(axis=0)
    same = np.zeros((len(table), 31))
    same[:, HORIZONS] = share
    own, constant = (integrated(*brier_sums(judged, won, HORIZONS), HORIZONS)[0] for won in (found.won["A"], same))
    assert own < constant
    assert (np.diff(found.won["A"], axis=1) >= -1e-9).all()


def test_loan_facts__close_at_the_first_outcome_and_start_at_preacceptance(tmp_path):
    pd.DataFrame({"REG_DATE": ["2011-10-01"] * 2, "case_id": ["1", "2"], "AMOUNT_REQ": [5000, 100]}).to_csv(
        tmp_path / "cases.csv.gz", index=False
    )
    rows = [
        ("1", "A_SUBMITTED", "COMPLETE", "2011-10-01T08:00:00Z", 112),
        ("1", "A_PREACCEPTED", "COMPLETE", "2011-10-01T09:00:00Z", 112),
        ("1", "W_Call", "START", "2011-10-01T09:30:00Z", 10629),
        ("1", "O_SENT", "COMPLETE", "2011-10-30T12:00:00Z", None),
        ("1", "A_REGISTERED", "COMPLETE", "2011-11-02T12:00:00Z", 112),
        ("1", "A_ACTIVATED", "COMPLETE", "2011-11-02T12:00:00Z", 112),
        ("1", "O_CANCELLED", "COMPLETE", "2011-11-03T12:00:00Z", 112),
        ("2", "A_SUBMITTED", "COMPLETE", "2011-10-01T08:00:00Z", 112),
        ("2", "A_DECLINED", "COMPLETE", "2011-10-01T08:01:00Z", 112),
    ]
    columns = ["case_id", "activity", "lifecycle", "timestamp", "resource"]
    pd.DataFrame(rows, columns=columns).astype({"resource": "Int64"}).to_csv(tmp_path / "events.csv.gz", index=False)
    snapshot = Snapshot(loan_facts(tmp_path), pd.Timestamp("2012-01-01"))
    assert snapshot.deals[c.DEAL_ID].tolist() == ["1"]
    events = snapshot.deal_events.sort_values(c.DS)
    # Amsterdam is two hours ahead in summer, one after 30 October 2011
    assert events[c.DS].astype(str).tolist() == ["2011-10-01 11:00:00", "2011-10-30 13:00:00", "2011-11-02 13:00:00"]
    assert events[c.STAGE].tolist() == ["A_PREACCEPTED", "O_SENT", "won"]
    assert events[c.OWNER].tolist() == ["112", "112", "112"]
    assert snapshot.activities[[c.KIND, c.OWNER]].to_numpy().tolist() == [["W_Call START", "10629"]]
