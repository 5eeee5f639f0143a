"""Machine code on disk is used again, and never after anything it was made of has changed, whichever file that stands in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from predictkpi.core import compiled

CALLEE = """
from predictkpi.core.compiled import compiled
from toy.constants import FACTOR

@compiled
def scaled(x):
    return FACTOR * x
"""
CALLER = """
from predictkpi.core.compiled import compiled
from toy import (
    callee,
)
from toy.callee import scaled

@compiled
def answer(x):
    return scaled(x) + 1
"""
ASK = "from toy.caller import answer; print(answer(1), sum(answer.stats.cache_hits.values()))"
SOURCES = {"__init__": "", "constants": "FACTOR = 2", "callee": CALLEE, "caller": CALLER}


def ask(folder: Path) -> tuple[str, ...]:
    """The caller's answer in a process of its own, and how many compiled functions it found on disk."""
    path = os.pathsep.join([str(folder), str(Path(compiled.__file__).parents[2])])
    environment = os.environ | {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "code"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def test_code_on_disk__is_used_only_while_all_its_sources_are_the_same(tmp_path):
    package = tmp_path / "toy"
    package.mkdir()
    for name, source in SOURCES.items():
        (package / f"{name}.py").write_text(source)
    assert [ask(tmp_path), ask(tmp_path)] == [("3", "0"), ("3", "1")]
    (package / "callee.py").write_text(CALLEE.replace("FACTOR * x", "FACTOR * x + 10"))
    assert ask(tmp_path) == ("13", "0")


def test_sources_digest__of_a_module_is_of_what_it_imports_too(tmp_path, monkeypatch):
    package = tmp_path / "toy_sources"
    package.mkdir()
    for name, source in {"__init__": "", "a": "from toy_sources import (\n    b,\n)\n", "b": "X = 1\n", "c": "Y = 1\n"}.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("a", "c"):
        __import__(f"toy_sources.{name}")

    def told() -> tuple[str, str]:
        compiled._source.cache_clear()
        return compiled.sources_digest("toy_sources.a"), compiled.sources_digest("toy_sources.c")

    before = told()
    assert told() == before
    (package / "b.py").write_text("X = 2\n")
    after = told()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_folder_that_cannot_be_written__is_said(monkeypatch, caplog):
    def without_cache(*, cache: bool = False, **_: object):
        if cache:
            raise RuntimeError("no locator")
        return lambda function: function

    def double(x):
        return 2 * x

    monkeypatch.setattr(compiled, "njit", without_cache)
    assert compiled.compiled(double)(2) == 4
    assert "double is compiled anew at each start: no locator" in caplog.text
