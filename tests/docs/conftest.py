"""A finished demo, made once a run by the command line itself: small, with few trees, in a folder of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FEW_TREES = {
    "revenue.yaml": "draws: 100\norigins: 2\npool_series: 4\n",
    "clv.yaml": "draws: 32\n",
    "close_time.yaml": "rounds: 12\nlandmark_budget: 1500\nmin_rows: 20\n",
    "outlook.yaml": "origins: 4\n",
    "evaluation.yaml": "".join(
        f"{name}: {{folds: 1, step: {step}, gap: {gap}}}\n"
        for name, step, gap in [("revenue", 6, 3), ("clv", 6, 6), ("close_time", 60, 60)]
    ),
}


@dataclass(frozen=True)
class Workplace:
    """A working directory with its environment; ``run`` is what a reader would type there."""

    path: Path
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command)
        if words[0].endswith("predictkpi"):
            words = [str(Path(sys.executable).with_name("predictkpi")), *words[1:]]
        environment = os.environ | self.environment
        return subprocess.run(words, cwd=self.path, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory) -> Workplace:
    path = tmp_path_factory.mktemp("demo")
    (path / "models").mkdir()
    for name, text in FEW_TREES.items():
        (path / "models" / name).write_text(text, encoding="utf-8")
    place = Workplace(path, {"COLUMNS": "140"})
    made = place.run("predictkpi demo --no-serve --customers 250")
    assert made.returncode == 0, made.stderr + made.stdout
    return place
