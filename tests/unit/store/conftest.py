"""The store's tests run on both databases: whatever uses ``database_url`` or ``store`` runs once on each."""

from __future__ import annotations

import pytest

from predictkpi.store import Store


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()
