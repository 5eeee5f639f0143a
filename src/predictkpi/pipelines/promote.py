"""Promote and roll back: which registered version serves. A person's decision; the gate is not asked, the audit log is told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.errors import ConflictError, LockedError, NoChampionError, NotFoundError
from predictkpi.predictors import predictor_class
from predictkpi.registry import Registry

if TYPE_CHECKING:
    from predictkpi.store import Store

_SECONDS_TO_WAIT = 10.0
"""For another process that is moving an alias, or registering a training."""


def promote(
    store: Store, registry: Registry, predictor: str, version: str, *, now: pd.Timestamp, actor: str = "", beside: str | None = None
) -> ModelRef:
    """Move the alias ``champion`` to that version; the one that held it is remembered for `rollback`.

    ``beside``: the version that serves as far as whoever decides knows (empty for none). Raises `UnknownNameError` for a predictor,
    `NotFoundError` for a version that does not exist, `ConflictError` where another one has come to serve than ``beside``.
    """
    predictor_class(predictor)
    with alone(store, predictor, "promote"):
        known = [row["version"] for row in registry.versions(predictor)]
        if version not in known:
            raise NotFoundError(f"{predictor} has no version {version!r}; there are: {', '.join(known) or 'none'}")
        store.write_audit(now, "promote", predictor, {"from": _serving(registry, predictor, beside), "to": version}, actor=actor)
        return registry.promote(predictor, version)


def rollback(
    store: Store,
    registry: Registry,
    predictor: str,
    *,
    now: pd.Timestamp,
    actor: str = "",
    beside: str | None = None,
    expected: str | None = None,
) -> ModelRef:
    """Give the alias back to the version that held it before, one step for each call; raises `NotFoundError` where there is none.

    ``beside``: see `promote`. ``expected``: the version that it leads to as far as whoever decides knows; raises `ConflictError` where it
    is another one by now.
    """
    predictor_class(predictor)
    with alone(store, predictor, "rollback"):
        target = registry.rollback_target(predictor)
        serving = _serving(registry, predictor, beside)
        if expected is not None and target != expected:
            raise ConflictError(f"{predictor}: it would go back to version {target} by now, not {expected}; look again, and decide anew")
        store.write_audit(now, "rollback", predictor, {"from": serving, "to": target}, actor=actor)
        return registry.rollback(predictor)


@contextmanager
def alone(store: Store, predictor: str, action: str) -> Iterator[None]:
    """Nobody else moves an alias of that predictor meanwhile, on whatever machine; waits some seconds for who is at it.

    Every move is written to the audit log first: an entry without a move may be left by a crash, a move without an entry may not. Raises
    `LockedError`, which names the holder, where the wait was in vain.
    """
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(store.lock(f"aliases-{predictor}", holder=f"predictkpi {action} {predictor} (process {os.getpid()})"))
                break
            except LockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield


def _serving(registry: Registry, predictor: str, beside: str | None) -> str:
    """The version that serves, empty for none; raises `ConflictError` where it is not ``beside``."""
    try:
        found = registry.champion_version(predictor)
    except NoChampionError:
        found = ""
    if beside is not None and found != beside:
        named = [f"version {version}" if version else "no version" for version in (found, beside)]
        raise ConflictError(f"{predictor}: {named[0]} serves by now, not {named[1]}; look again, and decide anew")
    return found
