"""Runs and model versions in MLflow; the only module that knows it. MLflow itself is imported on first use: it takes seconds."""

from __future__ import annotations

from predictkpi.registry.client import CHALLENGER, CHAMPION, Registry, TrainingRecord
from predictkpi.registry.provenance import DataDigest, code_version, data_digest

__all__ = ["CHALLENGER", "CHAMPION", "DataDigest", "Registry", "TrainingRecord", "code_version", "data_digest"]
