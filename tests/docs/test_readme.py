"""What the README tells a reader to type is typed here, on a small demo.

Its figures are those of the default demo and are not compared; the headings and row names of its tables, and the members of its JSON, are.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
import yaml

from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n\$ (.+)\n((?:.*\n)*?)```", README)
LOCAL = [(command, printed) for command, printed in CONSOLE if command.startswith(".venv") and not command.endswith("serve")]
REQUESTS = [(command, printed) for command, printed in CONSOLE if command.startswith("curl")]


def _labels(printed: str) -> set[str]:
    """Title, headings and first cells of the table that the README shows, and of those below it; dates, figures and rules aside."""
    lines = printed.splitlines()
    rule = next(number for number, line in enumerate(lines) if "──" in line)
    rows = [line for line in lines[rule + 1 :] if line.strip() and "──" not in line]
    cells = [lines[0], *re.split(r"  +", lines[rule - 1].strip()), *(re.split(r"  +", row.strip())[0] for row in rows)]
    return {cell for cell in cells if cell and not re.search(r"\d", cell)}


def _members(text: str) -> set[str]:
    return set(re.findall(r'"(\w+)":', text))


def test_readme__has_commands_to_try():
    assert len(LOCAL) >= 3
    assert len(REQUESTS) >= 3


def test_readme__two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+) ", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize(("command", "printed"), LOCAL, ids=[command.removeprefix(".venv/bin/") for command, _ in LOCAL])
def test_readme__command_runs_and_prints_what_it_says(demo_folder, command, printed):
    done = demo_folder.run(command)
    assert done.returncode == 0, done.stderr
    labels = _labels(printed)
    assert len(labels) >= 5
    printed_now = " ".join(done.stdout.split())
    assert not {label for label in labels if " ".join(label.split()) not in printed_now}


def test_demo__again_changes_nothing(demo_folder):
    before = demo_folder.run("predictkpi models").stdout
    done = demo_folder.run("predictkpi demo --no-serve --customers 250")
    assert done.returncode == 0, done.stderr
    assert "trained before" in done.stdout + done.stderr
    assert demo_folder.run("predictkpi models").stdout == before


@pytest.fixture(scope="module")
def address(demo_folder) -> Iterator[str]:
    """The service as the README starts it, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("predictkpi")), "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=demo_folder.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 120
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            while time.monotonic() < deadline:
                assert server.poll() is None, "the service ended at once"
                try:
                    if client.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    continue
        yield f"127.0.0.1:{port}"
        server.terminate()


@pytest.mark.parametrize(("command", "printed"), REQUESTS, ids=[str(number) for number in range(len(REQUESTS))])
def test_readme__request_is_answered_as_shown(demo_folder, address, command, printed):
    command = command.replace("127.0.0.1:8000", address)
    if "D03607" in command:
        some_deal = demo_folder.run("predictkpi forecast close_time --format json").stdout
        command = command.replace("D03607", re.search(r'"(D\d+)"', some_deal)[1])
    done = demo_folder.run(command)
    assert done.returncode == 0
    assert _members(printed) >= {"predictor", "label"} or "type" in _members(printed)
    assert _members(printed) <= _members(done.stdout)


def test_readme__mapping_loads(tmp_path):
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL) if "feeds:" in text)
    assert yaml.safe_load(block)["feeds"]
    path = tmp_path / "acme.yaml"
    path.write_text(block, encoding="utf-8")
    files = {
        "invoices.csv": "Invoice No,Account,Invoice Date,Net\n1,a,2024-01-05,10\n",
        "opportunities.csv": "Id,Account,Created,Lead Source\nd,a,2024-01-01,web\n",
        "stage_history.csv": "Opportunity,Changed,Stage,Amount,Owner,Close Date\nd,2024-01-02,Closed Won,5,Ann,2024-02-01\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.migrate()
    report = ingest(store, mapping=path, source=tmp_path, now=pd.Timestamp("2024-03-01"))
    assert [feed.accepted for feed in report.feeds] == [1, 1, 1]
    assert store.snapshot().deal_events["stage"].tolist() == ["won"]
