"""One real MLflow SQLite store for all unit tests (making its tables takes seconds), and the toy predictor as the whole catalogue."""

from __future__ import annotations

import pytest

import predictkpi.predictors
from predictkpi.registry import Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{folder}/made/on/the/way/tracking.db", folder / "artifacts")


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.setattr(predictkpi.predictors, "PREDICTORS", ("toy.model.Toy",))
