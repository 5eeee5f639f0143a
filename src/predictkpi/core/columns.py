"""Column names, spelled once. Use as ``from predictkpi.core import columns as c``."""

from __future__ import annotations

# the two times on every fact
DS = "ds"
KNOWN_AT = "known_at"

# flags a version that states that the record was deleted in its source; absent where none was
IS_DELETED = "is_deleted"

# customers
CUSTOMER_ID = "customer_id"
NAME = "name"
SEGMENT = "segment"
REGION = "region"
INDUSTRY = "industry"
CHANNEL = "channel"
CREATED_AT = "created_at"

# orders
ORDER_ID = "order_id"
AMOUNT = "amount"
CURRENCY = "currency"
PRODUCT = "product"

# deals and their events
DEAL_ID = "deal_id"
EVENT_ID = "event_id"
STAGE = "stage"
OWNER = "owner"
TEAM = "team"
SOURCE = "source"
EXPECTED_CLOSE_ON = "expected_close_on"

# activities
ACTIVITY_ID = "activity_id"
KIND = "kind"
DIRECTION = "direction"
OUTCOME = "outcome"

# spend, targets, rates
COST = "cost"
KPI = "kpi"
SCOPE = "scope"
FREQ = "freq"
VALUE = "value"
RATE = "rate"

# attributes: the fields that only this company has
TABLE = "table"

# series
UNIQUE_ID = "unique_id"
Y = "y"

# predictions and outcomes
PREDICTOR = "predictor"
ENTITY_ID = "entity_id"
AS_OF = "as_of"
HORIZON = "horizon"
STATISTIC = "statistic"
MODEL_VERSION = "model_version"
STATUS = "status"
REASON = "reason"
IS_MATURE = "is_mature"
ROLE = "role"
PREDICTION_ID = "prediction_id"
INPUTS_DIGEST = "inputs_digest"

# KPI series
DIMENSION = "dimension"
MEMBER = "member"
LOW = "low"
HIGH = "high"
N = "n"

# reserved stages of a deal; every other stage is an open one
WON = "won"
LOST = "lost"
CLOSED_STAGES = (WON, LOST)

TOTAL = "total"

PREDICTION_COLUMNS = [PREDICTOR, ENTITY_ID, AS_OF, HORIZON, STATISTIC, VALUE, MODEL_VERSION, STATUS, REASON]
OUTCOME_COLUMNS = [ENTITY_ID, AS_OF, HORIZON, STATISTIC, VALUE, IS_MATURE]
KPI_COLUMNS = [KPI, DS, DIMENSION, MEMBER, VALUE, LOW, HIGH, N, STATUS]
