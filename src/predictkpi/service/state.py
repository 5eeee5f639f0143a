"""The served view, kept up to date: one thread looks at the store and at the champions' aliases, builds a new view aside and swaps it in.

If the store or the registry goes away, the last good view is kept and `trouble` says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.digests import digests_by_entity
from predictkpi.core.types import ModelRef, Status
from predictkpi.errors import ArtifactError, InsufficientDataError, NoChampionError, PredictKpiError, RegistryError, StoreError
from predictkpi.outlook import Trust
from predictkpi.pipelines.outlook import known_trust
from predictkpi.pipelines.scoreboard import kept_boards
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.protocol import Predictor
from predictkpi.registry import Registry
from predictkpi.service.answer_log import AnswerLog
from predictkpi.service.background import Rounds, outcome
from predictkpi.service.memory import settle
from predictkpi.service.page_work import PageWork, Step
from predictkpi.service.problems import NotReadyError
from predictkpi.service.view import Champion, Fingerprint, PredictionTable, View
from predictkpi.snapshot import Snapshot
from predictkpi.store import Store
from predictkpi.tables.targets import TARGETS

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
RETRY_SECONDS = 60.0
WARMING_END_SECONDS = 2.0


@dataclass(frozen=True)
class Shown:
    """The view that pages are shown from. ``is_former``: answers come from a newer one, whose pages are still being worked out."""

    view: View
    work: PageWork | None = None
    is_former: bool = False

    def is_ready(self, place: str) -> bool:
        """Whether the page at that path can be shown, see `PageWork.is_ready`."""
        return self.work is None or self.work.is_ready(place)


class Serving:
    """Holds the current view; `start` and `stop` frame the thread that renews it.

    Predictions of the whole cohort are computed with the view, not read from the store: stored ones name a version and a day, but not
    the state of the data, which another load of the same day has changed. ``prepare`` is called with each new view before it is swapped in,
    so that the first question need not wait. The steps of ``warm``, by the path of the page that needs one, take a minute for a large
    company: new data wait for them. A new champion answers at once, and they are then done beside until there is a newer view; pages are
    shown from the view before (`shown`) meanwhile.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        *,
        poll_seconds: float = POLL_SECONDS,
        prepare: Callable[[View], object] | None = None,
        warm: Mapping[str, Step] | None = None,
        answers: AnswerLog | None = None,
        troubles: Sequence[Callable[[], str | None]] = (),
    ) -> None:
        self.store = store
        self.registry = registry
        self.answers = answers or AnswerLog(store)
        """What was served; it is written while this is started."""
        self._troubles = troubles
        self._store_trouble: str | None = None
        self._registry_trouble: str | None = None
        self._warm_trouble: str | None = None
        self._prepare, self._warm = prepare, warm or {}
        self._warming: threading.Thread | None = None
        self._view: View | None = None
        self._work: PageWork | None = None
        self._apart: Shown | None = None
        self._swapping = threading.Condition()
        self._has_looked = False
        self._is_migrated = False
        self._built_at = 0.0
        self._trust_read_at = -RETRY_SECONDS
        self._rounds = Rounds("predictkpi-view", self._look_again, pause=lambda: poll_seconds, at_once=True)

    def start(self) -> None:
        """Begin to look, and to log answers, in the background; returns at once."""
        self.answers.start()
        self._rounds.start()

    def stop(self) -> None:
        """Stop looking; waits for a view being built and for answers being logged, and a moment for the pages' step under way."""
        self._rounds.stop()
        if self._warming is not None:
            self._warming.join(WARMING_END_SECONDS)
        self.answers.stop()

    @property
    def trouble(self) -> str | None:
        """Why the view may be older than the data or the registry, or answers are not logged; None when all is well."""
        view = self._view
        loading = view.troubles if view is not None else []
        others = [trouble() for trouble in self._troubles]
        troubles = [self._store_trouble, self._registry_trouble, self._warm_trouble, *loading, self.answers.trouble, *others]
        return "; ".join(filter(None, troubles)) or None

    @property
    def current(self) -> View | None:
        """The current view, None while there is none."""
        return self._view

    @property
    def view(self) -> View:
        """The current view; `NotReadyError` says what is missing while there is none."""
        view = self._view
        if view is not None:
            return view
        if self.trouble is not None:
            raise NotReadyError(f"the service cannot read its data: {self.trouble}", missing=["data"])
        if not self._has_looked:
            raise NotReadyError("warming: data and champions are being read and predictions computed", missing=["data", "champions"])
        way_out = "run `predictkpi ingest`, or `predictkpi demo` for a sample company"
        raise NotReadyError(f"the store is empty: {way_out}", missing=["data"], slug="no-data")

    @property
    def shown(self) -> Shown:
        """What pages are shown from; raises as `view`."""
        apart, view, work = self._apart, self.view, self._work
        return apart or Shown(view, work if work is not None and work.view is view else None)

    @property
    def in_sight(self) -> View | None:
        """The view of `shown`; None while there is none."""
        apart = self._apart
        return apart.view if apart is not None else self._view

    def show_targets(self, *, seconds: float) -> None:
        """Have targets that a person has just set or removed shown: at once where it can be done in that time, else soon."""
        try:
            wanted = self.store.counts()[TARGETS.name] + self.store.count_withdrawals().get(TARGETS.name, 0)
        except StoreError as error:  # the target is written: the page says that it shows soon
            log.warning("a target cannot be looked for: %s", error)
            return
        self._rounds.hurry()
        with self._swapping:
            self._swapping.wait_for(lambda: self.in_sight is None or sum(self.in_sight.fingerprint.targets) >= wanted, seconds)

    def refresh(self) -> bool:
        """Look once; true if a new view was swapped in. Raises what the store raises; registry trouble keeps the champions there are.

        A view that could not be completed is tried again every `RETRY_SECONDS`.
        """
        if not self._is_migrated:
            self.store.migrate()
            self._is_migrated = True
        if self.store.is_empty:
            self._apart, self._view, self._has_looked = None, None, True
            return False
        fingerprint, refused = self._look(self.store.default_as_of())
        is_due = self._view is not None and bool(self._view.troubles) and time.monotonic() - self._built_at > RETRY_SECONDS
        if self._view is not None and self._view.fingerprint == fingerprint and not is_due:
            return False
        view = self._build(fingerprint, refused)
        work, self._warm_trouble = PageWork(view, self._warm, do=self._warm_page), None
        is_urgent = self._view is None or self._view.fingerprint.data == fingerprint.data
        if is_urgent and self._view is not None and self._view.fingerprint.targets != fingerprint.targets:
            self._show(Shown(view, work))  # whoever has set one looks for it on the next page
        self._warm_trouble = self._done(self._prepare, view) or self._warm_trouble
        if not is_urgent:
            work.run(lambda: not self._rounds.is_stopping())
        self._swap(work)
        self._has_looked, self._built_at = True, time.monotonic()
        settle()
        if not work.is_done:
            self._warming = threading.Thread(target=self._work_beside, args=[work], name="predictkpi-pages", daemon=True)
            self._warming.start()
        versions = {name: champion.ref.version for name, champion in view.champions.items()}
        log.info("serving %s as of %s: %s", view.company.name, view.as_of.date(), versions)
        return True

    def _show(self, apart: Shown | None) -> None:
        """Show pages from another view than answers come from; None: from that one again."""
        with self._swapping:
            self._apart = apart
            self._swapping.notify_all()

    def _swap(self, work: PageWork) -> None:
        """Answer from a view; pages wait for theirs, if those of the view before are there to be shown."""
        with self._swapping:
            if work.is_done or (self._apart is not None and self._apart.view is work.view):
                self._apart = None
            elif self._apart is None and self._view is not None and self._work is not None and self._work.is_done:
                self._apart = Shown(self._view, is_former=True)
            self._work, self._view = work, work.view
            self._swapping.notify_all()

    def _work_beside(self, work: PageWork) -> None:
        is_done = work.run(lambda: not self._rounds.is_stopping() and work.view is self._view)
        with self._swapping:
            if not is_done or work.view is not self._view:
                return
            self._apart = None
        settle()

    def _warm_page(self, step: Step, view: View) -> None:
        self._warm_trouble = self._done(step, view) or self._warm_trouble

    def _done(self, what: Callable[[View], object] | None, view: View) -> str | None:
        """Work something out of a new view; what fails keeps nothing else from being served, and is said to fail."""
        if what is None:
            return None
        error = outcome(partial(what, view), "predictkpi-warm")
        if error is None:
            return None
        log.error("the dashboard cannot be shown", exc_info=error)
        return f"the dashboard fails with {type(error).__name__}; the log has the cause"

    def _look_again(self) -> None:
        error = outcome(lambda: self.refresh(), "predictkpi-look")
        if error is None:
            self._store_trouble = None
        else:
            self._store_trouble = str(error) if isinstance(error, PredictKpiError) else type(error).__name__
            log.error("looking for new data and champions failed", exc_info=error)

    def _look(self, as_of: pd.Timestamp) -> tuple[Fingerprint, Mapping[str, PredictKpiError]]:
        """What there is now, and which champions could not be looked up; those in service count as unchanged."""
        versions: dict[str, str] = {}
        refused: dict[str, PredictKpiError] = {}
        trouble: str | None = None
        for name in predictor_names():
            try:
                versions[name] = self.registry.champion_version(name)
            except NoChampionError as error:
                refused[name] = error
            except RegistryError as error:
                refused[name], trouble = error, str(error)
                if self._view is not None and name in self._view.champions:
                    versions[name] = self._view.champions[name].ref.version
        # an erasure may leave the counts as they are: it renames people, and what it deletes a load may make up for
        # and a withdrawal adds no version of anything
        counts, withdrawals = self.store.counts(), self.store.count_withdrawals()
        targets = counts.pop(TARGETS.name), withdrawals.pop(TARGETS.name, 0)
        others = (("erasures", self.store.erasures.count()), ("withdrawals", sum(withdrawals.values())))
        data = as_of, (*sorted(counts.items()), *others)
        found = Fingerprint(data, tuple(versions.items()), boards=self.store.scoreboards_made(), targets=targets)
        try:
            found = replace(found, trust=self._trust(found))
        except RegistryError as error:
            trouble = str(error)
            kept = self._view.fingerprint.trust if self._view is not None else Trust.none(f"the replay could not be read ({error})")
            found = replace(found, trust=kept)
        self._registry_trouble = trouble
        return found, refused

    def _trust(self, found: Fingerprint) -> Trust:
        """What the replay taught: read with new data and champions, else once in `RETRY_SECONDS`, as it ends after they are promoted."""
        served = self._view.fingerprint if self._view is not None else None
        is_due = time.monotonic() - self._trust_read_at > RETRY_SECONDS
        if served is not None and not is_due and (served.data, served.versions) == (found.data, found.versions):
            return served.trust
        self._trust_read_at = -RETRY_SECONDS  # until it has been read, it is due
        trust = known_trust(self.registry, found.data[0])
        self._trust_read_at = time.monotonic()
        return trust

    def _build(self, fingerprint: Fingerprint, refused: Mapping[str, PredictKpiError]) -> View:
        """Load every champion and predict its whole cohort. One that fails is missing from the view; the others are served.

        Where nothing but targets has changed, all that does not depend on them is taken over.
        """
        before = self._view if self._view is not None and self._view.fingerprint.data == fingerprint.data else None
        snapshot = before.snapshot if before else self.store.snapshot(fingerprint.data[0])
        if before and before.fingerprint.targets != fingerprint.targets:
            snapshot = self.store.snapshot(before.as_of).sharing(before.snapshot, but=TARGETS.name)
            if replace(before.fingerprint, targets=fingerprint.targets) == fingerprint:
                return before.with_targets(snapshot, fingerprint)
        champions: dict[str, Champion] = {}
        missing: dict[str, PredictKpiError] = {}
        with ThreadPoolExecutor(1, thread_name_prefix="predictkpi-load") as pool:
            for name in predictor_names():
                loading = pool.submit(self._champion, name, snapshot, refused.get(name), before=before)
                error = loading.exception()
                if error is None:
                    champions[name] = loading.result()
                elif isinstance(error, PredictKpiError):
                    log.warning("%s is not served: %s", name, error)
                    missing[name] = error.again()
                else:
                    log.error("the champion of %s fails", name, exc_info=error)
                    trouble = f"the newest champion of {name} fails with {type(error).__name__}; the log has the cause"
                    if before and name in before.champions:
                        champions[name] = replace(before.champions[name], trouble=trouble)
                    else:
                        missing[name] = PredictKpiError(trouble)
        boards = kept_boards(self.store) if fingerprint.boards else {}
        return View(snapshot=snapshot, champions=champions, missing=missing, fingerprint=fingerprint, boards=boards)

    def _champion(self, name: str, snapshot: Snapshot, refusal: PredictKpiError | None, *, before: View | None) -> Champion:
        """The champion from the registry, or the one in service if the registry refuses or its newest artifact is damaged.

        ``before``: the view of the same data, if there is one: its predictions hold on.
        """
        if isinstance(refusal, NoChampionError):
            raise _why_absent(name, refusal, snapshot)
        served = self._view.champions.get(name) if self._view is not None else None
        trouble = ""
        try:
            if refusal is not None:
                raise refusal
            predictor, ref = self.registry.champion(name)
            trouble = self._remember(predictor, ref)
        except (ArtifactError, RegistryError) as error:
            predictor, ref = (served.predictor, served.ref) if served is not None else self._last_good(name, error)
            trouble = f"{name}: {error}; version {ref.version} is still served"
            log.error(trouble)
        if served is not None and served.ref == ref and before is not None:
            return replace(served, trouble=trouble)
        inputs = predictor.inputs(snapshot)
        rows = predictor.predict_inputs(inputs).assign(**{c.PREDICTOR: name, c.MODEL_VERSION: ref.version})[c.PREDICTION_COLUMNS]
        digests = digests_by_entity(inputs, together=predictor.spec.entity == "series")
        return Champion(predictor, ref, PredictionTable(rows), trouble, digests)

    def _remember(self, predictor: Predictor, ref: ModelRef) -> str:
        """Keep a champion for a start without the registry; what keeps it from being kept, empty if nothing does."""
        try:
            self.registry.last_good.remember(predictor, ref)
        except (ArtifactError, OSError) as error:
            log.warning("version %s of %s cannot be kept on this machine: %s", ref.version, ref.predictor, error)
            return f"{ref.predictor}: version {ref.version} cannot be kept for a start without the registry: {error}"
        return ""

    def _last_good(self, name: str, error: PredictKpiError) -> tuple[Predictor, ModelRef]:
        """What was last served from this machine; raises ``error`` where nothing was."""
        try:
            return self.registry.last_good.read(name)
        except (ArtifactError, NoChampionError) as absent:
            log.warning("%s: nothing to serve without the registry: %s", name, absent)
            raise error from absent


def _why_absent(name: str, error: NoChampionError, snapshot: Snapshot) -> PredictKpiError:
    """Nothing promoted: because nobody trained yet, or because this data does not do (no deals, no orders)?"""
    readiness = predictor_class(name)().baseline().readiness(snapshot)
    return InsufficientDataError(readiness.reason) if readiness.status is Status.INSUFFICIENT_DATA else error
