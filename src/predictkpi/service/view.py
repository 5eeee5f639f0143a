"""What the service answers from: one immutable view of the data and the champions, as of one instant.

A view is built aside and swapped in whole (`state`), so that no answer mixes two dates or two model versions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.backtest.board import Board
from predictkpi.core import columns as c
from predictkpi.core.access import RowScope
from predictkpi.core.digests import digest, digests_by_entity
from predictkpi.core.periods import Freq
from predictkpi.core.types import Company, ModelRef
from predictkpi.errors import InsufficientDataError, NoChampionError, PredictKpiError, UnknownEntityError
from predictkpi.features.attributes import kinds_of
from predictkpi.kpis import get_kpi
from predictkpi.outlook import Trust
from predictkpi.predictors.revenue.scopes import label_of
from predictkpi.protocol import EntityAnswer, Predictor
from predictkpi.service.access.rows import Seen, seen_by
from predictkpi.service.envelopes import curve_of, envelope
from predictkpi.service.wire import Curve, Envelope
from predictkpi.snapshot import Snapshot
from predictkpi.tables.targets import TARGETS

MAX_CACHED_SERIES = 256
EPOCH, MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
NO_TRUST = Trust.none("no replay was looked for")


class PredictionTable:
    """The long prediction table of one champion, found by entity without a scan."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame.sort_values([c.ENTITY_ID, c.HORIZON], kind="stable", ignore_index=True)
        ids, starts = np.unique(self.frame[c.ENTITY_ID].to_numpy(dtype=object), return_index=True)
        stops = np.append(starts[1:], len(self.frame))[: len(starts)]  # of no rows there is no last one
        self._spans = {str(i): (int(start), int(stop)) for i, start, stop in zip(ids, starts, stops, strict=True)}
        self._horizons, self._values = self.frame[c.HORIZON].to_numpy(), self.frame[c.VALUE].to_numpy(float)
        self._texts = [_factorized(self.frame[name]) for name in (c.STATISTIC, c.STATUS, c.REASON)]
        self._instants = self.frame[c.AS_OF].array

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._spans

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def entity_ids(self) -> list[str]:
        """All entities, sorted."""
        return list(self._spans)

    def rows(self, entity_id: str) -> pd.DataFrame:
        """One entity's rows; `KeyError` if it is not in the table."""
        start, stop = self._spans[entity_id]
        return self.frame.iloc[start:stop]

    def answer(self, entity_id: str) -> EntityAnswer:
        """The same in plain Python."""
        start, stop = self._spans[entity_id]
        at = slice(start, stop)
        statistic, status, reason = ([values[code] for code in codes[at].tolist()] for codes, values in self._texts)
        columns = tuple(self._horizons[at].tolist()), tuple(statistic), self._values[at].tolist(), status, reason
        return EntityAnswer(entity_id, self._instants[start], *columns)

    def wide(self, horizon: int) -> pd.DataFrame:
        """One row per entity (index), one column per statistic, for one horizon."""
        chosen = self.frame[self.frame[c.HORIZON] == horizon]
        return chosen.pivot(index=c.ENTITY_ID, columns=c.STATISTIC, values=c.VALUE)


@dataclass(frozen=True)
class Champion:
    """A served model version with its predictions for the whole cohort; ``trouble`` says why it is not the newest promoted one.

    ``digests``: entity -> digest of its inputs.
    """

    predictor: Predictor
    ref: ModelRef
    table: PredictionTable
    trouble: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fingerprint:
    """What a view was made of: a view is renewed when this changes. ``data`` is as_of, the stored versions by table, and erasures.

    ``targets``: how many versions of targets there are, and statements on their removal; they are no part of ``data``, for no prediction
    depends on them. ``trust`` is what the replay taught of the open deals, or why that is not known. ``boards``: which scoreboards there
    are, and of when.
    """

    data: tuple[pd.Timestamp, tuple[tuple[str, int], ...]]
    versions: tuple[tuple[str, str], ...]
    trust: Trust = NO_TRUST
    boards: tuple[tuple[str, pd.Timestamp], ...] = ()
    targets: tuple[int, int] = (0, 0)

    @property
    def erasures(self) -> int:
        """Entries of the list of erasures when the data were read: all of them are done in these data."""
        return dict(self.data[1])["erasures"]


@dataclass(frozen=True)
class View:
    """Data, champions and everything computed from both. Read by many threads, changed by none."""

    snapshot: Snapshot
    champions: Mapping[str, Champion]
    missing: Mapping[str, PredictKpiError]
    fingerprint: Fingerprint
    boards: Mapping[str, Board] = field(default_factory=dict)
    rows: RowScope | None = None
    """Whose rows may be seen; None for everybody's."""
    _series: dict[tuple[object, ...], pd.DataFrame] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pages: dict[str, object] = field(default_factory=dict)
    _building: dict[str, threading.RLock] = field(default_factory=dict)
    _lasting: set[str] = field(default_factory=set)

    def within(self, rows: RowScope) -> View:
        """The same for a caller who may see only these rows: any other deal or customer is unknown. Made once for each scope."""
        return cast(View, self.page(f"within {rows.key}", lambda view: replace(view, rows=rows)))

    @property
    def rows_key(self) -> str:
        """Stands for whose rows may be seen, in names of `page`; empty for everybody's."""
        return "" if self.rows is None else self.rows.key

    def sees(self, entity: str, entity_id: str) -> bool:
        """Whether the caller may see a deal or customer; series are the company's."""
        return self.rows is None or entity_id in self.visible.get(entity, ())

    def demand(self, entity: str, entity_id: str) -> None:
        """Raise `UnknownEntityError` for what the caller may not see: it is not said whether there is such a one."""
        if not self.sees(entity, entity_id):
            raise UnknownEntityError(f"no {entity} {entity_id!r} is known as of {self.as_of.isoformat()}")

    @cached_property
    def visible(self) -> Mapping[str, frozenset[str]]:
        """The deals of the caller's rows, and the customers whose newest deal is one of them. Only where there are ``rows``."""
        return {"deal": self._seen.deals, "customer": self._seen.customers}

    @cached_property
    def visible_values(self) -> Mapping[str, frozenset[str]]:
        """Owners and teams of the deals of the caller's rows."""
        return {c.OWNER: self._seen.owners, c.TEAM: self._seen.teams}

    @cached_property
    def _seen(self) -> Seen:
        assert self.rows is not None
        return seen_by(self.snapshot, self.rows)

    def has_within(self, rows: RowScope) -> bool:
        """Whether `within` and what it shows have been worked out: for a long history that takes a second."""
        narrow = cast("View | None", self._pages.get(f"within {rows.key}"))
        return narrow is not None and "_seen" in vars(narrow)

    @property
    def as_of(self) -> pd.Timestamp:
        """The exclusive instant of knowledge of every answer."""
        return self.snapshot.as_of

    @property
    def company(self) -> Company:
        """Whose data this is."""
        return self.snapshot.company

    def local(self, instant: datetime) -> pd.Timestamp:
        """An instant of a request as naive local time of the company; one without an offset is local already."""
        if instant.tzinfo is not None:
            instant = instant.astimezone(self._zone).replace(tzinfo=None)
        return pd.Timestamp(instant)

    def now(self) -> datetime:
        """The clock's instant in naive local time of the company."""
        return datetime.now(self._zone).replace(tzinfo=None)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.company.time_zone)

    def microseconds(self, instant: datetime) -> int:
        """The same as a count of microseconds since 1970."""
        if instant.tzinfo is not None:
            instant = instant.astimezone(self._zone).replace(tzinfo=None)
        return (instant - EPOCH) // MICROSECOND

    @cached_property
    def as_of_microseconds(self) -> int:
        """`as_of` likewise."""
        return self.microseconds(self.as_of.to_pydatetime())

    @cached_property
    def troubles(self) -> list[str]:
        """What went wrong while loading, other than that nothing has been promoted or that the data has too little history."""
        kept = [champion.trouble for champion in self.champions.values() if champion.trouble]
        expected = (NoChampionError, InsufficientDataError)
        return kept + [f"{name}: {error}" for name, error in self.missing.items() if not isinstance(error, expected)]

    def champion(self, predictor: str) -> Champion:
        """The served version; raises what kept it from being served, `NoChampionError` if nothing was promoted."""
        if predictor in self.champions:
            return self.champions[predictor]
        error = self.missing.get(predictor) or NoChampionError(f"{predictor}: no model carries the alias champion")
        raise error.again()

    def predict(self, predictor: str, entity_id: str, *, horizons: Sequence[int] | None = None, with_curve: bool = False) -> Envelope:
        """The answer for one entity the store knows, at the predictor's own horizons or at these.

        Raises `UnknownEntityError` or `DealClosedError` for any other entity, `SettingsError` for a horizon not in ``spec.askable``.
        """
        champion = self.champion(predictor)
        self.demand(champion.predictor.spec.entity, entity_id)
        model, ids = champion.predictor, [entity_id]
        if horizons is None and entity_id in champion.table:
            answer = champion.table.answer(entity_id)
        else:
            answer = model.answer_for(self.snapshot, entity_ids=ids, horizons=horizons)[0]
        curve = curve_of(model.predict(self.snapshot, entity_ids=ids, horizons=model.spec.askable)) if with_curve else None
        return self.envelope(champion, answer, curve=curve)

    def envelope(
        self,
        champion: Champion,
        answer: EntityAnswer,
        *,
        horizons: Sequence[int] | None = None,
        curve: Curve | None = None,
    ) -> Envelope:
        """An answer for a stored entity, under its name; ``horizons`` keeps only those."""
        spec = champion.predictor.spec
        return envelope(
            answer,
            spec=spec,
            ref=champion.ref,
            company=self.company,
            entity_id=answer.entity_id,
            label=self.label(spec.entity, answer.entity_id),
            inputs_digest=champion.digests.get(answer.entity_id) or self._digest(champion, answer.entity_id),
            horizons=horizons,
            curve=curve,
        )

    def _digest(self, champion: Champion, entity_id: str) -> str:
        """For an entity outside the cohort that can be asked for all the same."""
        together = champion.predictor.spec.entity == "series"
        return digests_by_entity(champion.predictor.inputs(self.snapshot, entity_ids=[entity_id]), together=together)[entity_id]

    @cached_property
    def data_digest(self) -> str:
        """Stands for the state of the data."""
        return digest(repr(self.fingerprint.data))

    def label(self, entity: str, entity_id: str) -> str:
        """A name for people."""
        if entity == "series":
            return label_of(entity_id)
        return self._names[entity].get(entity_id, entity_id)

    def kpi_series(self, name: str, *, freq: Freq = "M", by: str | None = None, as_of: pd.Timestamp | None = None) -> pd.DataFrame:
        """A KPI's series, computed once per view and question; `columns.KPI_COLUMNS`. Do not modify."""
        key = (name, freq, by, as_of or self.as_of)
        found = self._series.get(key)
        if found is None:
            snapshot = self.snapshot if as_of is None else self.snapshot.at(as_of)
            found = get_kpi(name).series(snapshot, freq=freq, by=by)
            with self._lock:
                if len(self._series) >= MAX_CACHED_SERIES:
                    self._series.pop(next(iter(self._series)))
                self._series[key] = found
        return found

    def page(self, name: str, build: Callable[[View], object], *, knows_targets: bool = True) -> object:
        """Something made of this view alone, built once: who asks meanwhile waits for it.

        Without ``knows_targets`` it does not depend on them, nor holds what does: it lasts when a person sets one.
        """
        if name not in self._pages:
            with self._lock:
                building = self._building.setdefault(name, threading.RLock())
            with building:
                if name not in self._pages:
                    self._pages[name] = build(self)
                    if not knows_targets:
                        self._lasting.add(name)
        return self._pages[name]

    def with_targets(self, snapshot: Snapshot, fingerprint: Fingerprint) -> View:
        """The same but for its targets, which ``snapshot`` has read anew, with all that was worked out and does not depend on them."""
        lasting = list(self._lasting)
        series = {key: found for key, found in list(self._series.items()) if TARGETS.name not in get_kpi(str(key[0])).needs}
        return replace(
            self,
            snapshot=snapshot,
            fingerprint=fingerprint,
            _series=series,
            _pages={name: self._pages[name] for name in lasting},
            _building={},
            _lasting=set(lasting),
            _lock=threading.Lock(),
        )

    @cached_property
    def known_values(self) -> dict[str, frozenset[str]]:
        """Which stages, owners, sources and so on the store has seen: a payload's other values are news to every model."""
        deals, events = self.snapshot.living("deals"), self.snapshot.living("deal_events")
        seen = {column: deals[column] for column in (c.SOURCE, c.PRODUCT, c.REGION, c.TEAM)}
        seen |= {column: events[column] for column in (c.STAGE, c.OWNER)}
        return {column: frozenset(values.dropna().unique()) for column, values in seen.items()}

    @cached_property
    def deal_attributes(self) -> dict[str, tuple[str, frozenset[str]]]:
        """The company's own fields of deals: kind of each (category, number, date, flag), and which values a category has had."""
        rows = self.snapshot.living("attributes")
        rows = rows[rows[c.TABLE] == "deals"]
        texts = rows[(rows[c.KIND] == "category") & rows[c.VALUE].notna()].groupby(c.NAME)[c.VALUE].unique()
        return {name: (kind, frozenset(texts.get(name, ()))) for name, kind in kinds_of(rows).items()}

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        customers, deals = self.snapshot.customers, self.snapshot.deals
        named = customers[customers[c.NAME].notna()]
        customer_names = dict(zip(named[c.CUSTOMER_ID], named[c.NAME], strict=True))
        deal_names = {}
        for deal_id, name, customer_id in zip(deals[c.DEAL_ID], deals[c.NAME], deals[c.CUSTOMER_ID], strict=True):
            deal_names[deal_id] = _deal_name(name, customer_names.get(customer_id)) or deal_id
        return {"customer": customer_names, "deal": deal_names}


def _deal_name(name: object, customer: object) -> str:
    """The deal's name behind the customer's, unless it says whose it is by itself."""
    parts = [part for part in (customer, name) if isinstance(part, str) and part]
    return str(name) if len(parts) == 2 and str(customer).casefold() in str(name).casefold() else ": ".join(parts)


def _factorized(texts: pd.Series) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes, and the text of each; missing text is empty."""
    codes, values = pd.factorize(texts.fillna(""))
    return codes, [str(value) for value in values]
