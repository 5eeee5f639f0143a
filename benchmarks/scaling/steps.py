"""What is measured, by step and engine: the one place where another engine is added."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from predictkpi.predictors import predictor_names
from scaling import local, on_spark
from scaling.budget import own_cpu_seconds, own_peak_gb
from scaling.local import LOAD_ROWS, Place

Step = Callable[[Place], int]
"""Does the work in a company's folder; how many rows came of it."""

LOCAL, SPARK = "local", "spark"
IN_LOADS = "ingest in loads of 10 million rows"
WHOLE = "train all with backtest"


def _both(here: Callable[..., int], there: Callable[..., int], name: str) -> dict[str, Step]:
    """One predictor's step on both engines."""
    return {LOCAL: partial(here, predictor=name), SPARK: partial(there, predictor=name)}


STEPS: Mapping[str, Mapping[str, Step]] = {
    "ingest": {LOCAL: local.ingest_files},
    IN_LOADS: {LOCAL: local.ingest_in_loads},
    "snapshot": {LOCAL: local.read_snapshot},
    **{f"train {name}": _both(local.train_one, on_spark.train_one, name) for name in predictor_names()},
    **{f"score {name}": _both(local.score_one, on_spark.score_one, name) for name in predictor_names()},
    WHOLE: {LOCAL: local.train_with_backtest},
}
"""In the order in which they must run. An engine that has nothing of its own for a step is not named there, and the step is passed over."""


def is_due(step: str, *, facts: int, is_smallest: bool) -> bool:
    """Whether a step is measured at a size: loads where there are several, tests on the past at the smallest."""
    if step == IN_LOADS:
        return facts > LOAD_ROWS
    return is_smallest or step != WHOLE


ENGINES = tuple(dict.fromkeys(engine for engines in STEPS.values() for engine in engines))


def run_step(step: str, engine: str, folder: Path) -> dict[str, Any]:
    """One step, in this process; what it took, without the imports, and the memory that it began with."""
    work, place = STEPS[step][engine], Place(folder)
    base, started, started_cpu = own_peak_gb(), time.perf_counter(), own_cpu_seconds()
    rows = work(place)
    return {
        "rows": rows,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": own_cpu_seconds() - started_cpu,
        "peak_gb": own_peak_gb(),
        "start_gb": base,
        "parts": place.parts,
    }
