"""The served view, kept up to date: one thread looks at the store and at the champions' aliases, builds a new view aside and swaps it in.

If the store or the registry goes away, the last good view is kept and `trouble` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.types import ModelRef
from predictkpi.errors import ArtifactError, NoChampionError, PredictKpiError
from predictkpi.predictors import predictor_names
from predictkpi.protocol import Predictor
from predictkpi.registry import Registry
from predictkpi.service.problems import NotReadyError
from predictkpi.service.view import Champion, PredictionTable, View
from predictkpi.snapshot import Snapshot
from predictkpi.store import Store

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0


class Serving:
    """Holds the current view; `start` and `stop` frame the thread that renews it.

    ``warm`` is called with each new view before it is swapped in, so that the first reader need not wait.
    """

    def __init__(
        self, store: Store, registry: Registry, *, poll_seconds: float = POLL_SECONDS, warm: Callable[[View], object] | None = None
    ) -> None:
        self.store = store
        self.registry = registry
        self.poll_seconds = poll_seconds
        self._store_trouble: str | None = None
        self._registry_trouble: str | None = None
        self._warm = warm
        self._view: View | None = None
        self._has_looked = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, in the background; returns at once."""
        self._thread = threading.Thread(target=self._keep_looking, name="predictkpi-view", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; waits for a view being built."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def trouble(self) -> str | None:
        """Why the view may be older than the data or the registry; None when all is well."""
        return "; ".join(filter(None, (self._store_trouble, self._registry_trouble))) or None

    @property
    def view(self) -> View:
        """The current view; `NotReadyError` says what is missing while there is none."""
        if self._view is not None:
            return self._view
        if self.trouble is not None:
            raise NotReadyError(f"the service cannot read its data: {self.trouble}", missing=["data"])
        if not self._has_looked:
            raise NotReadyError("warming: data and champions are being read and predictions computed", missing=["data", "champions"])
        raise NotReadyError("the store is empty: run `predictkpi ingest`, or `predictkpi demo` for a sample company", missing=["data"], slug="no-data")

    def refresh(self) -> bool:
        """Look once; true if a new view was swapped in. Raises what the store raises; registry trouble keeps the champions there are."""
        if self.store.is_empty:
            self._view, self._has_looked = None, True
            return False
        fingerprint, refused = self._fingerprint()
        if self._view is not None and self._view.fingerprint == fingerprint:
            return False
        view = self._build(fingerprint, refused)
        if self._warm is not None:
            self._warm(view)
        self._view, self._has_looked = view, True
        log.info("serving %s as of %s: %s", view.company.name, view.as_of.date(), {name: x.ref.version for name, x in view.champions.items()})
        return True

    def _keep_looking(self) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-look") as pool:
            while not self._stopping.is_set():
                error = pool.submit(self.refresh).exception()
                if error is None:
                    self._store_trouble = None
                else:
                    self._store_trouble = str(error) if isinstance(error, PredictKpiError) else type(error).__name__
                    log.error("looking for new data and champions failed", exc_info=error)
                self._stopping.wait(self.poll_seconds)

    def _fingerprint(self) -> tuple[tuple[object, ...], Mapping[str, PredictKpiError]]:
        """Changes when the data or an alias does. A champion that cannot be looked up counts as unchanged."""
        counts = tuple(sorted(self.store.counts().items()))
        versions: dict[str, str] = {}
        refused: dict[str, PredictKpiError] = {}
        trouble: str | None = None
        for name in predictor_names():
            try:
                versions[name] = self.registry.champion_version(name)
            except NoChampionError as error:
                refused[name] = error
            except PredictKpiError as error:
                refused[name], trouble = error, str(error)
                if self._view is not None and name in self._view.champions:
                    versions[name] = self._view.champions[name].ref.version
        self._registry_trouble = trouble
        return (self.store.default_as_of(), counts, tuple(sorted(versions.items()))), refused

    def _build(self, fingerprint: tuple[object, ...], refused: Mapping[str, PredictKpiError]) -> View:
        snapshot = self.store.snapshot()
        champions: dict[str, Champion] = {}
        missing = dict(refused)
        for name in predictor_names():
            try:
                loaded = self._loaded(name, refused)
                if loaded is not None:
                    predictor, ref = loaded
                    champions[name] = Champion(predictor, ref, PredictionTable(self._predictions(predictor, ref, snapshot)))
                    missing.pop(name, None)
            except PredictKpiError as error:
                log.warning("%s is not served: %s", name, error)
                missing[name] = error
        return View(snapshot=snapshot, champions=champions, missing=missing, fingerprint=fingerprint)

    def _loaded(self, name: str, refused: Mapping[str, PredictKpiError]) -> tuple[Predictor, ModelRef] | None:
        """The champion from the registry, or the one in service if the registry refuses or its newest artifact is damaged."""
        before = self._view.champions.get(name) if self._view is not None else None
        if isinstance(refused.get(name), NoChampionError):
            return None
        if name in refused:
            return (before.predictor, before.ref) if before else None
        try:
            return self.registry.champion(name)
        except ArtifactError as error:
            if before is None:
                raise
            log.error("%s: %s; version %s is still served", name, error, before.ref.version)
            return before.predictor, before.ref

    def _predictions(self, predictor: Predictor, ref: ModelRef, snapshot: Snapshot) -> pd.DataFrame:
        """What `predictkpi score` stored for this version and as_of, else computed now."""
        stored = self.store.read_predictions(predictor=ref.predictor, model_version=ref.version, as_of=snapshot.as_of)
        if len(stored):
            return stored
        return predictor.predict(snapshot).assign(**{c.MODEL_VERSION: ref.version})
