"""What `predictkpi monitor` finds, and how sure it must be: the rule of models/monitor.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MONITOR = "monitor.yaml"


class Severity(StrEnum):
    """How bad it is, worst first. A note says what could not be judged, or what was and is well."""

    ALARM = "alarm"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One check of one ``subject`` (a predictor or a table): figures, the threshold they were held against, why, and the way out."""

    check: str
    subject: str
    severity: Severity
    reason: str
    way_out: str = ""
    figures: Mapping[str, float | str] = field(default_factory=dict)
    threshold: float | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether somebody has to look."""
        return self.severity is not Severity.NOTE

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "check": self.check,
            "subject": self.subject,
            "severity": self.severity.value,
            "reason": self.reason,
            "way_out": self.way_out,
            "figures": dict(self.figures),
            "threshold": self.threshold,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Finding:
        """Inverse of `as_dict`."""
        return cls(**{**told, "severity": Severity(told["severity"])})


class MonitorRule(BaseModel):
    """When `predictkpi monitor` speaks up, and when `predictkpi retrain` trains. The defaults are measured in benchmarks/drift.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drift_level: float = Field(0.03, gt=0, le=0.2, description="probability that a check of all predictors finds drift where there is none")
    drift_pairs: int = Field(24, ge=12, description="pairs of past dates that say how far inputs move anyway")
    freshness_slack: float = Field(1.25, ge=1, description="how many times the longest usual gap a table may stay without a new row")
    volume_level: float = Field(0.02, gt=0, le=0.2, description="probability that a usual week is taken for too few or too many rows")
    fields_level: float = Field(0.02, gt=0, le=0.2, description="probability that usual rows are taken for other ones, over all tables")
    error_level: float = Field(0.01, gt=0, le=0.2, description="probability that an error as expected is taken for too large, a predictor")
    least_outcomes: int = Field(30, ge=1, description="matured outcomes below which an error is not judged")
    stale_after_days: int = Field(180, ge=1, description="age of a champion's data from which on it is stale")
    retrain_after_days: int = Field(90, ge=1, description="age of the newest training's data from which on it is due")
    retrain_new_share: float = Field(0.1, gt=0, description="growth of what a predictor learns from that makes a training due")
    retrain_least_days: int = Field(
        7, ge=0, description="days of new data that a training for new data or an alarm needs since the last one"
    )
