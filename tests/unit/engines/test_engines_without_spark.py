"""What is said where Spark is not at hand, or is asked for what it cannot do."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from predictkpi.engines.local import checked_folder
from predictkpi.engines.places import export_facts, told_by
from predictkpi.engines.session import open_session
from predictkpi.errors import SettingsError
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import TABLES


def test_session__without_the_extra_names_the_command_that_installs_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyspark"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(SettingsError, match=r"PySpark is not installed; install .*pip install 'predictkpi\[spark\]'.*Java 17"):
        open_session("local[2]")


def test_export__holds_every_version_and_leaves_empty_tables_out(snapshot, tmp_path):
    heard = []
    counts = export_facts(snapshot, tmp_path, on_table=lambda *told: heard.append(told))
    assert [name for name, _, _ in heard] == list(TABLES)
    tables = {name: pd.read_parquet(tmp_path / name / "facts.parquet") for name in counts}
    assert set(counts) == {name for name in TABLES if len(snapshot.history(name))} == {place.name for place in tmp_path.iterdir()}
    again = Snapshot(MemoryFacts(tables, snapshot.company), snapshot.as_of)
    for name in counts:
        assert counts[name] == len(snapshot.history(name))
        pd.testing.assert_frame_equal(again.table(name), snapshot.table(name), check_dtype=False)


def test_folder__with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(SettingsError, match="holds other files than predictions"):
        checked_folder(str(tmp_path))
    assert checked_folder(str(tmp_path / "new")) == tmp_path / "new"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["An error occurred while calling o42.collect.", ": a.B: no room"],
            "a.B: no room",
        ),
        (
            [
                "SparkException: Exception thrown in awaitResult: ",
                "\tat x.y(Z.scala:1)",
                "Caused by: a.B: outer",
                "Caused by: a.C: the heap is full",
            ],
            "SparkException: Exception thrown in awaitResult, because of a.C: the heap is full",
        ),
        (["SparkException: the heap is full", "Caused by: SparkException: the heap is full"], "SparkException: the heap is full"),
    ],
)
def test_told_by__names_the_innermost_cause(lines, told):
    assert told_by(RuntimeError("\n".join(lines))) == told
