from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from predictkpi.sources.convert import as_instants, as_number, as_text, why_no_number
from predictkpi.sources.mapping import Dates, Reading


def text(*cells: str | None) -> pd.Series:
    return pd.Series(cells, dtype="str")


def test_as_text__strips_and_spells_whole_numbers_as_ids():
    assert as_text(text(" a ", "  ", None)).fillna("-").tolist() == ["a", "-", "-"]
    mixed = pd.Series([17.0, 17, "x ", 1.5, True, None, dt.date(2024, 1, 2)], dtype="object")
    assert as_text(mixed).fillna("-").tolist() == ["17", "17", "x", "1.5", "true", "-", "2024-01-02"]
    assert as_text(pd.Series([1, None], dtype="Int64")).fillna("-").tolist() == ["1", "-"]
    assert as_text(pd.Series([10.0, 0.5])).tolist() == ["10", "0.5"]


@pytest.mark.parametrize(
    ("reading", "cell", "value"),
    [
        ({}, "1234.5", 1234.5),
        ({}, "-1e3", -1000.0),
        ({}, "1,234.5", None),
        ({}, "$5", None),
        ({}, "inf", None),
        ({}, "nan", None),
        ({"thousands": ","}, "1,234.5", 1234.5),
        ({"decimal": ","}, "1234,5", 1234.5),
        ({"decimal": ","}, "1234.5", None),
        ({"decimal": ",", "thousands": "."}, "1.234,5", 1234.5),
        ({"decimal": ",", "thousands": "."}, "1234,5", 1234.5),
        ({"decimal": ",", "thousands": "."}, "-1.234.567", -1234567.0),
        ({"decimal": ",", "thousands": "."}, "12.34", None),
        ({"thousands": ","}, "5.011,58", None),
        ({"thousands": ","}, "1,2345", None),
        ({"thousands": " "}, "1 234.5", 1234.5),
    ],
)
@pytest.mark.parametrize("dtype", ["str", "object"])
def test_as_number__takes_only_the_stated_marks(reading, cell, value, dtype):
    numbers, failed = as_number(pd.Series([cell, None], dtype=dtype), Reading(**reading))
    assert failed.tolist() == [value is None, False]
    assert numbers.fillna(-1).tolist() == [-1 if value is None else value, -1]


@pytest.mark.parametrize(
    ("reading", "cell", "reason"),
    [
        ({"thousands": ","}, "5.011,58", "mark in the wrong place: are decimal and thousands swapped?"),
        ({"thousands": ","}, "a,b", "not a number (decimal '.', thousands ',')"),
        ({"decimal": ","}, "5.011,58", 'state thousands: "."'),
        ({}, "5,011.58", 'state thousands: ","'),
        ({}, "5'011.58", 'state thousands: "\'"'),
        ({}, "five", "not a number (decimal '.', no thousands mark)"),
    ],
)
def test_why_no_number__names_the_reading_that_would_do(reading, cell, reason):
    found = why_no_number(text(cell), Reading(**reading)).iloc[0]
    assert found.endswith(reason)


def test_as_number__typed_cells():
    numbers, failed = as_number(pd.Series([1, 2.5, "3", True, None, np.inf], dtype="object"), Reading())
    assert failed.tolist() == [False, False, False, True, False, True]
    assert numbers.iloc[:3].tolist() == [1.0, 2.5, 3.0]
    _, failed = as_number(pd.Series([1.0, np.inf, np.nan]), Reading())
    assert failed.tolist() == [False, True, False]
    _, failed = as_number(pd.to_datetime(pd.Series(["2024-01-01"])), Reading())
    assert failed.tolist() == [True]


def instants(cells: pd.Series, *, to: str = "UTC", **dates):
    return as_instants(cells, Dates(**dates), column="day", time_zone=to)


def test_as_instants__only_the_stated_format():
    found = instants(text("2024-02-29", "2023-02-29", "29.02.2024", None), format="%Y-%m-%d")
    assert found.failed.tolist() == [False, True, True, False]
    assert found.values.iloc[0] == pd.Timestamp("2024-02-29")
    assert found.values.dtype == "datetime64[us]"


def test_as_instants__format_by_column_and_none():
    assert not instants(text("1.2.2024"), format={"day": "%d.%m.%Y"}).failed.any()
    assert instants(text("1.2.2024", None), format={"other": "%d.%m.%Y"}).failed.tolist() == [True, False]


def test_as_instants__converts_instants_but_not_days():
    at_night = instants(text("2024-01-01 23:30"), format="%Y-%m-%d %H:%M", time_zone="America/New_York", to="Europe/Berlin")
    assert at_night.values.tolist() == [pd.Timestamp("2024-01-02 05:30")]
    day = instants(text("2024-01-01"), format="%Y-%m-%d", time_zone="America/New_York", to="Europe/Berlin")
    assert day.values.tolist() == [pd.Timestamp("2024-01-01")]
    offsets = instants(text("2024-01-01T00:00:00Z", "2024-07-01T00:00:00+00:00"), format="ISO8601", to="Europe/Berlin")
    assert offsets.values.tolist() == [pd.Timestamp("2024-01-01 01:00"), pd.Timestamp("2024-07-01 02:00")]


def test_as_instants__iso_cells_are_taken_one_by_one():
    cells = text("2024-01-01", "2024-01-01T10:00:00", "2024-01-01T00:00:00Z", "2024-01-01 10:00+05:30", "20240101", "x", None)
    found = instants(cells, format="ISO8601", time_zone="America/New_York", to="Europe/Berlin")
    assert found.failed.tolist() == [False, False, False, False, False, True, False]
    expected = ["2024-01-01", "2024-01-01 16:00", "2024-01-01 01:00", "2024-01-01 05:30", "2024-01-01"]
    assert found.values.iloc[:5].tolist() == [pd.Timestamp(instant) for instant in expected]


def test_as_instants__hours_that_the_clock_skips_or_shows_twice():
    found = instants(text("2024-03-31 02:30", "2024-10-27 02:30"), format="%Y-%m-%d %H:%M", time_zone="Europe/Berlin", to="UTC")
    assert found.values.tolist() == [pd.Timestamp("2024-03-31 01:00"), pd.Timestamp("2024-10-27 00:30")]


def test_as_instants__typed_cells():
    days = pd.Series([dt.datetime(2024, 1, 1), "2024-01-02", "x", None, 3], dtype="object")
    found = instants(days, format="%Y-%m-%d")
    assert found.failed.tolist() == [False, False, True, False, True]
    assert found.values.iloc[:2].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]
    aware = pd.to_datetime(pd.Series(["2024-01-01T00:00Z"]))
    assert instants(aware, to="Asia/Tokyo").values.tolist() == [pd.Timestamp("2024-01-01 09:00")]
    naive = pd.to_datetime(pd.Series(["2024-01-01 10:00"]))
    assert instants(naive, to="Asia/Tokyo").values.tolist() == [pd.Timestamp("2024-01-01 10:00")]
    assert instants(naive, to="Asia/Tokyo", time_zone="UTC").values.tolist() == [pd.Timestamp("2024-01-01 19:00")]


def test_as_instants__sees_day_and_month_swapped():
    swapped = instants(text("01/13/2024", "02/25/2024", "03/04/2024"), format="%d/%m/%Y")
    assert swapped.swapped == ("%m/%d/%Y", 3, 3)
    assert instants(text("x", "y", "03/25/2024"), format="%d/%m/%Y").swapped is None
    assert instants(text("13/01/2024"), format="%d/%m/%Y").swapped is None
