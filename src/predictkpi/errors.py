"""Every error predictkpi raises on purpose, in one hierarchy. Knows no HTTP: the service maps these to responses.

PredictKpiError
├── SettingsError            a setting, hyperparameter or mapping file is wrong
│   └── MappingError         a mapping YAML does not fit its files or the tables
├── DataError                the data cannot do what was asked
│   ├── SourceError          a file or source cannot be read at all
│   ├── SchemaError          a table breaks its schema inside the system
│   └── InsufficientDataError  too little history, and no rung of the ladder holds
├── FutureAccessError        somebody asked a snapshot for what was not yet known
├── NotFoundError            no such entity, KPI, predictor or model
│   ├── UnknownEntityError   a customer, deal or series that the store does not hold
│   ├── UnknownNameError     a KPI, predictor, dimension or statistic that no catalogue lists
│   └── NoChampionError      nothing has been promoted for this predictor yet
├── ConflictError            the request is sound but the state of things forbids it
│   ├── DealClosedError      a forecast was asked for a deal that is closed already
│   └── LockedError          another process does this work just now
├── StoreError               the database cannot be reached or refused
├── ArtifactError            a saved model is damaged, foreign or of another format
├── RegistryError            the model registry cannot be reached or refused
└── DeliveryError            a message to another system was not taken
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class PredictKpiError(Exception):
    """Root of everything predictkpi raises on purpose."""

    def again(self) -> Self:
        """The same error without where it was raised: to be kept, or raised for somebody else.

        One that is kept as it was caught keeps every frame of its traceback, and all that those hold.
        """
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class SettingsError(PredictKpiError):
    """A setting, hyperparameter or mapping file is wrong."""


class MappingError(SettingsError):
    """A mapping YAML does not fit its files or the tables."""


class DataError(PredictKpiError):
    """The data cannot do what was asked."""


class SourceError(DataError):
    """A file or source cannot be read at all."""


class SchemaError(DataError):
    """A table breaks its schema inside the system."""

    @classmethod
    def missing_columns(cls, table: str, *, missing: Iterable[str], available: Iterable[str]) -> SchemaError:
        """Name both sides of the mismatch."""
        return cls(f"{table}: missing columns {sorted(missing)}; available are {sorted(available)}")


class InsufficientDataError(DataError):
    """Too little history, and no rung of the ladder holds."""


class FutureAccessError(PredictKpiError):
    """Somebody asked a snapshot for what was not yet known at its as_of."""


class NotFoundError(PredictKpiError):
    """No such entity, KPI, predictor or model."""


class UnknownEntityError(NotFoundError):
    """A customer, deal or series that the store does not hold."""


class UnknownNameError(NotFoundError):
    """A KPI, predictor, dimension or statistic that no catalogue lists."""

    @classmethod
    def among(cls, kind: str, name: str, *, known: Iterable[str]) -> UnknownNameError:
        """Name what was asked for and what there is."""
        return cls(f"no {kind} named {name!r:.80}; there are: {', '.join(sorted(known))}")


class NoChampionError(NotFoundError):
    """Nothing has been promoted for this predictor yet."""


class ConflictError(PredictKpiError):
    """The request is sound but the state of things forbids it."""


class DealClosedError(ConflictError):
    """A forecast was asked for a deal that is closed already."""


class LockedError(ConflictError):
    """Another process does this work just now."""


class StoreError(PredictKpiError):
    """The database cannot be reached or refused."""


class ArtifactError(PredictKpiError):
    """A saved model is damaged, foreign or of another format."""


class RegistryError(PredictKpiError):
    """The model registry cannot be reached or refused."""


class DeliveryError(PredictKpiError):
    """A message to another system was not taken."""
