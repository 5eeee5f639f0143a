"""Small value objects that cross module borders: what a predictor states about itself, and what an answer carries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Status(StrEnum):
    """The rung of the ladder an answer stands on, best first."""

    FULL = "full"
    LIMITED = "limited"
    BASELINE = "baseline"
    PRIOR = "prior"
    INSUFFICIENT_DATA = "insufficient_data"


class Role(StrEnum):
    """In which role something was predicted: for everybody and to be shown, as an answer to a question, or beside the champion, unseen."""

    CHAMPION = "champion"
    SERVED = "served"
    SHADOW = "shadow"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Company(_Frozen):
    """Whose books these are: the one currency, time zone and fiscal year that every number below is stated in."""

    name: str = Field("company", pattern=r"^[^\x00]*$", description="shown on the dashboard")
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$", description="reporting currency, ISO 4217")
    time_zone: str = Field("UTC", description="IANA name; every instant in the store is local time of this zone")
    fiscal_year_starts: int = Field(1, ge=1, le=12, description="first month of the fiscal year")
    country: str | None = Field(None, description="whose public holidays are days off, ISO 3166: DE, or with its region DE-BY")

    @field_validator("country")
    @classmethod
    def _is_code(cls, country: str | None) -> str | None:
        if country is not None and not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", country):
            raise ValueError(f"{country!r} is no country code; write its two capital letters, such as DE, or with a region DE-BY")
        return country


class Statistic(_Frozen):
    """One number a predictor gives for an entity and a horizon."""

    name: str
    unit: Literal["currency", "probability", "days", "count", "share"]
    description: str
    is_detail: bool = Field(False, description="left out of tables for people, which have little room")


class Spec(_Frozen):
    """What a predictor promises: whom it predicts, how far, in which numbers, and how it is judged."""

    name: str
    title: dict[str, str] = Field(description="plain name by language, 'en' and 'de'")
    entity: Literal["series", "customer", "deal"]
    horizons: tuple[int, ...] = Field(description="positive counts of time_unit after as_of")
    time_unit: Literal["month", "day"]
    any_horizon: bool = Field(False, description="whether any horizon from 1 to the longest may be asked for, beside those listed")
    statistics: tuple[Statistic, ...]
    headline: str = Field(description="the statistic shown first, and judged")
    score: Literal["quantiles", "mean", "cumulative_incidence"] = Field(description="the family of scores in metrics/")

    @property
    def askable(self) -> Sequence[int]:
        """Every horizon that may be asked for."""
        return range(1, max(self.horizons) + 1) if self.any_horizon else self.horizons

    @property
    def horizons_in_words(self) -> str:
        """What may be asked for, for a message."""
        choice = f"any from 1 to {max(self.horizons)}" if self.any_horizon else ", ".join(map(str, self.horizons))
        return f"there are {choice} {self.time_unit}s"


class Readiness(_Frozen):
    """Is there enough history, and which rung of the ladder is in force."""

    status: Status
    have: dict[str, int] = Field(description="counts found in the snapshot")
    need: dict[str, int] = Field(description="the same counts needed for status full")
    reason: str = Field(description="one sentence for a reader; empty when full")


class ModelRef(_Frozen):
    """One registered model version, as it stands beside every prediction."""

    predictor: str
    version: str
    run_id: str
    kind: Literal["model", "baseline"]
    reason: str = Field("", description="why a baseline is served; empty for a model")
