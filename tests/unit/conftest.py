"""One real MLflow SQLite store for all unit tests (making its tables takes seconds), the toy predictor as the catalogue, databases."""

from __future__ import annotations

import pytest

import predictkpi.predictors
from predictkpi.registry import Registry
from predictkpi.registry.client import FORMER


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{folder}/made/on/the/way/tracking.db", folder / "artifacts")


@pytest.fixture(scope="session")
def forget_champions(registry):
    """Call it, and nothing serves, whatever other tests have left in the registry of the session."""

    def forget() -> None:
        with registry._connection.speaking("clear") as client:
            for model in client.search_registered_models("name = 'toy'"):
                for alias in model.aliases:
                    client.delete_registered_model_alias("toy", alias)
                client.set_registered_model_tag("toy", FORMER, "[]")

    return forget


@pytest.fixture
def no_champion(forget_champions):
    """Nothing serves yet."""
    forget_champions()


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.setattr(predictkpi.predictors, "PREDICTORS", ("toy.model.Toy",))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of a database that has not been set up."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/facts.db"
    return request.getfixturevalue("postgres").new_database()
