"""What follows from a deal's daily incidences: any horizon, ends of periods, slipping, expected value. By hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.arrays import Columns
from predictkpi.errors import SettingsError
from predictkpi.predictors.close_time.deadlines import days_to_period_ends, days_to_slip, within
from predictkpi.predictors.close_time.statistics import Predicted
from predictkpi.protocol import EntityAnswer

DAYS = np.arange(181)


def deals(*rows):
    """Inputs of deals ``(as_of, days to the expected close, amount)``."""
    frame = pd.DataFrame(rows, columns=["as_of", "days_to_expected_close", "amount"])
    as_of = pd.to_datetime(frame["as_of"], format="ISO8601").astype("datetime64[us]")
    return frame.assign(entity_id=[f"D{i}" for i in range(len(rows))], as_of=as_of, fiscal_year_starts=1)


def told(inputs, **kwargs):
    """Predictions of deals won at 0.1 % a day and lost at 0.2 % a day, with full status."""
    daily = np.broadcast_to(np.stack([DAYS * 0.001, DAYS * 0.002]), (len(inputs), 2, 181))
    n = len(inputs)
    return Predicted.of(Columns.of(inputs), daily, np.full(n, "full", object), np.full(n, "", object), **kwargs).frame()


def of(found, statistic, column="value"):
    return found.loc[found["statistic"] == statistic, column].tolist()


def test_period_ends__are_those_of_the_calendar_month_and_the_fiscal_quarter_and_year():
    inputs = deals(("2025-11-10", np.nan, 1.0), ("2025-12-01", np.nan, 1.0), ("2025-12-31 12:00", np.nan, 1.0))
    assert days_to_period_ends(Columns.of(inputs), "MQY").T.tolist() == [[21.0, 31.0, 0.5], [52.0, 31.0, 0.5], [52.0, 31.0, 0.5]]
    from_february = inputs.assign(fiscal_year_starts=2)
    assert days_to_period_ends(Columns.of(from_february), "MQ").T.tolist() == [[21.0, 31.0, 0.5], [83.0, 62.0, 31.5]]
    of_three = from_february.assign(fiscal_year_starts=[1, 2, 12])
    assert days_to_period_ends(Columns.of(of_three), "Y").T.tolist() == [[52.0, 62.0, 334.5]]


def test_slip__is_counted_to_the_end_of_the_expected_day():
    inputs = deals(
        ("2025-11-10", 3.0, 1.0),
        ("2025-11-10 18:00", 3.25, 1.0),
        ("2025-11-10", 0.0, 1.0),
        ("2025-11-10", -1.0, 1.0),
        ("2025-11-10", np.nan, 1.0),
        ("2025-11-10", 1000 / 3, 1.0),
    )
    assert days_to_slip(Columns.of(inputs)).tolist() == pytest.approx([4.0, 3.25 + 1.0, 1.0, 0.0, np.nan, 334.0], nan_ok=True)


def test_within__is_even_within_a_day_and_stays_after_the_last():
    daily = np.array([[0.0, 0.1, 0.3, *[0.5] * 178]] * 6)
    days, expected = np.array([-2.0, 0.0, 1.5, 2.0, 500.0, np.nan]), [0, 0, 0.2, 0.3, 0.5, np.nan]
    assert within(daily, days) == pytest.approx(expected, nan_ok=True)
    assert within(daily[:1], days[None])[0] == pytest.approx(expected, nan_ok=True)


def test_statistics__of_the_whole_deal():
    inputs = deals(("2025-11-10", 9.0, 2000.0), ("2025-11-10", -5.0, np.nan), ("2025-11-10", np.nan, 10.0), ("2025-11-10", 400.0, 0.0))
    found = told(inputs)
    assert of(found, "p_won_by_month_end") == pytest.approx([0.021] * 4)
    assert of(found, "p_won_by_quarter_end") == pytest.approx([0.052] * 4)
    assert of(found, "p_won_by_fiscal_year_end") == pytest.approx([0.052] * 4)
    assert of(found, "p_slip") == pytest.approx([0.99, 1.0, np.nan, 0.82], nan_ok=True)
    assert of(found, "p_slip", "status") == ["full", "full", "insufficient_data", "full"]
    assert [reason[:35] for reason in of(found, "p_slip", "reason")] == [
        "",
        "the expected close date has passed,",
        "the deal has no expected close date",
        "the expected close date lies more t",
    ]
    assert of(found, "expected_value") == pytest.approx([360.0, np.nan, 1.8, 0.0], nan_ok=True)
    assert of(found, "expected_value", "reason") == ["", "amount is missing", "", ""]
    assert of(found, "expected_value", "status")[1] == "insufficient_data"
    assert set(found.loc[found["statistic"] == "p_win", "reason"]) == {""}


def test_statistics__a_year_that_ends_too_far_ahead_is_counted_up_to_the_last_day_and_says_so():
    found = told(deals(("2025-01-10", np.nan, 1.0)))
    assert of(found, "p_won_by_fiscal_year_end") == pytest.approx([0.18]) == of(found, "p_win")
    assert "more than 180 days ahead" in of(found, "p_won_by_fiscal_year_end", "reason")[0]
    assert of(found, "p_won_by_quarter_end", "reason") == [""]


def test_statistics__keep_the_reason_of_the_deal_beside_their_own():
    inputs = deals(("2025-11-10", -5.0, 1.0))
    daily = np.zeros((1, 2, 181))
    found = Predicted.of(Columns.of(inputs), daily, np.array(["limited"], object), np.array(["few deals"], object)).frame()
    assert of(found, "p_slip", "reason")[0].startswith("few deals; the expected close date has passed")
    assert of(found, "cif_won", "reason") == ["few deals"] * 6
    assert of(found, "close_q50", "reason")[0].startswith("no deal like this was won")


def test_answers__say_what_the_rows_of_the_long_table_say(fitted, snapshot):
    ids = fitted.inputs(snapshot)["entity_id"].tolist()[4::-1]
    for horizons in (None, [45, 180], [7]):
        frame = fitted.predict(snapshot, entity_ids=ids, horizons=horizons)
        told = fitted.answer_for(snapshot, entity_ids=ids, horizons=horizons)
        assert [answer.entity_id for answer in told] == ids
        for answer in told:
            expected = EntityAnswer.of(frame[frame["entity_id"] == answer.entity_id])
            pd.testing.assert_frame_equal(pd.DataFrame(answer.rows), pd.DataFrame(expected.rows), check_exact=True)
            assert answer.as_of == expected.as_of == snapshot.as_of
            assert [row._replace(value=0.0) for row in answer.rows] == [row._replace(value=0.0) for row in expected.rows]


def test_predict_at__gives_any_day_and_refuses_what_lies_beyond(fitted, snapshot):
    inputs = fitted.inputs(snapshot).head(20)
    days = range(1, 181)
    curve = fitted.predict_at(inputs, days).pivot(index=["entity_id", "statistic"], columns="horizon", values="value")
    won, lost, still = (curve.xs(name, level="statistic").loc[:, list(days)] for name in ("cif_won", "cif_lost", "p_open"))
    assert (won + lost + still).to_numpy() == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(won, axis=1) >= 0).all()
    assert (np.diff(lost, axis=1) >= 0).all()
    few = fitted.predict_at(inputs, [45]).set_index(["entity_id", "statistic"])["value"]
    assert few.xs("cif_won", level="statistic").to_dict() == won[45].to_dict()
    assert set(few.index.get_level_values("statistic")) == {"cif_won", "cif_lost", "p_open"}
    for horizon in (0, 181):
        with pytest.raises(SettingsError, match=f"no horizon {horizon}: there are any from 1 to 180 days"):
            fitted.predict_at(inputs, [7, horizon])


def test_predict__at_the_usual_horizons_is_part_of_predict_at_all(fitted, snapshot):
    usual = fitted.predict(snapshot)
    again = fitted.predict(snapshot, horizons=fitted.spec.horizons)
    pd.testing.assert_frame_equal(usual, again, check_exact=True)
