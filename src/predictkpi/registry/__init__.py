"""Runs and model versions in MLflow; the only module that knows it. MLflow itself is imported on first use: it takes seconds."""

from __future__ import annotations

from predictkpi.registry.client import CHALLENGER, CHAMPION, Registry
from predictkpi.registry.erasure import Erasing
from predictkpi.registry.kept import KeptTraining, keep, mark_registered, read_kept
from predictkpi.registry.provenance import DataDigest, code_version, data_digest, environment
from predictkpi.registry.records import ChildRecord, DatasetRecord, RunRecord, TrainingRecord
from predictkpi.registry.runs import BACKTEST_FOLDER
from predictkpi.registry.search_runs import SearchRuns, State

__all__ = [
    "BACKTEST_FOLDER",
    "CHALLENGER",
    "CHAMPION",
    "ChildRecord",
    "DataDigest",
    "DatasetRecord",
    "Erasing",
    "KeptTraining",
    "Registry",
    "RunRecord",
    "SearchRuns",
    "State",
    "TrainingRecord",
    "code_version",
    "data_digest",
    "environment",
    "keep",
    "mark_registered",
    "read_kept",
]
