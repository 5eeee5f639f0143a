"""Every body the API takes or gives. Instants are local time of the company; a missing number is null, never NaN."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SkipValidation, WithJsonSchema

from predictkpi.core.types import Status
from predictkpi.pipelines.card import ModelCard
from predictkpi.service.instants import IsoInstant

Unit = Literal["currency", "probability", "days", "months", "count", "share", "ratio"]
MAX_BATCH = 10_000
MAX_TEXT = 2000


class Answer(BaseModel):
    """What every answer has in common: no field beyond the documented ones."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ProblemItem(Answer):
    """One wrong value."""

    detail: str = Field(description="what is wrong with it", examples=["must not be after as_of (2026-01-01T00:00:00)"])
    pointer: str | None = Field(None, description="JSON pointer into the body", examples=["#/created_at"])
    parameter: str | None = Field(None, description="name of the path or query parameter")


class Problem(BaseModel):
    """RFC 9457 problem details; every error of this service has this shape and the type application/problem+json."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="stable address of a page that explains the problem", examples=["/problems/unknown-entity"])
    title: str = Field(description="the same for every problem of this type", examples=["No such customer, deal or series"])
    status: int = Field(description="the HTTP status", examples=[404])
    detail: str = Field(description="what happened this time, and the way out", examples=["no deal 'D-99' is known as of 2026-01-01"])
    instance: str = Field(description="the path that was asked", examples=["/v1/deals/D-99/close-time"])
    request_id: str = Field(description="also in the X-Request-ID header and in the log", examples=["5f2b3c0a8a5e4b0f9d6c1e2f3a4b5c6d"])
    errors: list[ProblemItem] | None = Field(None, description="each wrong value, for problems with the request")
    missing: list[str] | None = Field(None, description="what the service still lacks, while it is not ready")


class Model(Answer):
    """Which model version gave the answer."""

    name: str = Field(description="registered name, the predictor's", examples=["close_time"])
    version: str = Field(description="version in the registry", examples=["3"])
    kind: Literal["model", "baseline"] = Field(description="'baseline' where no model has beaten the baseline", examples=["model"])
    reason: str = Field(description="why a baseline is served; empty for a model", examples=[""])


class Prediction(Answer):
    """All numbers for one horizon."""

    horizon: int = Field(description="count of time_unit after as_of", examples=[30])
    until: datetime = Field(description="exclusive end of the horizon: as_of + horizon", examples=["2026-01-31T00:00:00"])
    status: Status = Field(description="rung of the ladder for this horizon", examples=["full"])
    values: dict[str, float | None] = Field(
        description="statistic -> number, in the unit that `units` gives; null where the model has no number to give",
        examples=[{"cif_won": 0.31, "cif_lost": 0.12}],
    )
    dates: dict[str, date | None] = Field(
        default_factory=dict,
        description="statistic -> calendar day, for each statistic in days: as_of + value",
        examples=[{"close_q50": "2026-02-11"}],
    )
    notes: dict[str, str] = Field(
        default_factory=dict,
        description="statistic -> what is odd about it: why it is null, or how it was counted",
        examples=[{"p_slip": "the expected close date has passed, so the deal has slipped"}],
    )


class Curve(Answer):
    """The statistics that every horizon has, at each of them: day by day from 1 to the longest."""

    horizons: list[int] = Field(description="counts of time_unit after as_of: 1, 2, 3, ...", examples=[[1, 2, 3]])
    values: dict[str, list[float | None]] = Field(
        description="statistic -> one number per horizon; for a deal cif_won and cif_lost never fall, and with p_open add up to 1",
        examples=[{"cif_won": [0.001, 0.004, 0.009], "cif_lost": [0.002, 0.004, 0.007], "p_open": [0.997, 0.992, 0.984]}],
    )


class Reason(Answer):
    """What speaks for or against an entity, in a statistic's unit; with the one named ``baseline`` they add up to the prediction."""

    statistic: str = Field(examples=["cif_won"])
    horizon: int = Field(description="counts of time_unit after as_of", examples=[90])
    name: str = Field(description="key of the reason; ``baseline`` is where all start from", examples=["time_in_stage"])
    title: str = Field(description="in plain words, in the language asked for", examples=["time in the stage"])
    contribution: float = Field(description="signed, in the statistic's unit: -.04 takes 4 percentage points off", examples=[-0.04])


class PredictionEnvelope(Answer):
    """The one shape of every prediction, whatever the predictor."""

    prediction_id: str = Field(
        description="names this answer in the log and on the scoreboard: the same question with the same inputs, asked of the same version "
        "as of the same instant, has the same id",
        examples=["9f2c4e0b7a51d3486c0e5d92b1f7a836"],
    )
    inputs_digest: str = Field(
        description="stands for what the version was given to predict from; another one means that the data or the request has changed",
        examples=["adaa78cdfc1d3f83"],
    )
    predictor: str = Field(examples=["close_time"])
    entity_id: str = Field(description="deal, customer or series", examples=["D-1042"])
    entity: Literal["series", "customer", "deal"] = Field(examples=["deal"])
    label: str = Field(description="the entity's name for people; its id where it has none", examples=["Brightline: Platform rollout"])
    as_of: datetime = Field(description="only what was known before this instant is used", examples=["2026-01-01T00:00:00"])
    time_unit: Literal["month", "day"] = Field(description="unit of every horizon", examples=["day"])
    currency: str = Field(description="ISO 4217 code of every statistic whose unit is 'currency'", examples=["EUR"])
    headline: str = Field(description="the statistic to show first", examples=["cif_won"])
    units: dict[str, Unit] = Field(description="statistic -> unit", examples=[{"cif_won": "probability", "cif_lost": "probability"}])
    model: Model
    status: Status = Field(
        description="lowest rung of the ladder among the horizons: full, limited, baseline, prior, insufficient_data", examples=["full"]
    )
    reason: str = Field(description="why the status is not full; empty when it is", examples=[""])
    predictions: list[Prediction] = Field(description="ascending horizons")
    curve: Curve | None = Field(None, description="where it was asked for")
    reasons: list[Reason] | None = Field(
        None, description="where they were asked for, by statistic, the weightiest first; empty where the model has none to give"
    )


class PredictionList(Answer):
    """Several predictions as of the same instant."""

    as_of: datetime
    items: list[PredictionEnvelope]


def _plain(value: object) -> bool | float | str | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        value.encode()  # a ValueError for half of a surrogate pair, which no answer could repeat
        return value.strip()
    if isinstance(value, int | float) and abs(value) < 1e15:
        return float(value)
    raise ValueError(f"must be a number between -1e15 and 1e15, true or false, text of at most {MAX_TEXT} signs, or null")


OwnValue = Annotated[
    bool | float | str | None,
    PlainValidator(_plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": -1e15, "exclusiveMaximum": 1e15},
                {"type": "boolean"},
                {"type": "string", "maxLength": MAX_TEXT},
                {"type": "null"},
            ]
        }
    ),
]
"""A value of one of the company's own fields; whether it is of that field's kind is for the store to say."""


NotBlank = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"})]
"""Text of which something is left without the blanks around it: what the length alone does not say to a caller."""


class DealEventIn(BaseModel):
    """One change of the deal. What it leaves out is as stated for the deal itself."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    at: IsoInstant = Field(description="when it happened; local time of the company, or with an offset", examples=["2025-11-20T10:30:00"])
    stage: NotBlank = Field(description="stage after the change", examples=["Qualified"])
    amount: float | None = Field(
        None, ge=0, lt=1e15, strict=True, allow_inf_nan=False, description="deal value after the change", examples=[38000]
    )
    expected_close_on: IsoInstant | None = Field(None, description="the rep's expected close date after the change")
    owner: str | None = Field(None, max_length=200, description="the rep who owns the deal after the change")


class ActivityIn(BaseModel):
    """A call, email, meeting or the like about the deal."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    at: IsoInstant = Field(description="when it took place", examples=["2025-12-01T14:00:00"])
    kind: NotBlank = Field(description="spelled as in the store", examples=["call"])


def _empty_list(value: object) -> object:
    return [] if value is None else value


def _empty_object(value: object) -> object:
    return {} if value is None else value


def _or_null(schema: dict[str, Any]) -> None:
    """A CRM that has nothing to say of them may say null."""
    kept = {name: schema.pop(name) for name in tuple(schema) if name not in ("title", "description", "examples")}
    schema["anyOf"] = [kept, {"type": "null"}]


class DealIn(BaseModel):
    """A deal as the CRM holds it now. Fields the CRM has no value for are left out or null: the answer's status says what that costs."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "example": {
                "deal_id": "CRM-7781",
                "created_at": "2025-11-12T09:00:00",
                "stage": "Proposal",
                "amount": 42000,
                "owner": "Dana Fields",
                "source": "inbound",
                "product": "Platform",
                "region": "EMEA",
                "expected_close_on": "2026-02-15",
                "events": [
                    {"at": "2025-11-12T09:00:00", "stage": "Qualified", "amount": 38000},
                    {"at": "2025-12-03T16:20:00", "stage": "Proposal", "amount": 42000},
                ],
            }
        },
    )

    deal_id: NotBlank | None = Field(None, description="returned as entity_id; need not be known to the store")
    name: str | None = Field(None, max_length=400, description="returned as label")
    created_at: IsoInstant | None = Field(
        None,
        description="when the deal was opened; local time of the company, or with an offset. Without it the deal counts as opened at its "
        "first event, or just before as_of, and the answer is `limited`",
    )
    stage: NotBlank | None = Field(
        None,
        description="the stage it is in now, spelled as in the store. Without it that of the newest event counts; without any the answer "
        "rests on deals of all stages and is `limited`",
    )
    amount: float | None = Field(None, ge=0, lt=1e15, strict=True, allow_inf_nan=False, description="deal value in the reporting currency")
    owner: str | None = Field(None, max_length=200, description="the rep")
    source: str | None = Field(None, max_length=200, description="where the lead came from")
    product: str | None = Field(None, max_length=200, description="product or product line")
    region: str | None = Field(None, max_length=200, description="sales region")
    team: str | None = Field(None, max_length=200, description="sales team")
    customer_id: str | None = Field(None, max_length=200, description="the account; need not be known to the store")
    expected_close_on: IsoInstant | None = Field(None, description="the rep's expected close date")
    attributes: Annotated[dict[Annotated[str, Field(max_length=200)], OwnValue], BeforeValidator(_empty_object)] = Field(
        default_factory=dict,
        max_length=1000,
        json_schema_extra=_or_null,
        description="values of your own fields of deals, by the name the mapping gives them: a number, true or false, an ISO date, or text",
        examples=[{"lead_score": 71, "has_budget": True}],
    )
    events: Annotated[list[DealEventIn], BeforeValidator(_empty_list)] = Field(
        default_factory=list,
        max_length=1000,
        json_schema_extra=_or_null,
        description="the deal's changes so far, in any order; the newest must be in `stage`. Without it the deal counts as in `stage` "
        "since created_at",
    )
    activities: Annotated[list[ActivityIn], BeforeValidator(_empty_list)] = Field(
        default_factory=list,
        max_length=1000,
        json_schema_extra=_or_null,
        description="what was done about the deal so far; without any it counts as untouched",
    )


class DealBatchIn(BaseModel):
    """Deals to predict in one call; each is checked on its own, so one bad deal spoils none."""

    model_config = ConfigDict(extra="forbid")

    deals: list[Annotated[DealIn, SkipValidation]] = Field(min_length=1, max_length=MAX_BATCH)


class BatchItem(Answer):
    """What came of one deal of the batch: a prediction or a problem, never both."""

    index: int = Field(description="position in the request", examples=[0])
    prediction: PredictionEnvelope | None = None
    problem: Problem | None = None


class BatchOut(Answer):
    """One item per deal, in the order of the request."""

    as_of: datetime
    succeeded: int
    failed: int
    items: list[BatchItem]


class ModelVersion(BaseModel):
    """A registered version; further members are what the registry knows of it."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    version: str
    is_champion: bool = Field(description="carries the alias `champion`: this one is served")


class PredictorModels(Answer):
    """One predictor with its versions."""

    predictor: str
    title: dict[str, str]
    entity: Literal["series", "customer", "deal"]
    champion: Model | None = Field(description="what is served; null before the first training")
    versions: list[ModelVersion] = Field(description="newest first")


class ModelCardOut(Answer):
    """A registered version and its model card."""

    predictor: str
    version: ModelVersion
    card: ModelCard | None = Field(description="null for a version whose training wrote none")


class ModelList(Answer):
    """Every predictor of the catalogue."""

    items: list[PredictorModels]


class Live(Answer):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(Answer):
    """Data and champions are there."""

    status: Literal["ready"] = "ready"
    as_of: datetime
    company: str
    champions: dict[str, Model]
    impossible: dict[str, str] = Field(description="predictors that the data has too little history for, and why")
    warning: str | None = Field(
        None, description="what is amiss, such as a store or registry that is away, so that the last good state is served"
    )
