from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import UnknownNameError
from predictkpi.hygiene import check_names
from predictkpi.hygiene.base import FINDING_COLUMNS
from predictkpi.pipelines.doctor import diagnose


def test_diagnose__sums_up_what_it_lists(snapshot):
    diagnosis = diagnose(snapshot)
    summary = diagnosis.summary().set_index("check")
    assert tuple(summary.index) == check_names()
    assert list(diagnosis.findings) == FINDING_COLUMNS
    listed = diagnosis.findings.groupby("check")["entity_id"].size()
    assert listed.to_dict() == {name: count for name, count in summary["count"].items() if count}
    money = diagnosis.findings.groupby("check")["money"].sum()
    assert money["overdue_close"] == pytest.approx(summary.loc["overdue_close", "money"])
    assert summary.loc["overdue_close", "count"] > 0
    assert summary.loc["leaking_fields", "count"] == 0
    assert diagnosis.summary("de")["title"].iloc[0] == "Erwarteter Abschluss überfällig"


def test_diagnose__of_an_earlier_day_sees_nothing_later(company, snapshot):
    early = company.end - pd.Timedelta(days=400)
    then, again = diagnose(snapshot.at(early)), diagnose(company.snapshot(early))
    pd.testing.assert_frame_equal(then.findings, again.findings)
    assert then.summary()["examined"].sum() < diagnose(snapshot).summary()["examined"].sum()


def test_diagnose__runs_one_check_or_says_which_there_are(snapshot):
    assert list(diagnose(snapshot, checks=["pushed_often"]).results) == ["pushed_often"]
    with pytest.raises(UnknownNameError, match="bulk_closed"):
        diagnose(snapshot, checks=["nope"])
