from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from predictkpi.cli.app import app


@pytest.fixture
def run(sample_store, monkeypatch, tmp_path):
    """``run("targets", ...)`` -> (exit code, stdout, stderr) on the sample company, with default rules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", sample_store.url.render_as_string())

    def invoke(*arguments: str) -> tuple[int, str, str]:
        answer = CliRunner().invoke(app, list(arguments))
        return answer.exit_code, answer.stdout, answer.stderr

    return invoke


def test_targets__show_light_and_pace_of_the_running_month(run):
    code, out, _ = run("targets", "--kpi", "revenue", "--as-of", "2025-08-20", "--periods", "1")
    assert code == 0
    assert "M 2025-08-01 running" in out
    assert "region=EMEA" in out


def test_targets__as_csv_are_all_of_them_at_the_length_asked_for(run):
    code, out, _ = run("targets", "--kpi", "revenue", "--freq", "Q", "--format", "csv")
    frame = pd.read_csv(io.StringIO(out))
    assert code == 0
    assert set(frame["freq"]) == {"Q"}
    assert len(frame[frame["scope"] == "total"]) == 16


def test_alerts__exit_code_tells_only_with_fail(run, tmp_path):
    """At a level of 50 % half of the months are alerts; with December the fourth quarter ends."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "alerts.yaml").write_text("level: 0.5\ndraws: 1000\norigins: 6\n")
    arguments = ("alerts", "--kpi", "revenue", "--periods", "2", "--format", "json")
    code, out, err = run(*arguments)
    found = json.loads(out)
    assert (code, err) == (0, f"{len(found)} alerts in 3 periods that could be judged, of 3 watched\n")
    assert found
    assert run(*arguments, "--fail")[0] == 3
    everything = run("alerts", "--kpi", "revenue", "--periods", "2", "--all")[1]
    assert "quarter from 2025-10" in everything and "2025-11" in everything


def test_alerts__without_any_exit_0_even_with_fail(run):
    code, out, err = run("alerts", "--kpi", "clv_realised", "--periods", "1", "--fail")
    assert (code, out) == (0, "")
    assert err == "0 alerts in 0 periods that could be judged, of 1 watched\n"


def test_trends__name_the_months_and_the_verdict(run):
    code, out, _ = run("trends", "--kpi", "revenue", "--format", "json")
    row = json.loads(out)[0]
    assert code == 0
    assert (row["kpi"], row["months"]) == ("revenue", 48)
    assert 0 <= row["p_value"] <= 1
    assert "change a year" in run("trends", "--kpi", "revenue")[1]
