"""Runs and model versions in MLflow; the only module that knows it. MLflow itself is imported on first use: it takes seconds."""

from __future__ import annotations

from predictkpi.registry.client import CHALLENGER, CHAMPION, Registry
from predictkpi.registry.provenance import DataDigest, code_version, data_digest, environment
from predictkpi.registry.records import ChildRecord, DatasetRecord, RunRecord, TrainingRecord

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "ChildRecord",
    "DataDigest",
    "DatasetRecord",
    "Registry",
    "RunRecord",
    "TrainingRecord",
    "code_version",
    "data_digest",
    "environment",
]
