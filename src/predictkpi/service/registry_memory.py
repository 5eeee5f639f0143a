"""What pages show of the registry, kept for some seconds: MLflow may be slow or away, and the page has to answer all the same.

A page waits for the first answer for a moment only. Later it shows what was read last, with its age, while newer is read in the background.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

from predictkpi.errors import PredictKpiError
from predictkpi.registry import Registry
from predictkpi.service.background import outcome
from predictkpi.service.version_records import Standing, VersionRecord, read_record, read_standing

log = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]

FRESH_SECONDS = 5.0
PATIENCE_SECONDS, GLANCE_SECONDS = 2.0, 0.05
"""How long a page waits where it has nothing to show, and where it has something older."""
MOST_RECORDS = 300


@dataclass(frozen=True)
class Known(Generic[T]):
    """What was read last: None before the first answer. ``trouble`` says why it is not newer; empty where all is well."""

    value: T | None
    read_at: float
    trouble: str = ""
    tried_at: float = 0.0

    @property
    def age(self) -> float:
        """Seconds since it was read."""
        return time.monotonic() - self.read_at


class _Asked(threading.Event):
    """Set once there is an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.since = time.monotonic()


class RegistryMemory:
    """See the module; shared by all requests of a process."""

    def __init__(
        self,
        registry: Registry,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        glance_seconds: float = GLANCE_SECONDS,
    ) -> None:
        self.registry = registry
        self._fresh_seconds, self._patience_seconds, self._glance_seconds = fresh_seconds, patience_seconds, glance_seconds
        self._kept: dict[Key, Known[Any]] = {}
        self._asked: dict[Key, _Asked] = {}
        self._lock = threading.Lock()

    def standing(self, predictor: str, *, is_patient: bool = False) -> Known[Standing]:
        """A predictor's versions and aliases, `FRESH_SECONDS` old at most while the registry answers quickly.

        ``is_patient``: wait for newer also where older is there, and say so where none has come.
        """
        return cast(Known[Standing], self._known(*self._of_standing(predictor), is_patient=is_patient))

    def record(self, run_id: str) -> Known[VersionRecord]:
        """What a training has left: it never changes, so it is read once."""
        return cast(Known[VersionRecord], self._known(*self._of_record(run_id), lasting=True))

    def known(self, key: Key, read: Callable[[], T]) -> Known[T]:
        """What else somebody reads of the registry, which is not None; as old as `standing`."""
        return cast(Known[T], self._known(key, read))

    def begin(self, *, predictors: Iterable[str], run_ids: Iterable[str]) -> None:
        """Begin to read what pages will ask for; waits for nothing."""
        with self._lock:
            for key, read in (*map(self._of_standing, predictors), *map(self._of_record, run_ids)):
                if key not in self._kept and key not in self._asked:
                    self._ask(key, read)

    def forget(self, predictor: str) -> None:
        """The versions of a predictor are to be read anew, as an alias has moved."""
        with self._lock:
            self._kept.pop(("standing", predictor), None)
            self._asked.pop(("standing", predictor), None)

    def _of_standing(self, predictor: str) -> tuple[Key, Callable[[], object]]:
        return ("standing", predictor), partial(read_standing, self.registry, predictor)

    def _of_record(self, run_id: str) -> tuple[Key, Callable[[], object]]:
        return ("record", run_id), partial(read_record, self.registry, run_id)

    def _known(self, key: Key, read: Callable[[], object], *, lasting: bool = False, is_patient: bool = False) -> Known[Any]:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._is_fresh(kept, lasting=lasting):
                return kept
            answered = self._asked.get(key) or self._ask(key, read)
        has_something = kept is not None and kept.value is not None
        # whoever asks later waits no longer than who asked first: a registry that hangs must not hold every request for that long
        patience = 0.0 if has_something and not is_patient else self._patience_seconds - (time.monotonic() - answered.since)
        if answered.wait(max(patience, min(self._glance_seconds, self._patience_seconds))):
            with self._lock:
                return self._kept.get(key) or Known(None, time.monotonic(), "the model registry was asked again")
        slow = f"the model registry has not answered within {self._patience_seconds:g} seconds; this page asks again when it is reloaded"
        if kept is None or not has_something:
            return Known(None, time.monotonic(), slow)
        return replace(kept, trouble=slow) if is_patient else kept

    def _is_fresh(self, kept: Known[Any], *, lasting: bool) -> bool:
        return (lasting and not kept.trouble) or time.monotonic() - kept.tried_at < self._fresh_seconds

    def _ask(self, key: Key, read: Callable[[], object]) -> _Asked:
        answered = self._asked[key] = _Asked()
        threading.Thread(target=self._read, args=(key, read, answered), name="predictkpi-registry", daemon=True).start()
        return answered

    def _read(self, key: Key, read: Callable[[], object], answered: _Asked) -> None:
        read_values: list[object] = []
        error = outcome(lambda: read_values.append(read()), "predictkpi-registry")
        value, trouble = (read_values[0], "") if error is None else (None, str(error))
        if error is not None and not isinstance(error, PredictKpiError):
            log.error("what the registry holds of %s cannot be read", key[1], exc_info=error)
            trouble = f"what the registry holds cannot be read: {type(error).__name__}; the log has the cause"
        now = time.monotonic()
        with self._lock:
            if self._asked.get(key) is answered:  # else it was forgotten meanwhile: what was read may be older than that
                before = self._kept.get(key)
                found = replace(before, trouble=trouble, tried_at=now) if trouble and before else Known(value, now, trouble, now)
                while len(self._kept) >= MOST_RECORDS:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = found
                del self._asked[key]
        answered.set()
