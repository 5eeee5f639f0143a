from __future__ import annotations

import sys

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from predictkpi.cli.app import app
from predictkpi.cli.tune import in_words, seconds
from predictkpi.core.types import Company
from predictkpi.errors import PredictKpiError, SettingsError
from predictkpi.pipelines.tune import Step
from predictkpi.store import Store
from toy import company

SETTINGS = "# by hand\nfactor: 1.6\n"


@pytest.fixture
def run(tmp_path, monkeypatch, registry, catalogue):
    """``run("tune", ...)`` -> (error or None, stdout, stderr) in a folder with the toy's orders and models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)
    (tmp_path / "models").mkdir()
    for name, text in {
        "evaluation.yaml": "toy: {folds: 2, step: 4, gap: 2}\n",
        "search.yaml": "toy: {factor: {kind: float, low: 0.8, high: 1.2}}\n",
        "toy.yaml": SETTINGS,
    }.items():
        (tmp_path / "models" / name).write_text(text)
    store = Store(f"sqlite:///{tmp_path}/var/predictkpi.db")
    store.migrate()
    store.load({"orders": company.orders()}, company=Company(name="Toys"), now=pd.Timestamp("2024-01-03"))

    def invoke(*arguments: str) -> tuple[BaseException | None, str, str]:
        answer = CliRunner().invoke(app, list(arguments))
        assert answer.exception is None or isinstance(answer.exception, PredictKpiError), answer.exception
        return answer.exception, answer.stdout, answer.stderr

    return invoke


def test_tune__prints_yaml_alone_and_writes_only_where_it_was_told(run, tmp_path):
    error, out, err = run("tune", "toy", "--trials", "2")
    assert error is None
    assert 0.8 <= yaml.safe_load(out)["factor"] <= 1.2
    assert out.startswith("# Found by predictkpi tune (run ")
    assert "trials: 2 complete" in err
    assert "better than the current ones on the held-out days" in err
    assert (tmp_path / "models" / "toy.yaml").read_text() == SETTINGS
    error, nothing, err = run("tune", "toy", "--trials", "2", "--write", "models/toy.yaml")
    assert (error, nothing) == (None, "")
    assert "the search goes on" in err
    assert "written to models/toy.yaml: predictkpi train toy" in err
    written = (tmp_path / "models" / "toy.yaml").read_text()
    assert yaml.safe_load(written) == yaml.safe_load(out)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["evaluation.yaml", "search.yaml", "toy.yaml"]


def test_tune__without_optuna_or_a_search_space_says_what_to_do(run, tmp_path, monkeypatch):
    (tmp_path / "models" / "search.yaml").unlink()
    assert "models/search.yaml: nothing to search for toy" in str(run("tune", "toy")[0])
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'predictkpi[tune]'" in str(run("tune", "toy")[0])


@pytest.mark.parametrize(("text", "expected"), [("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("1.5h", 5400.0)])
def test_budget__is_a_number_and_a_unit(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["10", "0m", "ten minutes", "-5m", "5d"])
def test_budget__anything_else_names_itself_and_examples(text):
    with pytest.raises(SettingsError, match=f"--budget {text}: .* 90s, 10m or 2h"):
        seconds(text)


def test_progress__says_trial_fold_and_best_so_far():
    assert in_words(Step(0, 0, 3, None)) == "current settings, fold 1/3"
    assert in_words(Step(7, 1, 3, 0.969)) == "trial 7, fold 2/3, best so far -3.1% loss"
