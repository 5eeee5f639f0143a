"""The flat probe on a real table whose leaking columns are known: it finds them, and spares those known at creation."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.hygiene.leaks import probe_leaks

pytestmark = pytest.mark.real

OUTCOME, DURATION, ID = "Opportunity Result", "Total Days Identified Through Closing", "Opportunity Number"
LEAKS = {
    "Total Days Identified Through Qualified",
    "Ratio Days Identified To Total Days",
    "Ratio Days Validated To Total Days",
    "Ratio Days Qualified To Total Days",
    "Elapsed Days In Sales Stage",
    "Sales Stage Change Count",
}
DOUBTFUL = {"Competitor Type", "Revenue From Client Past Two Years"}


@pytest.fixture(scope="module")
def deals(real_data):
    return pd.read_csv(real_data("deals", "win-loss") / "sales_win_loss.csv.gz", keep_default_na=False)


def verdicts(deals: pd.DataFrame) -> dict[str, set[str]]:
    found = probe_leaks(deals.drop(columns=[OUTCOME, DURATION, ID]), deals[OUTCOME] == "Won", duration=deals[DURATION])
    return {verdict: set(group["field"]) for verdict, group in found.groupby("verdict")}


def test_probe__finds_the_leaking_columns_and_spares_the_clean_ones(deals):
    found = verdicts(deals)
    assert found["leak"] == LEAKS
    assert found["suspect"] == DOUBTFUL
    assert len(found["clean"]) == 8
    assert "unknown" not in found


def test_probe__blames_no_name(deals):
    anonymous = deals.rename(
        columns={name: f"f{number}" for number, name in enumerate(deals.columns) if name not in (OUTCOME, DURATION, ID)}
    )
    named = verdicts(deals)
    assert {verdict: len(fields) for verdict, fields in verdicts(anonymous).items()} == {v: len(f) for v, f in named.items()}


def test_probe__accuses_no_clean_column_in_smaller_samples(deals):
    clean = verdicts(deals)["clean"]
    for seed in range(5):
        found = verdicts(deals.sample(10_000, random_state=seed))
        assert clean <= found["clean"]
        assert LEAKS - found["leak"] <= {"Elapsed Days In Sales Stage", "Sales Stage Change Count"}
