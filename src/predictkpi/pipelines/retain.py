"""Retain: delete what is older than its table's period in models/retention.yaml; nothing that is still to be judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from predictkpi.core.types import Spec
from predictkpi.errors import SettingsError
from predictkpi.pipelines.rules import RETENTION, read_rule
from predictkpi.predictors import predictor_class, predictor_names

if TYPE_CHECKING:
    from predictkpi.store import Store

DAYS_IN = {"day": 1.0, "week": 7.0, "month": 365.25 / 12}
MARGIN = 30
"""Days after the last horizon has passed, in which a scoreboard will have been made."""
_PREDICTED = ("predictions", "scorings")


class RetentionRule(BaseModel):
    """Days that each table keeps its rows; None for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: PositiveInt | None = Field(400, description="served answers, since they were last served")
    predictions: PositiveInt | None = Field(800, description="predictions of batches, and that they were made")
    rejects: PositiveInt | None = Field(365, description="rejected rows, since the load that brought them")
    audit_log: PositiveInt | None = Field(1095, description="who changed what")
    access_log: PositiveInt | None = Field(400, description="who asked for what, since the last time")
    outbox: PositiveInt | None = Field(
        90, description="messages to the webhook that were delivered or are dead, since they were queued; those that wait are kept"
    )
    orders: PositiveInt | None = Field(None, description="orders, since they happened: KPIs and models know them no more")
    activities: PositiveInt | None = Field(None, description="activities, since they took place")
    spend: PositiveInt | None = Field(None, description="spend, since its day")


@dataclass(frozen=True)
class Retained:
    """What became of one table (of one predictor, where that matters): rows older than ``before`` were deleted."""

    table: str
    predictor: str
    days: int
    before: pd.Timestamp
    rows: int
    note: str = ""


def retain(store: Store, models_dir: Path, *, now: pd.Timestamp, dry_run: bool = False) -> list[Retained]:
    """Delete what is too old, in short transactions: safe while serving, and to be done again after an interruption.

    ``now`` is naive local time of the company. Raises `SettingsError` for a period of predictions that would take some away before they can
    be judged. Answers about horizons that have not passed are kept beyond their period, and the report says so.
    """
    path = models_dir / RETENTION
    rule = read_rule(RetentionRule, path)
    _check(rule, path)
    found = []
    for table, days in rule.model_dump().items():
        if days is None:
            continue
        for name in predictor_names() if table in ("answers", "predictions") else ("",):
            least = needed_days(predictor_class(name)().spec) if name else 0
            note = f"{least} days, until its longest horizon has passed" if least > days else ""
            before = now - pd.Timedelta(days=max(days, least))
            for each in _PREDICTED if table == "predictions" else (table,):
                rows = store.delete_older(each, before, predictor=name or None, dry_run=dry_run)
                found.append(Retained(each, name, max(days, least), before, rows, note))
    return found


def needed_days(spec: Spec) -> int:
    """How long what a predictor said must be kept: until its longest horizon has passed, and `MARGIN`."""
    return round(max(spec.horizons) * DAYS_IN[spec.time_unit]) + MARGIN


def _check(rule: RetentionRule, path: Path) -> None:
    least = {name: needed_days(predictor_class(name)().spec) for name in predictor_names()}
    longest = max(least, key=lambda name: least[name])
    if rule.predictions is not None and rule.predictions < least[longest]:
        raise SettingsError(
            f"{path}: predictions={rule.predictions}: at least {least[longest]} days are needed: predictions of {longest} are judged when "
            f"their longest horizon has passed, and {MARGIN} days after it; leave the line out for the default, or write null to keep them"
        )
