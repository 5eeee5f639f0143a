from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from predictkpi.core.arrays import Columns
from predictkpi.errors import DealClosedError, UnknownEntityError
from predictkpi.predictors.close_time.model import CloseTimePredictor
from predictkpi.predictors.close_time.periods import ENDS, STARTS, Calendar, PeriodCalendar, at_risk, calendar_for, spread

FEATURES_ONLY = ["duration", "event", "observed_days", "sampling_rate", "is_sampled"]


def test_training_table__features_equal_what_was_served_that_day(fitted, training_rows, snapshot):
    midnights = training_rows[training_rows["as_of"].dt.normalize() == training_rows["as_of"]]
    for day in midnights["as_of"].value_counts().index[:3]:
        rows = midnights[midnights["as_of"] == day].drop(columns=[*FEATURES_ONLY, "is_entry"]).reset_index(drop=True)
        served = fitted.inputs(snapshot.at(day), entity_ids=rows["entity_id"].tolist())
        pd.testing.assert_frame_equal(rows, served, rtol=1e-12)


def test_training_table__knows_nothing_from_its_future(snapshot):
    past = snapshot.at(pd.Timestamp("2024-03-01"))
    model = CloseTimePredictor(landmark_budget=10**9, landmark_rate=0.02)
    early, late = model.training_table(past), model.training_table(snapshot)
    late = late[late["as_of"] < past.as_of].reset_index(drop=True)
    hidden = [column for column in FEATURES_ONLY if column != "is_sampled"]
    pd.testing.assert_frame_equal(early.drop(columns=hidden), late.drop(columns=hidden), rtol=1e-12)
    assert (early["duration"] <= early["observed_days"]).all()
    assert (late["duration"].to_numpy() > early["duration"].to_numpy()).any()


def rewritten_events(deals):
    """Paths Lead, Demo, Offer, close; every third deal's Demo is learnt 60 days late, every fourth's Offer is corrected 80 days later."""
    events = []
    for number, (key, opened) in enumerate(deals):
        after = lambda days, opened=opened: opened + pd.Timedelta(days=days)  # noqa: E731
        late = {"known_at": after(63)} if number % 3 == 0 else {}
        events += [(key, opened, "Lead"), (key, after(3 if number % 2 else -1), "Demo", {"event_id": f"demo{number}"} | late)]
        events += [(key, after(20), "Offer", {"event_id": f"offer{number}"})]
        if number % 4 == 0:
            events += [(key, after(20), "Demo", {"event_id": f"offer{number}", "known_at": after(100)})]
        if number % 5:
            close = {"event_id": f"close{number}", "owner": "Ann"}
            events += [(key, after(110), "won" if number % 2 else "lost", close)]
            events += [(key, after(110), "lost", close | {"known_at": after(170)})] if number % 7 == 0 else []
    return events


def test_training_table__features_equal_what_was_served_that_day_whatever_was_rewritten_since(make_snapshot):
    deals = [(f"D{i}", day) for i, day in enumerate(pd.date_range("2024-01-01", periods=60, freq="3D"))]
    snapshot = make_snapshot(deals, rewritten_events(deals), as_of="2025-06-01")
    model = CloseTimePredictor(landmark_budget=10**9, landmark_rate=1.0)
    rows = model.training_table(snapshot)
    assert rows["stage_rank"].nunique() > 2
    for day in pd.date_range("2024-05-01", "2024-10-01", freq="17D"):
        then = rows[rows["as_of"] == day].drop(columns=[*FEATURES_ONLY, "is_entry"]).reset_index(drop=True)
        assert len(then) > 5
        pd.testing.assert_frame_equal(then, model.inputs(snapshot.at(day), entity_ids=then["entity_id"].tolist()), check_exact=True)


def test_at_risk__keeps_a_period_only_if_it_ends_within_what_was_observed():
    table = pd.DataFrame({"duration": [4.5, 40.0, 6.0], "event": [1, 0, 2], "observed_days": [100.0, 40.0, 6.5]})
    row, period, outcome = at_risk(Columns.of(table))
    seen = {n: [(int(STARTS[p]), int(o)) for p, o in zip(period[row == n], outcome[row == n], strict=True)] for n in range(3)}
    assert seen[0] == [(0, 0), (1, 0), (2, 0), (3, 1)]
    assert seen[1][-1] == (30, 0)
    assert seen[2] == [(0, 0), (1, 0), (2, 0), (3, 0)]


def days(*dates):
    return np.array(dates, dtype="datetime64[D]").astype(np.int64)


def test_spread__gives_a_weekend_nothing_and_keeps_the_ends():
    incidence = np.cumsum(np.full((1, 2, len(ENDS)), 0.01), axis=2)
    daily = spread(PeriodCalendar.after(days("2025-03-07"), 1).passed, incidence)
    assert daily[:, :, ENDS] == pytest.approx(incidence)
    assert daily[0, 0, 3] > daily[0, 0, 2]
    saturday_and_sunday = daily[0, 0, [15, 16, 17]]
    assert saturday_and_sunday[1] - saturday_and_sunday[0] == pytest.approx(0.0)
    assert (np.diff(daily, axis=2) >= -1e-15).all()


def test_calendar_for__says_of_each_row_what_it_says_of_it_alone(training_rows):
    inputs = Columns.of(training_rows.head(40))
    calendar, which = calendar_for(inputs)
    assert len(calendar.passed) == len(np.unique(inputs["as_of"].astype("datetime64[D]"))) > 5
    for row in range(40):
        alone, first = calendar_for(inputs.take(slice(row, row + 1)))
        assert first.tolist() == [0]
        for field in fields(PeriodCalendar):
            np.testing.assert_array_equal(getattr(calendar, field.name)[which[row]], getattr(alone, field.name)[0], field.name)


def test_calendar__counts_to_month_and_fiscal_quarter_ends():
    day = days("2025-03-25")
    usual, shifted = (Calendar(int(day[0]), int(day[0]) + 180, fiscal_year_starts) for fiscal_year_starts in (1, 2))
    assert usual.look(usual.to_month_end, day)[0] == 7
    assert usual.look(usual.to_quarter_end, day)[0] == 7
    assert shifted.look(shifted.to_quarter_end, day)[0] == 7 + 30
    assert usual.business_days(day, day + 7)[0] == 5
    assert usual.rush_days(day, day + 14)[0] == 7
    assert usual.rush_days(day + 20, day + 98)[0] == 10


def test_inputs__are_the_deals_open_then_sorted_or_those_named(fitted, snapshot):
    everyone = fitted.inputs(snapshot)
    events = snapshot.deal_events.sort_values("ds", kind="stable").drop_duplicates("deal_id", keep="last")
    expected = sorted(events.loc[~events["stage"].isin(["won", "lost"]), "deal_id"])
    assert everyone["entity_id"].tolist() == expected
    named = fitted.inputs(snapshot, entity_ids=[expected[3], expected[0]])
    assert named["entity_id"].tolist() == [expected[3], expected[0]]
    pd.testing.assert_frame_equal(named, everyone.iloc[[3, 0]].reset_index(drop=True))


def test_inputs__hold_only_plain_columns(fitted, snapshot):
    inputs = fitted.inputs(snapshot)
    assert inputs.columns[:2].tolist() == ["entity_id", "as_of"]
    kinds = {str(dtype).split("[")[0] for dtype in inputs.dtypes}
    assert kinds <= {"str", "float64", "int64", "datetime64"}


def test_inputs__name_an_unknown_deal(fitted, snapshot):
    with pytest.raises(UnknownEntityError, match="'nobody'"):
        fitted.inputs(snapshot, entity_ids=["nobody"])


def test_inputs__refuse_a_deal_created_later(fitted, make_snapshot):
    with pytest.raises(UnknownEntityError, match="'A'"):
        fitted.inputs(make_snapshot([("A", "2025-07-01"), ("B", "2025-01-01")], []), entity_ids=["A"])


def test_inputs__say_when_a_deal_was_closed(fitted, make_snapshot):
    snapshot = make_snapshot([("A", "2025-01-01")], [("A", "2025-01-01", "Lead"), ("A", "2025-02-03", "won")])
    with pytest.raises(DealClosedError, match=r"'A' was won on 2025-02-03"):
        fitted.inputs(snapshot, entity_ids=["A"])
    before = snapshot.at(pd.Timestamp("2025-02-03"))
    assert fitted.inputs(before, entity_ids=["A"])["stage"].tolist() == ["Lead"]


def test_outcomes__count_a_reopened_deal_by_its_first_close_after_as_of(fitted, make_snapshot):
    events = [
        ("A", "2025-01-01", "Lead"), ("A", "2025-01-11", "lost"), ("A", "2025-01-20", "Lead"), ("A", "2025-02-10", "won"),
        ("B", "2025-01-01", "Lead"), ("C", "2025-01-01", "Lead"), ("C", "2025-01-03", "won"),
    ]  # fmt: skip
    later = make_snapshot([(key, "2025-01-01") for key in "ABC"], events, as_of="2025-03-15")
    wide = lambda as_of: fitted.outcomes(later, as_of=pd.Timestamp(as_of)).set_index(["entity_id", "statistic", "horizon"])  # noqa: E731
    first, again = wide("2025-01-05"), wide("2025-01-25")
    assert set(first.index.get_level_values("entity_id")) == {"A", "B"}
    assert first.loc[("A", "cif_lost", 7), "value"] == 1.0
    assert first.loc[("A", "cif_won", 60), "value"] == 0.0
    assert again.loc[("A", "cif_won", 14), "value"] == 0.0
    assert again.loc[("A", "cif_won", 30), "value"] == 1.0
    assert again.loc[("A", "close_q50", 180), "value"] == 16.0
    assert first.loc[("B", "cif_won", 60), "is_mature"]
    assert not first.loc[("B", "cif_won", 90), "is_mature"]


def test_outcomes__do_not_count_a_close_at_the_very_end_of_the_horizon(fitted, make_snapshot):
    later = make_snapshot([("A", "2025-01-01")], [("A", "2025-01-01", "Lead"), ("A", "2025-01-12", "won")])
    found = fitted.outcomes(later, as_of=pd.Timestamp("2025-01-05")).set_index(["statistic", "horizon"])["value"]
    assert (found["cif_won", 7], found["cif_won", 14]) == (0.0, 1.0)


def test_outcomes__of_deadlines_are_mature_once_the_deadline_has_passed(fitted, make_snapshot):
    expects = {"expected_close_on": pd.Timestamp("2025-01-20"), "amount": 50.0}
    events = [(key, "2025-01-01", "Lead", expects) for key in "ABC"] + [("D", "2025-01-01", "Lead")]
    events += [("A", "2025-01-20", "won", expects), ("B", "2025-01-21", "won", expects)]
    later = make_snapshot([(key, "2025-01-01") for key in "ABCD"], events, as_of="2025-02-10")
    found = fitted.outcomes(later, as_of=pd.Timestamp("2025-01-05"))
    of = found.pivot_table(index="entity_id", columns="statistic", values="value")
    assert of["p_slip"].tolist()[:3] == [0.0, 1.0, 1.0], "won on the day that the rep expected is in time"
    assert np.isnan(of.loc["D", "p_slip"]), "without a date nothing can slip"
    assert of["p_won_by_month_end"].tolist() == [1.0, 1.0, 0.0, 0.0]
    mature = found.groupby("statistic")["is_mature"].agg(["all", "any"])
    assert mature.loc[["p_slip", "p_won_by_month_end"], "all"].all()
    assert not mature.loc[["p_win", "p_won_by_quarter_end", "p_won_by_fiscal_year_end", "expected_value"], "any"].any()


def test_outcomes__in_the_end_are_the_win_and_its_amount(fitted, make_snapshot):
    events = [("A", "2025-01-01", "Lead", {"amount": 70.0}), ("B", "2025-01-01", "Lead"), ("A", "2025-03-01", "won", {"amount": 90.0})]
    later = make_snapshot([("A", "2025-01-01"), ("B", "2025-01-01")], events, as_of="2025-12-01")
    of = fitted.outcomes(later, as_of=pd.Timestamp("2025-01-05")).pivot_table(index="entity_id", columns="statistic", values="value")
    assert of["p_win"].tolist() == [1.0, 0.0]
    assert of.loc["A", "expected_value"] == 70.0, "the amount as it was known then"
    assert np.isnan(of.loc["B", "expected_value"])


def test_outcomes__once_mature_do_not_change(snapshot):
    as_of = (snapshot.as_of - pd.DateOffset(months=7)).normalize()
    predictor = CloseTimePredictor()
    first, last = (predictor.outcomes(later, as_of=as_of) for later in (snapshot.at(as_of + pd.DateOffset(months=3)), snapshot))
    both = first[first["is_mature"]].merge(last, on=["entity_id", "horizon", "statistic"], suffixes=("", "_later"))
    assert {"cif_won", "p_slip", "p_won_by_month_end"} <= set(both["statistic"])
    pd.testing.assert_series_equal(both["value"], both["value_later"], check_names=False)
