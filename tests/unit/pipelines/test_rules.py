from __future__ import annotations

from pathlib import Path

import pytest

from predictkpi.backtest.checks import GateRule
from predictkpi.errors import SettingsError
from predictkpi.kpis import get_kpi
from predictkpi.kpis.attainment import Bands
from predictkpi.pipelines.alerts import AlertRule
from predictkpi.pipelines.candidates import gate_rule
from predictkpi.pipelines.findings import MONITOR, MonitorRule
from predictkpi.pipelines.rules import ALERTS, TARGETS, read_rule

MODELS = Path(__file__).resolve().parents[3] / "models"


def test_rules__shipped_files_state_the_defaults():
    assert read_rule(Bands, MODELS / TARGETS) == Bands()
    assert read_rule(AlertRule, MODELS / ALERTS) == AlertRule()
    assert read_rule(MonitorRule, MODELS / MONITOR) == MonitorRule()


def test_rules__without_a_file_the_defaults_hold(tmp_path):
    assert read_rule(Bands, tmp_path / TARGETS) == Bands(red=0.9, green=1.0)


def test_bands__of_the_file_move_the_light(tmp_path):
    (tmp_path / TARGETS).write_text("red: 0.8\ngreen: 0.95\n")
    assert read_rule(Bands, tmp_path / TARGETS).light(get_kpi("revenue"), 0.96, -1.0) == "green"
    assert Bands().light(get_kpi("revenue"), 0.96, -1.0) == "amber"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("red: 1.2\n", r"targets\.yaml.*red=1\.2 must not be above green=1"),
        ("yellow: 1.0\n", r"targets\.yaml: yellow=1\.0: no such key; there are: red, green"),
        ("red: x\n", "red='x'"),
        ("- 1\n", "must be a mapping"),
    ],
)
def test_rules__refuse_a_wrong_file(tmp_path, text, message):
    (tmp_path / TARGETS).write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_rule(Bands, tmp_path / TARGETS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gate: {coverage_tolerence: 0.1}",
            r"evaluation\.yaml: gate\.coverage_tolerence=0\.1: no such key; there are: fewest_outcomes, .*coverage_tol",
        ),
        ("gate: {fewest_outcomes: many}", r"gate\.fewest_outcomes='many': Input should be a valid integer"),
        ("gate: 3", r"gate=3: "),
    ],
)
def test_gate_rule__refuses_a_wrong_file(tmp_path, text, message):
    (tmp_path / "evaluation.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        gate_rule(tmp_path)


def test_gate_rule__of_the_file_holds(tmp_path):
    assert gate_rule(tmp_path) == GateRule()
    (tmp_path / "evaluation.yaml").write_text("gate: {segment_outcomes: 50}\n")
    assert gate_rule(tmp_path) == GateRule(segment_outcomes=50)
