from __future__ import annotations

import pandas as pd

import predictkpi
from predictkpi.core import columns as c
from predictkpi.registry import code_version, data_digest
from toy import company


def test_data_digest__does_not_depend_on_row_order_or_time_unit():
    frame = company.orders()
    other = frame.sample(frac=1, random_state=1).assign(**{c.DS: lambda rows: rows[c.DS].astype("datetime64[ns]")})
    assert data_digest(company.snapshot(frame)) == data_digest(company.snapshot(other))


def test_data_digest__changes_with_one_cent_and_with_one_row():
    frame = company.orders()
    cent = frame.assign(**{c.AMOUNT: frame[c.AMOUNT].where(frame.index != 5, frame[c.AMOUNT] + 0.01)})
    found = {data_digest(company.snapshot(each)).sha256 for each in (frame, cent, frame.iloc[1:])}
    assert len(found) == 3


def test_data_digest__counts_what_was_known_and_ignores_what_came_later():
    frame = company.orders()
    past = pd.Timestamp("2023-01-01")
    known = frame[frame[c.KNOWN_AT] < past]
    digest = data_digest(company.snapshot(frame).at(past))
    assert digest == data_digest(company.snapshot(known, as_of=past))
    assert digest.rows["orders"] == len(known) == 480
    assert digest.rows["deals"] == 0


def test_code_version__names_the_package():
    found = code_version()
    assert found.package == predictkpi.__version__
    assert found.commit == "" or len(found.commit) == 40
