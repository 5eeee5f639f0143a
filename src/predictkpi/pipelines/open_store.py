"""From settings to open doors: the store with its schema in place, and the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictkpi.errors import InsufficientDataError
from predictkpi.settings import Settings

if TYPE_CHECKING:
    from predictkpi.registry import Registry
    from predictkpi.store import Store


def open_store(settings: Settings) -> Store:
    """The store of these settings, migrated to the newest schema (made, if it is not there)."""
    from predictkpi.store import Store

    store = Store(settings.database_url)
    store.migrate()
    return store


def open_filled_store(settings: Settings) -> Store:
    """The store of these settings; raises `InsufficientDataError` where nothing has been loaded yet."""
    store = open_store(settings)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    return store


def open_registry(settings: Settings) -> Registry:
    """The registry of these settings; MLflow is imported and looked for only when it is first used."""
    from predictkpi.registry import Registry

    return Registry(settings.tracking_uri, settings.artifact_root)
