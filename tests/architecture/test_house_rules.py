"""Rules of the house that a machine can hold: sizes, the clock, pickles, names, layers that tools cannot see."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "predictkpi"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
CLOCK_FREE = (
    "core",
    "tables",
    "kpis",
    "hygiene",
    "features",
    "metrics",
    "predictors",
    "backtest",
    "registry",
    "store",
    "sources",
    "delivery",
    "synthetic",
)
CLOCK_CALLS = {"now", "utcnow", "today", "time", "time_ns"}
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "tools"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    has_docstring = ast.get_docstring(function) is not None and len(function.body) > 1
    return function.end_lineno - function.body[1 if has_docstring else 0].lineno + 1


def test_files_were_found():
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file__keeps_the_ceilings(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    too_long = {function.name: _body_lines(function) for function in _functions(_tree(path)) if _body_lines(function) > MAX_FUNCTION_LINES}
    assert not too_long


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file__has_a_telling_name_and_a_docstring(path):
    assert path.stem not in VAGUE_NAMES
    assert ast.get_docstring(_tree(path)), "a module says what it is for"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file__reads_no_clock_below_the_pipelines(path):
    if path.relative_to(SOURCE).parts[0] not in CLOCK_FREE and path.parent != SOURCE:
        return
    called = {
        f"{ast.unparse(node.func)}"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS
    }
    of_the_clock = {name for name in called if name.split(".")[-2].lower() in {"datetime", "timestamp", "date", "time", "dt"}}
    assert not of_the_clock


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file__imports_no_pickle(path):
    imported = {
        name.split(".")[0]
        for node in ast.walk(_tree(path))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file__keeps_public_names_sorted(path):
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            names = ast.literal_eval(node.value)
            assert names == sorted(names)


def test_settings__are_read_only_at_the_edge():
    readers = {
        path.relative_to(SOURCE).parts[0]
        for path in FILES
        if path.name != "settings.py" and "predictkpi.settings" in path.read_text(encoding="utf-8")
    }
    assert readers <= {"cli", "service", "pipelines"}


def test_mlflow_folder__does_not_hide_the_library():
    assert not (ROOT / "mlflow" / "__init__.py").exists()


def test_layers__name_every_package():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    named = {name.strip().removeprefix("predictkpi.") for layer in contracts[0]["layers"] for name in layer.split("|")}
    there = {
        path.stem if path.is_file() else path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there - {"__init__", "__main__"} == named


def test_requirements__name_no_index_and_hash_every_pin():
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index-url" not in text
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert all(pin.endswith("\\") for pin in pins), "every pin carries hashes"


def test_test_files__have_names_of_their_own():
    """pytest imports them by name: of two alike the second would not be collected where both are."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_tests__wait_for_what_happens_and_never_for_time():
    waiting = [path.name for path in (ROOT / "tests").rglob("*.py") if re.search(r"\btime\.sleep\(", path.read_text(encoding="utf-8"))]
    assert waiting == []
