"""Promote and roll back: which registered version serves. A person's decision; the gate is not asked, the audit log is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.errors import NoChampionError
from predictkpi.predictors import predictor_class
from predictkpi.registry import Registry

if TYPE_CHECKING:
    from predictkpi.store import Store


def promote(store: Store, registry: Registry, predictor: str, version: str, *, now: pd.Timestamp, actor: str = "") -> ModelRef:
    """Move the alias ``champion`` to that version; the one that held it is remembered for `rollback`.

    Raises `UnknownNameError` for a predictor, `NotFoundError` for a version that does not exist.
    """
    predictor_class(predictor)
    before = _serving(registry, predictor)
    ref = registry.promote(predictor, version)
    store.write_audit(now, "promote", predictor, {"from": before, "to": ref.version}, actor=actor)
    return ref


def rollback(store: Store, registry: Registry, predictor: str, *, now: pd.Timestamp, actor: str = "") -> ModelRef:
    """Give the alias back to the version that held it before, one step for each call; raises `NotFoundError` where there is none."""
    predictor_class(predictor)
    before = _serving(registry, predictor)
    ref = registry.rollback(predictor)
    store.write_audit(now, "rollback", predictor, {"from": before, "to": ref.version}, actor=actor)
    return ref


def _serving(registry: Registry, predictor: str) -> str:
    try:
        return registry.champion_version(predictor)
    except NoChampionError:
        return ""
