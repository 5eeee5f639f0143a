"""The flat probe on tables whose leaks were planted: clean fields are spared over seeds, each kind of leak is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictkpi.hygiene.leaks import probe_leaks

N = 4000


def clean_table(seed: int, n: int = N) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Fields known at creation; some of them truly matter, as they do in life."""
    rng = np.random.default_rng(seed)
    region, size, amount = rng.integers(0, 6, n), rng.integers(1, 6, n), np.round(np.exp(rng.normal(10, 1, n)))
    score = -1.2 + 0.4 * (region == 2) - 0.4 * np.log(amount / 22026) + 0.2 * size
    won = pd.Series(rng.random(n) < 1 / (1 + np.exp(-score)))
    days = pd.Series(np.floor(np.exp(rng.normal(2.5 + 0.1 * size, 1, n)) - 1).clip(0))
    mix = rng.dirichlet([1, 1], n)
    frame = pd.DataFrame(
        {
            "region": pd.Series(region).map("region {}".format),
            "size": size,
            "amount": amount,
            "owner": pd.Series(rng.integers(0, n // 20, n)).map("rep {}".format),
            "noise": rng.normal(size=n),
            "flag": rng.random(n) < 0.3,
            "created": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D"),
            "segment": np.where(rng.random(n) < 0.3, "Unknown", "smb"),
        }
    )
    return frame.assign(hardware=mix[:, 0]), won, days


def verdicts(frame: pd.DataFrame, won: pd.Series, days: pd.Series | None) -> dict[str, str]:
    return probe_leaks(frame, won, duration=days).set_index("field")["verdict"].to_dict()


@pytest.mark.parametrize("n", [250, N])
def test_probe__spares_clean_fields_over_seeds(n):
    for seed in range(20):
        found = verdicts(*clean_table(seed, n))
        assert set(found.values()) == {"clean"}, (seed, found)


PLANTED = {
    "won_reason": lambda f, won, days, rng: np.where(won, "price", ""),
    "signed": lambda f, won, days, rng: won & (rng.random(N) < 0.2),
    "days_qualified": lambda f, won, days, rng: np.floor(days * rng.random(N)),
    "days_total_copy": lambda f, won, days, rng: days + rng.normal(0, 0.5, N),
    "calls": lambda f, won, days, rng: rng.poisson(1 + days / 4),
}


@pytest.mark.parametrize("name", PLANTED)
def test_probe__finds_a_planted_leak_and_it_alone(name):
    for seed in range(5):
        frame, won, days = clean_table(seed)
        frame[name] = PLANTED[name](frame, won, days, np.random.default_rng(seed))
        found = verdicts(frame, won, days)
        assert found.pop(name) == "leak"
        assert set(found.values()) == {"clean"}


def test_probe__tells_shares_of_the_duration_from_shares_known_at_creation():
    frame, won, days = clean_table(1)
    spent = np.random.default_rng(1).dirichlet([1, 1, 1], N)
    spent[days == 0] = 0
    names = ["share_a", "share_b", "share_c"]
    found = verdicts(frame.drop(columns="hardware").assign(**dict(zip(names, spent.T, strict=True))), won, days)
    assert [found[name] for name in names] == ["leak"] * 3

    mix = frame.assign(software=1 - frame["hardware"])
    found = verdicts(mix, won, days)
    assert found["hardware"] == found["software"] == "suspect"


def test_probe__suspects_a_field_that_long_deals_fill_in():
    frame, won, days = clean_table(2)
    rng = np.random.default_rng(2)
    filled = rng.random(N) < 1 - np.exp(-days / 30)
    found = verdicts(frame.assign(competitor=np.where(filled, "known", "Unknown")), won, days)
    assert found["competitor"] == "suspect"
    assert found["segment"] == "clean"


def test_probe__says_unknown_where_nothing_can_be_said():
    frame, won, days = clean_table(3)
    frame = frame[["region"]].assign(id=[f"D{i}" for i in range(N)], constant=1)
    assert verdicts(frame, won, days) == {"region": "clean", "id": "unknown", "constant": "unknown"}
    few = probe_leaks(frame.head(50), won.head(50), duration=days.head(50))
    assert set(few["verdict"]) == {"unknown"}
    assert few["evidence"].str.contains("at least 200").all()


def test_probe__does_without_a_duration():
    frame, won, _ = clean_table(4)
    found = verdicts(frame.assign(result=np.where(won, "W", "L")), won, None)
    assert found.pop("result") == "leak"
    assert set(found.values()) == {"clean"}
