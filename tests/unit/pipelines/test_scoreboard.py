"""The scoreboard against figures worked out by hand, on orders of which the second half became known after the predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.backtest import judged as judged_module
from predictkpi.backtest.board import Board
from predictkpi.backtest.judged import NOT_FOLLOWED, NOT_OVER, OTHER_HORIZON, left_out
from predictkpi.backtest.scoreboard import ALL
from predictkpi.core import columns as c
from predictkpi.core.answers import packed
from predictkpi.core.types import Company, Role
from predictkpi.errors import InsufficientDataError, UnknownNameError
from predictkpi.pipelines.scoreboard import keep, kept_boards, scoreboard
from predictkpi.registry import TrainingRecord
from predictkpi.store import Store
from toy import company
from toy.model import Toy, ToyBaseline

pytestmark = pytest.mark.usefixtures("catalogue")

THEN = pd.Timestamp("2023-07-01")
NOW = pd.Timestamp("2024-01-03 09:00")
CUSTOMERS = 40


def load(store: Store, orders: pd.DataFrame) -> None:
    store.load({"orders": orders}, company=Company(name="Toys"), now=NOW)


@pytest.fixture
def store(tmp_path):
    """What was known on `THEN`."""
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    orders = company.orders(noise=0.5)
    load(store, orders[orders[c.KNOWN_AT] < THEN])
    yield store
    store.close()


def months_later(store: Store, months: float) -> pd.Timestamp:
    """The facts of so many months after `THEN`, and a correction of an order from before it, ten times as large; the day that it is."""
    orders = company.orders(noise=0.5)
    old = orders[orders[c.DS] < THEN].tail(1)
    until = THEN + pd.Timedelta(days=round(30.6 * months))
    corrected = old.assign(**{c.AMOUNT: old[c.AMOUNT] * 10, c.KNOWN_AT: THEN + pd.Timedelta(days=3)})
    load(store, pd.concat([orders[(orders[c.KNOWN_AT] >= THEN) & (orders[c.KNOWN_AT] < until)], corrected]))
    return until


def said(store: Store, version: str, *, role: Role = Role.CHAMPION, factor: float = 1.0, as_of: pd.Timestamp = THEN) -> pd.DataFrame:
    """What the toy says of ``as_of``, kept as if a version had scored."""
    past = store.snapshot(as_of)
    frame = Toy(factor=factor).fit(Toy().training_table(past)).predict(past).assign(**{c.MODEL_VERSION: version})
    store.write_predictions(frame, role=role)
    return frame


def judged(store: Store, folder, as_of: pd.Timestamp = THEN) -> Board:
    (board,) = scoreboard(store, predictors=["toy"], models_dir=folder, now=NOW, as_of=as_of)
    return board


def row(board: Board, *, version="1", role="champion", candidate="model", horizon=1) -> pd.Series:
    rows = board.figures
    chosen = (rows[c.MODEL_VERSION] == version) & (rows[c.ROLE] == role) & (rows["candidate"] == candidate) & (rows[c.HORIZON] == horizon)
    (index,) = rows.index[chosen]
    return rows.loc[index]


def came(horizon: int) -> pd.Series:
    """What each customer spent in the months after `THEN`."""
    orders = company.orders(noise=0.5)
    within = (orders[c.DS] >= THEN) & (orders[c.DS] < THEN + pd.DateOffset(months=horizon))
    return orders[within].groupby(c.CUSTOMER_ID)[c.AMOUNT].sum()


def deviance(y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Tweedie deviance of power 1.5, written out."""
    mu = np.maximum(mu, max(0.01 * y.mean(), 0.01))
    return 2 * (y**0.5 / (-0.5 * 0.5) - y * mu**-0.5 / -0.5 + mu**0.5 / 0.5)


def test_scoreboard__equals_what_is_worked_out_by_hand(store, tmp_path):
    predictions = said(store, "1")
    day = months_later(store, 1.0)  # the first month is over, the second is not
    board = judged(store, tmp_path, day)
    y = came(1).sort_index()
    point = predictions[predictions[c.HORIZON] == 1].set_index(c.ENTITY_ID)[c.VALUE].sort_index()
    found = row(board)
    assert (found[c.N], found["days"], found["since"], found["until"]) == (CUSTOMERS, 1, THEN, THEN)
    assert found["loss"] == pytest.approx(deviance(y.to_numpy(), point.to_numpy()).mean())
    assert found["error"] == pytest.approx((point - y).abs().sum() / y.sum())
    assert found["bias"] == pytest.approx(point.sum() / y.sum() - 1)
    tenths = (point - y).groupby(np.ceil(point.rank() / 4)).sum()
    assert len(tenths) == 10
    assert found["calibration"] == pytest.approx(tenths.abs().sum() / y.sum())
    assert set(board.figures[c.HORIZON]) == {ALL, 1}
    assert board.as_of == day


def test_scoreboard__counts_what_waits_with_its_reason_and_its_day(store, tmp_path):
    said(store, "1")
    day = months_later(store, 1.0)
    (waits,) = judged(store, tmp_path, day).pending.to_dict("records")
    assert (waits[c.REASON], waits[c.HORIZON], waits[c.N], waits["due"]) == (NOT_OVER, 2, CUSTOMERS, THEN + pd.DateOffset(months=2))
    day = months_later(store, 2.5)
    board = judged(store, tmp_path, day)
    assert board.pending.empty
    assert set(board.figures[c.HORIZON]) == {ALL, 1, 2}


def test_scoreboard__baseline_learns_only_what_was_known_on_the_day(store, tmp_path):
    """The control, a baseline that learns from the corrected order, would score otherwise."""
    said(store, "1")
    then = store.snapshot(THEN)
    expected = ToyBaseline().fit(ToyBaseline().training_table(then)).predict(then)
    day = months_later(store, 1.0)
    now = store.snapshot(day)
    leaky = ToyBaseline().fit(ToyBaseline().training_table(now)).predict(then)
    found = row(judged(store, tmp_path, day), candidate="baseline")
    y = came(1).sort_index().to_numpy()
    of = {
        name: deviance(y, frame[frame[c.HORIZON] == 1].sort_values(c.ENTITY_ID)[c.VALUE].to_numpy()).mean()
        for name, frame in (("then", expected), ("leaky", leaky))
    }
    assert len(now.orders) > len(then.orders)
    assert found["loss"] == pytest.approx(of["then"])
    assert abs(of["leaky"] - of["then"]) > 1e-3 * of["then"]
    own = row(judged(store, tmp_path, day))["loss"]
    assert found["saved"] == pytest.approx(1 - own / of["then"])
    everything = row(judged(store, tmp_path, day), candidate="baseline", horizon=ALL)
    assert everything["saved_low"] < everything["saved"] < everything["saved_high"]


def test_scoreboard__compares_a_shadow_with_the_champion_on_the_same_pairs(store, tmp_path):
    champion = said(store, "1")
    shadow = champion.assign(**{c.MODEL_VERSION: "2", c.VALUE: 2 * champion[c.VALUE]})
    store.write_predictions(shadow[shadow[c.ENTITY_ID] < "C030"], role=Role.SHADOW)
    day = months_later(store, 1.0)
    board = judged(store, tmp_path, day)
    y, both = came(1).sort_index().to_numpy()[:30], champion[(champion[c.HORIZON] == 1) & (champion[c.ENTITY_ID] < "C030")]
    point = both.sort_values(c.ENTITY_ID)[c.VALUE].to_numpy()
    own, against = row(board, version="2", role="shadow"), row(board, version="2", role="shadow", candidate="champion")
    assert (row(board)[c.N], own[c.N], against[c.N]) == (CUSTOMERS, 30, 30)
    assert own["bias"] == pytest.approx(2 * point.sum() / y.sum() - 1)
    assert against["bias"] == pytest.approx(point.sum() / y.sum() - 1)
    assert against["loss"] == pytest.approx(deviance(y, point).mean())
    assert against["saved"] == pytest.approx(1 - deviance(y, 2 * point).mean() / deviance(y, point).mean())
    assert against["saved"] < 0
    assert not (board.figures["candidate"] == "champion")[board.figures[c.ROLE] == "champion"].any()


def served(prediction_id: str, entity_id: str, value: float, at: pd.Timestamp, *, horizon: int = 1) -> dict[str, object]:
    told = {"predictor": "toy", "model_version": "1", "as_of": THEN, "entity_id": entity_id, "inputs_digest": "", "times": 1}
    content = packed([(horizon, "mean", value, "full")])
    return told | {"prediction_id": prediction_id, "content": content, "first_served_at": at, "last_served_at": at}


def test_scoreboard__of_many_entities_judges_a_part_the_same_for_all_and_every_answer(store, tmp_path, monkeypatch):
    monkeypatch.setattr(judged_module, "MOST_ENTITIES", 10)
    frame = said(store, "1")
    said(store, "2", role=Role.SHADOW)
    out = left_out(frame[c.ENTITY_ID])
    assert 20 <= len(out) <= 35
    store.log_answers([served("a", out[0], 1.0, THEN)])
    board = judged(store, tmp_path, months_later(store, 2.5))
    for version, role in (("1", "champion"), ("2", "shadow")):
        for candidate in ("model", "baseline"):
            assert row(board, version=version, role=role, candidate=candidate)[c.N] == CUSTOMERS - len(out)
    assert row(board, version="2", role="shadow", candidate="champion")["saved"] == 0
    assert row(board, role="served")[c.N] == row(board, role="served", candidate="baseline")[c.N] == 1
    assert board.pending.empty


def test_scoreboard__judges_served_answers_and_says_whom_it_does_not_follow(store, tmp_path):
    later = THEN + pd.Timedelta(days=1)
    store.log_answers([served("a", "C001", 1.0, THEN), served("b", "C001", 90.0, later), served("c", "CRM-7", 5.0, THEN)])
    store.log_answers([served("d", "C002", 1.0, THEN, horizon=7)])
    day = months_later(store, 1.0)
    board = judged(store, tmp_path, day)
    found = row(board, role="served")
    y = came(1)["C001"]
    assert (found[c.N], found["bias"]) == (1, pytest.approx(90.0 / y - 1))
    waits = board.pending.set_index(c.REASON)[c.N].to_dict()
    assert waits == {OTHER_HORIZON: 1, NOT_FOLLOWED: 1, "a later answer about the same on that day counts": 1}


def test_scoreboard__judges_one_day_a_month_that_versions_share(store, tmp_path):
    day = months_later(store, 6.0)
    days = [THEN + pd.Timedelta(days=number) for number in range(40)]
    for as_of in days:
        said(store, "1", as_of=as_of)
    for as_of in days[5:]:
        said(store, "2", role=Role.SHADOW, as_of=as_of)
    board = judged(store, tmp_path, day)
    shared = {days[5], pd.Timestamp("2023-08-01")}
    for version, role in (("1", "champion"), ("2", "shadow")):
        found = row(board, version=version, role=role)
        assert (found["days"], found["since"], found["until"]) == (2, min(shared), max(shared))
    assert board.notes == ("38 more days were predicted: of each version one day a month is judged",)


def test_scoreboard__of_nothing_is_empty_and_of_an_unknown_predictor_an_error(store, tmp_path):
    board = judged(store, tmp_path)
    assert board.figures.empty
    assert board.pending.empty
    with pytest.raises(UnknownNameError, match="there are: toy"):
        scoreboard(store, predictors=["nope"], models_dir=tmp_path, now=NOW)
    nothing = Store(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(InsufficientDataError, match="predictkpi ingest"):
        scoreboard(nothing, predictors=["toy"], models_dir=tmp_path, now=NOW)


def test_keep__gives_the_same_board_back_and_logs_its_figures_to_the_versions_run(store, tmp_path, registry):
    model = Toy()
    model.fit(model.training_table(company.snapshot()))
    run_id = registry.log_training("toy", TrainingRecord(params={}), run_name="test")
    version = registry.register(model, run_id=run_id, inputs=model.inputs(company.snapshot())).version
    said(store, version)
    said(store, "999", role=Role.SHADOW)
    day = months_later(store, 1.0)
    board = judged(store, tmp_path, day)
    (trouble,) = keep(store, registry, [board])
    assert "toy has no version '999'" in trouble
    kept = kept_boards(store)["toy"]
    pd.testing.assert_frame_equal(kept.figures, board.figures, check_dtype=False)
    pd.testing.assert_frame_equal(kept.pending, board.pending, check_dtype=False)
    assert (kept.as_of, kept.made_at, kept.notes) == (board.as_of, NOW, board.notes)
    metrics = registry.metrics(run_id)
    assert metrics[f"scoreboard.v{version}.champion.loss_h1"] == pytest.approx(row(board, version=version)["loss"])
    assert metrics[f"scoreboard.v{version}.champion.baseline.saved"] == pytest.approx(
        row(board, version=version, candidate="baseline", horizon=ALL)["saved"]
    )


def test_board__does_not_judge_what_was_said_of_days_before_the_version_learnt(store, tmp_path):
    said(store, "1")
    said(store, "2")
    as_of = months_later(store, 3)
    learnt = {("toy", "1"): THEN, ("toy", "2"): THEN + pd.Timedelta(days=1)}
    (board,) = scoreboard(store, predictors=["toy"], models_dir=tmp_path, now=NOW, as_of=as_of, learnt=learnt)
    assert set(board.figures[c.MODEL_VERSION]) == {"1"}
    assert any("before they learnt, since they knew what came after (such days: 1)" in note for note in board.notes)
    assert set(judged(store, tmp_path, as_of).figures[c.MODEL_VERSION]) == {"1", "2"}
