"""The YAML of a write-back: which numbers go to which fields of which objects, in which unit, and how small a change is not worth writing.

::

    target: {kind: salesforce, domain: acme.my}      # as the source: block of a sync; the secrets are in the same variables
    records:
      - predictor: close_time
        object: Opportunity
        fields:
          Win_Chance__c: {value: p_win, as: percent, dead_band: 2}
          Close_Date__c: {value: close_q50, as: date, dead_band: 3}
          Predicted_As_Of__c: as_of
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from predictkpi.core import columns as c
from predictkpi.core.types import Spec
from predictkpi.delivery.crm import Value
from predictkpi.errors import MappingError
from predictkpi.pipelines.rules import read_yaml
from predictkpi.predictors import predictor_class

Unit = Literal["number", "percent", "date", "datetime", "text"]
TEXTS = (c.STATUS, c.REASON, c.MODEL_VERSION)
COMPANIONS = (c.AS_OF, c.MODEL_VERSION, c.REASON)
"""Values that are written with the others and never make a record be written."""
_DECIMALS = {"probability": 4, "share": 4, "currency": 2, "days": 1, "count": 2}
_RELATIVE = re.compile(r"(\d+(?:\.\d+)?) ?%")
_DAY = pd.Timedelta(days=1)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldRule(_Strict):
    """One field of the CRM: a statistic of the predictor, or status, reason, model_version or as_of."""

    value: str = Field(description="a statistic (p_win, close_q50, mean, ...), or status, reason, model_version, as_of")
    horizon: int | None = Field(None, ge=1, description="of a statistic that is given for several")
    as_: Unit | None = Field(None, alias="as", description="number, percent (times 100), date (as_of plus days), datetime (UTC), text")
    decimals: int | None = Field(None, ge=0, le=10, description="of a number or percent")
    dead_band: float | str = Field(0.0, description="a change that is not worth writing: in the field's unit (points, days), or 5 % of it")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """``Field: p_win`` for ``Field: {value: p_win}``."""
        return {"value": given} if isinstance(given, str) else given

    @field_validator("dead_band")
    @classmethod
    def _is_band(cls, band: float | str) -> float | str:
        if isinstance(band, str) and not _RELATIVE.fullmatch(band):
            raise ValueError("write a number in the field's unit, or a share of the value such as 5 %")
        if isinstance(band, float) and band < 0:
            raise ValueError("must not be below 0")
        return band

    @property
    def unit(self) -> Unit:
        """``as``, or what the value suggests."""
        if self.as_ is not None:
            return self.as_
        return "text" if self.value in TEXTS else "date" if self.value == c.AS_OF else "number"

    def has_moved(self, before: Value, after: Value) -> bool:
        """Whether the change is beyond the dead band; a value that comes or goes always is, a companion never."""
        if self.value in COMPANIONS or before == after:
            return False
        if before is None or after is None or self.unit == "text":
            return True
        if self.unit in ("date", "datetime"):
            return abs(pd.Timestamp(after) - pd.Timestamp(before)) > float(self.dead_band) * _DAY
        relative = _RELATIVE.fullmatch(self.dead_band) if isinstance(self.dead_band, str) else None
        band = float(relative[1]) / 100 * abs(float(before)) if relative else float(self.dead_band)
        return round(abs(float(after) - float(before)), 9) > band


class RecordRule(_Strict):
    """The records of one object, and their fields."""

    predictor: str
    object: str = Field(pattern=r"^\w+$", description="the CRM's own name of it: Opportunity, deals")
    fields: dict[str, FieldRule] = Field(min_length=1)

    @property
    def is_about_deals(self) -> bool:
        """Whether records may have been closed meanwhile."""
        return predictor_class(self.predictor).spec.entity == "deal"


class WriteBackRules(_Strict):
    """The whole file."""

    target: dict[str, Any]
    records: tuple[RecordRule, ...] = Field(min_length=1)


def read_write_back(path: Path) -> WriteBackRules:
    """The rules in that file; raises `MappingError` that names file, key and way out, `UnknownNameError` for a predictor."""
    if not path.is_file():
        raise MappingError(f"{path}: no such file")
    try:
        rules = WriteBackRules.model_validate(dict(read_yaml(path)))
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg'].removeprefix('Value error, ')}" for wrong in error.errors()]
        raise MappingError("\n".join(lines)) from error
    for record in rules.records:
        spec = predictor_class(record.predictor).spec
        if spec.entity == "series":
            raise MappingError(f"{path}: {record.predictor} predicts series, which a CRM has no records of")
        for name, rule in record.fields.items():
            if reason := _misfit(rule, spec):
                raise MappingError(f"{path}: {record.object}.{name}: {reason}")
    return rules


def _misfit(rule: FieldRule, spec: Spec) -> str:
    """Why the rule does not fit its value; empty where it does."""
    units = {statistic.name: statistic.unit for statistic in spec.statistics}
    if rule.value not in (*units, *TEXTS, c.AS_OF):
        return f"{spec.name} has no {rule.value!r}; there are: {', '.join([*units, *TEXTS, c.AS_OF])}"
    unit = units.get(rule.value, "instant" if rule.value == c.AS_OF else "text")
    fitting = {"text": ("text",), "instant": ("date", "datetime"), "days": ("number", "date")}.get(unit, ("number", "percent"))
    if rule.unit not in fitting:
        return f"{rule.value} can be written as {' or '.join(fitting)}, not as {rule.unit}"
    if isinstance(rule.dead_band, str) and rule.unit not in ("number", "percent"):
        return f"a dead band of a {rule.unit} is a number of days, or left out"
    return ""


def field_values(rule: FieldRule, spec: Spec, rows: pd.DataFrame, *, time_zone: str) -> dict[str, Value]:
    """The field's value by entity, as it is sent, out of one scoring's predictions (``rows``: one version and as_of, not empty)."""
    as_of = rows[c.AS_OF].iloc[0]
    if rule.value in (*TEXTS, c.AS_OF):
        headline = rows[(rows[c.STATISTIC] == spec.headline) & (rows[c.HORIZON] == max(spec.horizons))].set_index(c.ENTITY_ID)
        if rule.value == c.AS_OF:
            return dict.fromkeys(headline.index, _instant(as_of, rule.unit, time_zone))
        return {str(entity): str(text) for entity, text in headline[rule.value].items()}
    of_statistic = rows[rows[c.STATISTIC] == rule.value]
    horizons = sorted(of_statistic[c.HORIZON].unique().tolist())
    if not horizons:
        raise MappingError(f"{rule.value} is not among what {spec.name} has predicted of these books")
    if rule.horizon not in horizons and not (rule.horizon is None and len(horizons) == 1):
        raise MappingError(f"{rule.value} of {spec.name}: state its horizon, one of {', '.join(map(str, horizons))}")
    chosen = of_statistic if rule.horizon is None else of_statistic[of_statistic[c.HORIZON] == rule.horizon]
    decimals = rule.decimals if rule.decimals is not None else _decimals(rule, spec)
    found = zip(chosen[c.ENTITY_ID], chosen[c.VALUE], strict=True)
    return {str(entity): _number(value, rule, decimals, as_of) for entity, value in found}


def changed(rules: Mapping[str, FieldRule], before: Mapping[str, Value], after: Mapping[str, Value]) -> Sequence[str]:
    """Fields that have moved beyond their dead band since they were written."""
    return [name for name, rule in rules.items() if rule.has_moved(before.get(name), after.get(name))]


def _decimals(rule: FieldRule, spec: Spec) -> int:
    unit = next(statistic.unit for statistic in spec.statistics if statistic.name == rule.value)
    return max(_DECIMALS[unit] - 2, 0) if rule.unit == "percent" else _DECIMALS[unit]


def _number(value: float, rule: FieldRule, decimals: int, as_of: pd.Timestamp) -> Value:
    if pd.isna(value):
        return None
    if rule.unit == "date":
        return str((as_of + pd.Timedelta(days=float(value))).date())
    return round(float(value) * (100 if rule.unit == "percent" else 1), decimals)


def _instant(as_of: pd.Timestamp, unit: Unit, time_zone: str) -> str:
    """The company's local day, or the instant as UTC."""
    if unit == "date":
        return str(as_of.date())
    return as_of.tz_localize(time_zone, ambiguous=False, nonexistent="shift_forward").tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
