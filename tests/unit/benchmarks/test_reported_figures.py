"""How figures are judged, written and kept, and how all benchmarks are run: on files of a folder of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

import run as runner
from figures import kept
from figures.figure import PROMISED, Figure, Goal, Record
from figures.kept import command_of, gather, report
from figures.picture import svg
from figures.table import Run, markdown

ORIGIN = {"script": "benchmarks/a.py", "command": "python benchmarks/a.py", "measured": "2026-01-02", "quick": False}
MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_gb": None}


def made(**more: object) -> Figure:
    return Figure(**{"name": "a.error", "area": "Revenue", "what": "error, of a kind", "ours": 2.0} | more)


def recorded(figure: Figure) -> Record:
    return Record(figure=figure, machine=MACHINE, **ORIGIN)


@pytest.mark.parametrize(
    ("more", "reached"),
    [
        ({}, None),
        ({"goal": Goal(most=2.0)}, True),
        ({"goal": Goal(most=1.9)}, False),
        ({"goal": Goal(least=2.0, most=3.0)}, True),
        ({"ours": 2.004, "goal": Goal(most=2.0)}, True),
        ({"goal": Goal(of="ratio", most=0.5), "peer": 4.0}, True),
        ({"goal": Goal(of="ratio", least=0.51), "peer": 4.0}, False),
        ({"goal": Goal(of="ratio", most=1.0)}, None),
        ({"goal": Goal(least=1.0, low_above=0.0), "limits": (0.1, 3.0)}, True),
        ({"goal": Goal(least=1.0, low_above=0.0), "limits": (-0.1, 3.0)}, False),
        ({"goal": Goal(least=1.0, low_above=0.0)}, False),
    ],
)
def test_goal__is_reached_as_shown(more, reached):
    assert made(**more).is_reached is reached


def test_figure__writes_its_numbers_alike_everywhere():
    figure = made(ours=-0.001, unit="%", digits=1, limits=(-1234.56, 2.0), peer=1500.0, peer_name="Theirs")
    assert figure.ours_shown == "0.0 % (-1,234.6 to 2.0)"
    assert figure.peer_shown == "1,500.0 % Theirs"
    assert made(peer=0.1, peer_name="Theirs").ratio_shown == "20"
    assert made(peer=4.0, peer_name=PROMISED).ratio is None


def test_record__comes_back_from_json():
    record = recorded(made(goal=Goal(of="ratio", most=1.0), limits=(1.0, 3.0), peer=4.0))
    assert Record.of_json(json.loads(json.dumps(record.as_json()))) == record


def test_record__of_numpys_numbers_can_be_written():
    figure = made(ours=np.float64(2.0), peer=np.int64(4), limits=tuple(np.array([1.0, 3.0])), goal=Goal(most=np.float64(3.0)))
    assert json.loads(json.dumps(recorded(figure).as_json()))["reached"] is True


def test_command__holds_no_place_of_this_machine():
    said = [
        "/home/me/benchmarks/ingest.py",
        "--folder",
        "/data",
        "--bentoml=/opt/python",
        "--database-url",
        "postgresql://me:secret@host/db",
        "--quick",
    ]
    assert command_of(said) == "python benchmarks/ingest.py --database-url postgresql://... --quick"


def test_report__replaces_what_it_names_and_leaves_the_rest(tmp_path):
    report("a.py", [made(), made(name="a.other")], quick=False, folder=tmp_path)
    report("a.py", [made(ours=3.0)], quick=False, folder=tmp_path)
    assert {record.figure.name: record.figure.ours for record in gather(tmp_path)} == {"a.error": 3.0, "a.other": 2.0}


def test_report__of_a_quick_run_touches_no_full_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    report("a.py", [made()], quick=True)
    assert not gather(tmp_path)
    assert [record.quick for record in gather(tmp_path / "quick")] == [True]


def test_gather__leaves_files_of_other_forms_alone_and_orders_by_area(tmp_path):
    (tmp_path / "other.json").write_text('{"rows": []}')
    report("b.py", [made(name="b.new", area="Quite new"), made(name="b.data", area="Data")], quick=False, folder=tmp_path)
    report("c.py", [made(name="c.revenue")], quick=False, folder=tmp_path)
    assert [record.figure.name for record in gather(tmp_path)] == ["c.revenue", "b.data", "b.new"]


def test_table__names_peers_goals_machines_and_what_was_left_out():
    records = [recorded(made(peer=4.0, peer_name="Theirs", goal=Goal(most=1.0), unit="s"))]
    text = markdown(records, [Run("b.py", "failed", 1.0, "exit code 3: no | luck"), Run("c.py", "done", 1.0)])
    assert "| 2.00 s | 4.00 s Theirs | 0.50 | **at most 1 s: missed** | 2026-01-02, A | `python benchmarks/a.py` |" in text
    assert "| `b.py`: failed | exit code 3: no \\| luck |" in text
    assert "c.py" not in text
    assert text.endswith("Machines: A: Some CPU, 2 cores.\n")


def test_pictures__leave_out_what_stands_beside_nothing():
    page = svg([recorded(made(what="shown < here", goal=Goal(most=3.0))), recorded(made(name="a.alone", what="alone"))])
    assert "shown &lt; here" in page
    assert "alone" not in page


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder of three benchmarks: one fails, one is not at hand, one says something."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    texts = {
        "broken": "raise SystemExit('no luck in ' + __file__)",
        "fine": "import sys; print('fine', *sys.argv[1:])",
        "skipped": "print('data: skipped: nothing at hand')",
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(f'if __name__ == "__main__":\n    {text}\n')
    (folder / "part.py").write_text("")
    monkeypatch.setattr(runner, "HERE", folder)
    return folder


def test_run__goes_on_after_a_failure_and_says_what_was_left_out(bench, capsys):
    found = runner.run_all(runner.chosen(None), quick=True)
    assert [(each.script, each.outcome) for each in found] == [("broken.py", "failed"), ("fine.py", "done"), ("skipped.py", "left out")]
    assert found[0].reason == "exit code 1: no luck in ./benchmarks/broken.py"
    assert found[2].reason == "data: skipped: nothing at hand"
    assert "fine --quick" in capsys.readouterr().out


def test_run__publishes_table_and_pictures_and_fails_if_a_script_did(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr("sys.argv", ["run.py", "--quick", "--only", "broken", "--only", "fine"])
    with pytest.raises(SystemExit) as left:
        runner.main()
    assert left.value.code == 1
    assert "`broken.py`: failed" in (tmp_path / "quick" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "quick" / "figures.svg").exists()


def test_only__of_an_unknown_name_tells_the_known_ones(bench):
    with pytest.raises(SystemExit, match=r"no benchmark is called nothing; there are broken, fine, skipped"):
        runner.chosen(["nothing"])
