from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from predictkpi.cli import main
from predictkpi.core.types import Company
from predictkpi.store import Store
from toy import company

LIGHT = {"annotated_doc", "attr", "markdown_it", "mdurl", "predictkpi", "pygments", "rich", "shellingham", "typer", "typing_extensions"}
"""What `predictkpi --help` may import beside the standard library; attr comes with rich."""
COMMANDS = [
    "demo",
    "serve",
    "version",
    "ingest",
    "sync",
    "rejects",
    "doctor",
    "readiness",
    "kpis",
    "targets",
    "trends",
    "alerts",
    "train",
    "evaluate",
    "tune",
    "models",
    "promote",
    "scoreboard",
    "monitor",
    "retrain",
    "forecast",
    "pipeline",
    "changes",
    "reasons",
    "score",
    "webhooks",
    "write-back",
]

MAPPING = """\
company: {name: Toys, currency: EUR, time_zone: UTC}
feeds:
  - table: orders
    file: sales.csv
    dates: {format: "%Y-%m-%d"}
    columns: {order_id: order_id, ds: ds, customer_id: customer_id, amount: amount}
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """``cli("kpis", "--kpi", "revenue")`` -> (exit code, stdout, stderr), in a folder of its own with default settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["predictkpi", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        printed = capsys.readouterr()
        return int(code or 0), printed.out, printed.err

    return run


@pytest.fixture
def filled(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/var/predictkpi.db")
    store.migrate()
    store.load({"orders": company.orders(customers=20)}, company=Company(name="Toys"), now=pd.Timestamp("2024-01-03"))


def test_help__imports_only_what_is_light_and_lists_every_command():
    code = (
        "import sys\nsys.argv = ['predictkpi', '--help']\nfrom predictkpi.cli import main\n"
        "try:\n    main()\nexcept SystemExit as left:\n    code = left.code\n"
        "python = set(sys.stdlib_module_names) | {'__main__', '_distutils_hack', '_virtualenv', 'sitecustomize'}\n"
        "loaded = {name.split('.')[0] for name in sys.modules} - python\n"
        f"print('BEYOND', sorted(loaded - {LIGHT!r}), code)"
    )
    answer = python(code)
    assert answer.stdout.splitlines()[-1] == "BEYOND [] 0"
    assert all(f" {command} " in answer.stdout for command in COMMANDS)


def test_cli_package__imports_nothing_at_all_of_ours_or_others():
    answer = python("import sys, predictkpi.cli; print(sorted(m for m in sys.modules if m.startswith(('predictkpi.', 'typer', 'rich'))))")
    assert answer.stdout.strip() == "['predictkpi.cli']"


@pytest.mark.parametrize("command", COMMANDS)
def test_help__of_each_command_teaches_by_example(cli, command):
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert "Usage: predictkpi" in out
    if command not in ("version",):
        assert "Example" in out


def test_error__is_one_clear_line_on_stderr_and_exit_1(cli):
    code, out, err = cli("train", "nope")
    assert (code, out) == (1, "")
    assert err == "error: no predictor named 'nope'; there are: close_time, clv, revenue\n"


def test_error__debug_shows_the_trace():
    script = "from predictkpi.cli import main; main()"
    answer = python(script, "--debug", "promote", "nope", "1")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr
    assert "UnknownNameError" in answer.stderr


def test_error__of_the_system_is_one_clear_line_too(cli, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"sqlite:///{tmp_path}/file/facts.db")
    code, out, err = cli("kpis")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert "file" in err


def test_usage_error__exits_2(cli):
    code, _, err = cli("kpis", "--format", "xml")
    assert code == 2
    assert "xml" in err


def test_version__is_printed_alone(cli):
    assert cli("version")[:2] == (0, "0.1.0\n")


@pytest.mark.parametrize("arguments", [["kpis"], ["train", "clv"], ["score"], ["scoreboard"], ["evaluate", "clv"]])
def test_empty_store__says_how_to_fill_it(cli, arguments):
    code, out, err = cli(*arguments)
    assert (code, out) == (1, "")
    assert "predictkpi" in err
    assert "Traceback" not in err


def test_ingest__missing_mapping_exits_1(cli, tmp_path):
    code, out, err = cli("ingest", "--mapping", "none.yaml", "--source", str(tmp_path))
    assert (code, out) == (1, "")
    assert "none.yaml" in err


def test_ingest__prints_counts_and_first_rejects(cli, tmp_path):
    rows = company.orders(customers=2, months=3)[["order_id", "ds", "customer_id", "amount"]]
    rows = rows.assign(ds=rows["ds"].dt.strftime("%Y-%m-%d"), amount=rows["amount"].round(2).astype(str))
    rows.loc[0, "amount"] = "much"
    rows.to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "map.yaml").write_text(MAPPING)
    code, out, err = cli("ingest", "--mapping", "map.yaml", "--source", ".")
    assert code == 0, err
    assert "records = accepted + unchanged + rejected" in out
    assert "much" in out
    code, out, _ = cli("rejects", "--format", "csv")
    assert code == 0
    assert len(out.strip().splitlines()) == 2
    assert "much" in out


def test_ingest__says_how_many_records_the_files_state_as_deleted(cli, tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING + "    deleted: {amount: empty}\n")
    (tmp_path / "sales.csv").write_text("order_id,ds,customer_id,amount\n1,2024-01-02,a,5\n2,2024-01-03,a,5\n")
    assert "withdrawn" not in cli("ingest", "--mapping", "m.yaml", "--source", ".")[2]
    (tmp_path / "sales.csv").write_text("order_id,ds,customer_id,amount\n1,,,\n")
    code, _, err = cli("ingest", "--mapping", "m.yaml", "--source", ".")
    assert code == 0
    assert "1 records withdrawn that the files state as deleted" in err


@pytest.mark.usefixtures("filled")
def test_kpis__table_names_company_and_unit(cli):
    code, out, _ = cli("kpis", "--kpi", "revenue", "--periods", "2")
    assert code == 0
    assert "Toys: KPIs by period" in out
    assert "EUR" in out
    assert "2023-11-01" in out
    assert "2023-09-01" not in out


@pytest.mark.usefixtures("filled")
def test_kpis__machine_formats_are_clean(cli):
    code, out, _ = cli("kpis", "--kpi", "revenue", "--format", "json")
    records = json.loads(out)
    assert code == 0
    assert {record["kpi"] for record in records} == {"revenue"}
    assert records[0]["ds"] == "2022-01-01T00:00:00"
    code, out, _ = cli("kpis", "--kpi", "revenue", "--format", "csv")
    assert code == 0
    assert out.splitlines()[0] == "kpi,ds,dimension,member,value,low,high,n,status"
    assert len(out.strip().splitlines()) == len(records) + 1


@pytest.mark.usefixtures("filled")
def test_kpis__as_of_hides_what_came_later(cli):
    _, out, _ = cli("kpis", "--kpi", "revenue", "--as-of", "2022-07-01", "--format", "json")
    assert max(record["ds"] for record in json.loads(out)) == "2022-06-01T00:00:00"


@pytest.mark.usefixtures("filled")
def test_unreachable_mlflow__is_a_clear_error(cli, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    code, out, err = cli("models", "clv")
    assert (code, out) == (1, "")
    assert "http://127.0.0.1:1" in err
    assert "Traceback" not in err


def test_evaluation_file__of_the_repository_is_valid():
    from predictkpi.pipelines.candidates import fold_rule, make_model
    from predictkpi.predictors import predictor_names

    models_dir = Path(__file__).parents[3] / "models"
    for name in predictor_names():
        rule = fold_rule(make_model(name, models_dir).spec, models_dir)
        assert rule.gap in make_model(name, models_dir).spec.horizons


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", [("kpis",), ("train", "clv"), ("evaluate", "clv")])
def test_as_of__beyond_what_is_known_is_refused(cli, command):
    code, out, err = cli(*command, "--as-of", "2999-01-01")
    assert (code, out) == (1, "")
    assert "beyond what is known" in err


@pytest.mark.usefixtures("filled")
def test_models_dir__that_was_asked_for_must_be_there(cli, monkeypatch):
    monkeypatch.setenv("PREDICTKPI_MODELS_DIR", "nowhere")
    code, _, err = cli("train", "clv")
    assert code == 1
    assert "no folder nowhere" in err


def test_settings__a_misspelt_variable_is_an_error_that_names_it(cli, monkeypatch):
    monkeypatch.setenv("PREDICTKPI_DATABSE_URL", "sqlite:///elsewhere.db")
    code, _, err = cli("kpis")
    assert code == 1
    assert "PREDICTKPI_DATABSE_URL" in err
    assert "PREDICTKPI_DATABASE_URL" in err


def test_serve__says_which_port_is_taken_and_names_another(cli):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = cli("serve", "--port", str(port))
    assert code == 1
    assert f"--port {port + 1}" in err
