"""A fourth predictor is one folder and one line: the conformance suite takes examples/churn as it takes the other three."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from predictkpi.predictors import predictor_names

ROOT = Path(__file__).resolve().parents[2]


def test_example__is_not_in_the_catalogue_that_is_shipped():
    assert "churn" not in predictor_names()
    assert not (ROOT / "src" / "predictkpi" / "predictors" / "churn").exists()


def test_conformance__accepts_the_example_unchanged():
    paths = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    suite = ["tests/conformance/test_predictors.py", "-k", "churn", "-p", "fourth_predictor.listed", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *suite],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|xfailed)", done.stdout)}
    assert counts.keys() == {"passed"}
    assert counts["passed"] >= 40
