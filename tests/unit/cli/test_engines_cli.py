"""`--engine` and `predictkpi export-facts`, as far as they go without Spark."""

from __future__ import annotations

import pandas as pd
import pytest
from typer.testing import CliRunner

from predictkpi.cli.app import app
from predictkpi.cli.engines import engine_of
from predictkpi.cli.options import Where
from predictkpi.errors import SettingsError
from predictkpi.settings import Settings


@pytest.fixture
def run(sample_store, monkeypatch, tmp_path):
    """``run("export-facts", ...)`` -> (result, what was printed or the error) on the sample company."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", sample_store.url.render_as_string())

    def invoke(*arguments: str):
        answer = CliRunner().invoke(app, list(arguments))
        return answer.exit_code, answer.stdout if answer.exit_code == 0 else str(answer.exception)

    return invoke


@pytest.fixture
def opened(sample_store):
    """Open an engine with these options."""

    def opened(where, **options):
        options = {"as_of": None, "master": None, "facts": None, "spark_conf": None} | options
        with engine_of(where, sample_store, None, Settings(), **options) as engine:
            return engine.name

    return opened


def test_export__writes_each_table_and_tells_the_versions(run, sample_store, tmp_path):
    code, printed = run("export-facts", "lake")
    assert code == 0
    orders = pd.read_parquet(tmp_path / "lake" / "orders")
    assert len(orders) == len(sample_store.snapshot().history("orders"))
    assert f"{len(orders):,}" in printed


def test_export__does_not_mix_two_exports(run):
    assert run("export-facts", "lake")[0] == 0
    assert run("export-facts", "lake") == (1, "lake: is there and not empty: facts of two exports must not be mixed; name another folder")


def test_engine__is_this_machine_unless_said_otherwise(opened):
    assert opened(Where.LOCAL) == "local"


@pytest.mark.parametrize(
    ("where", "options", "told"),
    [
        (Where.LOCAL, {"master": "local[2]", "facts": "parquet:x"}, "--master, --facts: only with --engine spark"),
        (Where.SPARK, {"spark_conf": ["memory=4g"]}, "--spark-conf memory=4g: write a setting of Spark's own as name=value"),
        (Where.SPARK, {"spark_conf": ["spark.memory"]}, "--spark-conf spark.memory: write a setting"),
        (Where.SPARK, {"master": "spark://host:7077"}, "do not see the folders of this machine: write the facts where they do"),
    ],
)
def test_engine__refuses_what_makes_no_sense(opened, where, options, told):
    with pytest.raises(SettingsError, match=told.replace("(", r"\(")):
        opened(where, **options)


@pytest.mark.parametrize("options", [["--entity", "total"], ["--freq", "Q"], ["--horizons", "3"]])
def test_forecast__on_spark_is_of_everybody(run, options):
    code, error = run("forecast", "revenue", "--engine", "spark", *options)
    assert code == 1
    assert error.startswith("--engine spark forecasts everybody")


def test_forecast__takes_options_of_spark_with_it_only(run):
    assert run("forecast", "revenue", "--facts", "parquet:x") == (1, "--master, --facts and --spark-conf are for --engine spark")
