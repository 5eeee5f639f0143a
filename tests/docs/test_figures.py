"""What README and tables say of how good it is stands in the files of figures, and every figure's command can be typed."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from figures.figure import Record
from figures.kept import RESULTS, gather, gathered
from figures.picture import svg
from figures.table import markdown
from run import last_runs, scripts

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| \[(?P<what>[^\]]+)\]\(benchmarks/results/README\.md#(?P<name>[^)]+)\) \| (?P<ours>[^|]*) \| (?P<beside>[^|]*)\|$", re.M
)
ROWS = [match.groupdict() for match in ROW.finditer(README)]
RECORDS = gathered(RESULTS)
BY_NAME = {record.figure.name: record for record in RECORDS}


@cache
def _options(script: str) -> set[str]:
    """The options that a script's ``--help`` lists."""
    calls = [node for node in ast.walk(ast.parse((ROOT / script).read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    adds = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    hidden = [call for call in adds if any(each.arg == "help" and "SUPPRESS" in ast.unparse(each.value) for each in call.keywords)]
    return {each.value for call in adds if call not in hidden for each in call.args if isinstance(each, ast.Constant)}


def _numbers(text: str) -> list[str]:
    return re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)


def test_readme__has_a_table_of_figures():
    section = README.partition("## How good is it?")[2].partition("\n## ")[0]
    assert 8 <= len(ROWS) == section.count("\n| [") <= 12


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_readme__says_what_the_figure_says(row):
    figure = BY_NAME[row["name"]].figure
    assert row["ours"].strip() == figure.ours_shown
    assert row["beside"].strip() == figure.peer_shown


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_readme__numbers_in_words_are_the_figures(row):
    assert set(_numbers(row["what"])) <= set(_numbers(BY_NAME[row["name"]].figure.what))


def test_readme__tells_how_many_goals_were_reached():
    goals = [record.figure.is_reached for record in RECORDS if record.figure.is_reached is not None]
    assert f"{goals.count(True)} of {len(goals)} are" in README


def test_links__to_figures_have_a_row():
    pages = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"results/README\.md#([\w.]+)", page.read_text(encoding="utf-8"))}
    assert named and named <= BY_NAME.keys()


def test_figures__are_those_of_the_scripts_files():
    assert gather(RESULTS) == RECORDS
    assert [Record.of_json(record.as_json()) for record in RECORDS] == RECORDS


def test_table_and_pictures__are_what_their_generators_make_of_the_figures():
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == markdown(RECORDS, last_runs(RESULTS))
    assert (RESULTS / "figures.svg").read_text(encoding="utf-8") == svg(RECORDS)


def test_figures__have_names_of_their_own_that_begin_with_their_script():
    assert len(BY_NAME) == len(RECORDS)
    assert not [each.figure.name for each in RECORDS if not each.figure.name.startswith(f"{Path(each.script).stem}.")]


def test_commands__name_scripts_and_options_that_exist():
    wrong = []
    for command in {record.command for record in RECORDS}:
        python, script, *arguments = shlex.split(command)
        assert python == "python" and (ROOT / script).is_file(), command
        wrong += [f"{command}: {word}" for word in arguments if word.startswith("--") and word not in _options(script)]
    assert not wrong


def test_figures__tell_nothing_of_whose_machine_it_was():
    words = [word for record in RECORDS for word in shlex.split(record.command)]
    assert not [word for word in words if word.startswith(("/", "~")) or "@" in word]
    assert all(set(record.machine) == {"cpu", "cores", "memory_gb"} for record in RECORDS)


def test_figures__of_full_runs_are_dated():
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", record.measured) for record in RECORDS)


def test_benchmarks_readme__names_every_script():
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert not [file.name for file in scripts() if f"`{file.name}`" not in told]
