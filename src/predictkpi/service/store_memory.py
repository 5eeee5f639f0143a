"""What pages show of the store beside the view: read anew for each, and shown as it was last read while the store is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from predictkpi.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was read last; None where nothing ever was. ``trouble`` says why it is not newer; empty where it is."""

    value: T | None
    trouble: str = ""


class StoreMemory:
    """Shared by all requests of a process; each key is asked for by a page of its own, so there are few."""

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}

    def read(self, key: str, read: Callable[[], T]) -> Read[T]:
        """What ``read`` gives, or gave last."""
        try:
            found = self._kept[key] = read()
        except StoreError as error:
            log.warning("%s is shown as it was: %s", key, error)
            return Read(cast("T | None", self._kept.get(key)), str(error))
        return Read(found)
