"""The store's tests run on both databases: whatever uses ``database_url`` or ``store`` runs once on each."""

from __future__ import annotations

import pytest

from predictkpi.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of a database that has not been set up."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/facts.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()
