"""The benchmark of sizes: exponents and cells by hand, a budget that holds, and a small company through its steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import scale
from predictkpi.predictors import predictor_names
from predictkpi.store import Store
from scaling.budget import Budget, within
from scaling.company import PART, parts, write_company
from scaling.growth import exponent, growth, table, told
from scaling.headline import headline
from scaling.local import Place, ingest_in_loads
from scaling.steps import IN_LOADS, STEPS, WHOLE

ROW = {"step": "ingest", "engine": "local", "load": 1.0}


def row(customers, **values):
    """A step that came to an end: a second and a GB, of which a quarter at its start, a row of facts a customer."""
    done = {"seconds": 1.0, "cpu_seconds": 1.0, "peak_gb": 1.0, "start_gb": 0.25, "facts": customers, "parts": {}}
    return ROW | {"customers": customers} | done | values


def test_exponent__is_the_power_of_the_size():
    assert exponent([10, 100, 1000], [3 * size**1.5 for size in (10, 100, 1000)]) == pytest.approx(1.5)
    assert exponent([10], [1.0]) is None


def test_growth__of_memory_is_what_comes_on_top_and_unfinished_steps_do_not_count():
    rows = [row(10), row(1000, cpu_seconds=100.0, peak_gb=0.25 + 7.5), row(10_000, over="12 GB", seconds=9.0)]
    assert growth(rows) == pytest.approx({"time": 1.0, "memory": 0.5})


def test_table__has_a_column_a_size_and_says_what_met_its_limit():
    rows = [row(1000, cpu_seconds=0.8), row(2000, over="20 min", seconds=1200.0), row(2000, step="snapshot", seconds=123.4)]
    head, _, *lines = table(rows).splitlines()
    assert head == "| step | 1,000 customers, 0.001 million rows | 2,000 customers, 0.002 million rows | growth of time | of memory |"
    assert lines[0] == "| ingest | 1.0 s (0.8 s), 1.00 GB | over 20 min after 1,200 s |  |  |"
    assert lines[1].startswith("| snapshot |  | 123 s (1.0 s), 1.00 GB |")


def test_told__names_the_size_of_a_model_that_is_not_the_companys_own():
    assert told(row(2000, parts={"model of customers": 1000})).endswith("by the model of 1,000")
    assert "model" not in told(row(2000, parts={"model of customers": 2000}))


def test_headline__says_what_a_step_took_and_what_it_took_too_much_of():
    rows = [row(1000), row(100_000, cpu_seconds=10.0), row(1_000_000, over="12 GB", seconds=300.0, peak_gb=12.004)]
    figures = {each.name.removeprefix("scale.ingest.local."): each for each in headline(rows)}
    assert (figures["1000.seconds"].goal, figures["1000.seconds"].ours_shown, figures["1000.memory"].ours_shown) == (None, "1 s", "1.0 GB")
    assert "1000000.seconds" not in figures
    assert figures["1000000.memory"].is_reached is False and "not through" in figures["1000000.memory"].note
    assert figures["growth_of_time"].ours == pytest.approx(0.5)
    late = {
        each.name: each
        for each in headline([row(1_000_000, over="20 min", seconds=1200.05), row(1_000_000, step="snapshot", seconds=61.0)])
    }
    assert set(late) == {"scale.ingest.local.1000000.seconds", *(f"scale.snapshot.local.1000000.{name}" for name in ("seconds", "memory"))}
    assert late["scale.ingest.local.1000000.seconds"].is_reached is False
    assert late["scale.snapshot.local.1000000.seconds"].is_reached


def test_parts__are_equal_and_none_is_too_large():
    assert sum(parts(100_001)) == 100_001
    assert max(parts(100_001)) <= PART
    assert max(parts(100_001)) - min(parts(100_001)) <= 1


@pytest.mark.parametrize(("code", "limit"), [("held = bytearray(10**9); Event().wait(60)", "0.5 GB"), ("Event().wait(60)", "0.01 min")])
def test_within__ends_what_takes_more(code, limit):
    found = within(Budget(minutes=0.01 if "min" in limit else 1, gb=0.5), [sys.executable, "-c", f"from threading import Event; {code}"])
    assert found["over"] == limit
    assert found["seconds"] < 30


def test_within__tells_why_a_step_failed():
    found = within(Budget(minutes=1, gb=1), [sys.executable, "-c", "raise SystemExit('no such luck')"])
    assert "no such luck" in found["failed"]


def test_keep__replaces_figures_of_the_same_step_and_size_only(tmp_path):
    file = tmp_path / "results" / "scale.json"
    scale.keep([row(1000), row(2000)], file)
    kept = scale.keep([row(1000, seconds=7.0)], file)
    assert [(each["customers"], each["seconds"]) for each in kept] == [(1000, 7.0), (2000, 1.0)]
    assert "cores" in json.loads(file.read_text(encoding="utf-8"))["machine"]


def test_company__of_several_parts_is_loaded_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("scaling.company.PART", 40)
    rows = write_company(tmp_path / "70", 70)
    ids = pd.read_parquet(tmp_path / "70" / "customers.parquet")["customer_id"]
    assert set(ids.str.slice(0, 5)) == {"P000-", "P001-"}
    (tmp_path / "70" / scale.ROWS).write_text(json.dumps(rows), encoding="utf-8")
    script = Path(scale.__file__)
    command = [sys.executable, str(script), "--customers", "70", "--folder", str(tmp_path), "--results", str(tmp_path / "scale.json")]
    done = subprocess.run([*command, "--steps", f"ingest,{IN_LOADS},snapshot"], capture_output=True, text=True, timeout=120, check=True)
    assert "| ingest |" in done.stdout
    assert IN_LOADS not in done.stdout
    found = {each["step"]: each for each in json.loads((tmp_path / "scale.json").read_text(encoding="utf-8"))["rows"]}
    assert found["ingest"]["rows"] == found["ingest"]["facts"] == sum(rows.values())
    assert Store(f"sqlite:///{tmp_path}/70/facts.db").counts()["deal_events"] == rows["deal_events"]
    monkeypatch.setattr("scaling.local.LOAD_ROWS", 1000)
    assert ingest_in_loads(Place(tmp_path / "70")) == sum(rows.values())
    store = Place(tmp_path / "70").store
    assert store.counts()["deal_events"] == rows["deal_events"]
    assert len(store.loads()) == len(rows) + 2  # events and activities in two loads each: a part is never cut
    assert 0.05 < found["snapshot"]["start_gb"] < found["snapshot"]["peak_gb"] < 2


def test_steps__cover_all_predictors_by_every_engine_that_is_named():
    trained, scored = ({name.split()[1] for name in STEPS if name.startswith(f"{verb} ") and name != WHOLE} for verb in ("train", "score"))
    assert trained == scored == set(predictor_names())


def test_words__refuses_what_is_unknown():
    with pytest.raises(SystemExit, match="unknown: ingst; there are: ingest"):
        scale.words("ingst", known=tuple(STEPS))
