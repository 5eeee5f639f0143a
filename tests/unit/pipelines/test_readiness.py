from __future__ import annotations

from pathlib import Path

import pandas as pd

from predictkpi.pipelines.candidates import make_model
from predictkpi.pipelines.readiness import READINESS_COLUMNS, readiness
from predictkpi.predictors import predictor_names

NOWHERE = Path("no-models-folder")


def test_readiness__of_a_grown_company_is_full(snapshot):
    found = readiness(snapshot, models_dir=NOWHERE)
    assert list(found) == READINESS_COLUMNS
    assert tuple(found["predictor"].unique()) == predictor_names()
    assert set(found["status"]) == {"full"}
    assert found["is_enough"].all()
    assert set(found["lift"]) == {""}


def test_readiness__of_a_young_company_says_what_would_lift_it(company):
    young = company.snapshot(company.tables["orders"]["ds"].min().normalize() + pd.Timedelta(days=120))
    found = readiness(young, models_dir=NOWHERE)
    months = found[found["count"] == "months"].iloc[0]
    assert months["status"] != "full"
    assert months["lift"] == f"{24 - months['have']} more months for full"
    for name, rows in found.groupby("predictor"):
        own = make_model(name, NOWHERE).readiness(young)
        assert set(rows["reason"]) == {own.reason}
        assert dict(zip(rows["count"], rows["need"], strict=True)) == own.need
