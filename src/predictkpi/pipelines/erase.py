"""Erase a company or a person: from the store, from the registry's files, and from what later loads may bring."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predictkpi.errors import DataError, PredictKpiError, RegistryError
from predictkpi.predictors import predictor_names
from predictkpi.registry import CHAMPION, Erasing, Registry

if TYPE_CHECKING:
    from predictkpi.store import Store
    from predictkpi.store.erasure import Erasure

CUSTOMER, PERSON = "customer", "person"
_READERS = "a reader kept the database's log from being cut: `predictkpi erase --replay` does it again once the others are done"


@dataclass(frozen=True)
class ErasureReport:
    """What an erasure did: ``rows`` by table, ``files`` by place; ``learnt``: predictor and version of the champions that knew of it.

    ``troubles`` say what is left to do, and how; empty when all is done.
    """

    digest: str
    rows: Mapping[str, int]
    files: Mapping[str, int] = field(default_factory=dict)
    learnt: tuple[tuple[str, str], ...] = ()
    troubles: tuple[str, ...] = ()


def erase(store: Store, registry: Registry, kind: str, name: str, *, now: pd.Timestamp, dry_run: bool = False) -> ErasureReport:
    """Erase a ``customer`` by id or a ``person`` by name; raises `UnknownEntityError` where nothing names it. A dry run only counts."""
    with _alone(store):
        found = store.erasures.erase(kind, name, at=now, dry_run=dry_run)
        return _finished(store, registry, found, dry_run=dry_run)


def replay_erasures(
    store: Store, registry: Registry, *, now: pd.Timestamp, listed: Path | None = None, dry_run: bool = False
) -> ErasureReport:
    """Erase again whatever is named that the list holds: the store's own and, after a restore, the copy in the file ``listed``."""
    entries = None if listed is None else read_list(listed)
    with _alone(store):
        found = store.erasures.erase_listed(at=now, listed=entries, dry_run=dry_run)
        return _finished(store, registry, found, dry_run=dry_run)


def write_list(store: Store, path: Path) -> int:
    """Write the list of erasures (hashes and their salt, no name) for `replay_erasures` after a restore; returns the number of entries."""
    rows = store.erasures.all()
    records = rows.assign(erased_at=rows["erased_at"].map(lambda at: at.isoformat())).to_dict("records")
    path.write_text(json.dumps(records, indent=1, default=str) + "\n", encoding="utf-8")
    path.chmod(0o600)  # who has the salt can try names
    return len(rows)


def read_list(path: Path) -> pd.DataFrame:
    """What `write_list` wrote; raises `DataError` for any other file."""
    try:
        rows = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
        return rows[["kind", "digest", "salt", "actor", "counts"]].assign(
            erased_at=pd.to_datetime(rows["erased_at"]).astype("datetime64[us]")
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: no list of erasures, which `predictkpi erase --export` writes: {error}") from error


def _alone(store: Store) -> AbstractContextManager[None]:
    return store.lock("erasure", holder=f"predictkpi erase (process {os.getpid()})")


def _finished(store: Store, registry: Registry, found: Erasure, *, dry_run: bool) -> ErasureReport:
    """The rest, after the store's transaction: every step may be done again by a replay."""
    learnt, troubles = _learnt(registry, found.first_known_at)
    if dry_run:
        return ErasureReport(found.digest, found.counts, learnt=learnt, troubles=troubles)
    files: Mapping[str, int] = {}
    erased = store.erasures.erased
    kinds = (CUSTOMER, "deal")
    try:
        files = registry.erase(Erasing(lambda ids: np.any([erased.mask(kind, ids) for kind in kinds], axis=0), erased.renamed))
    except RegistryError as error:
        troubles += (f"not erased in the registry's files: {error}; `predictkpi erase --replay` does it once that is back",)
    try:
        if not store.erasures.forget_deleted():
            troubles += (_READERS,)
    except PredictKpiError as error:
        troubles += (f"{_READERS} ({error})",)
    return ErasureReport(found.digest, found.counts, files, learnt, tuple(dict.fromkeys(troubles)))


def _learnt(registry: Registry, first: pd.Timestamp | None) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Champions that learnt after the first of it was known, and why that cannot be told, if so."""
    found = []
    if first is not None:
        try:
            for name in predictor_names():
                rows = [row for row in registry.versions(name) if CHAMPION in row["aliases"]]
                found += [(name, row["version"]) for row in rows if row["as_of"] and pd.Timestamp(row["as_of"]) > first]
        except RegistryError as error:
            return (), (f"which versions learnt from it cannot be told: {error}",)
    return tuple(found), ()
