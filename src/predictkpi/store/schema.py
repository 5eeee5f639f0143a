"""The store's SQL tables, generated from `predictkpi.tables.TABLES`; migrations/ holds how a database gets there."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.store.versions import CONTENT_HASH
from predictkpi.tables import TABLES

VERSION_ID = "version_id"
LOAD_ID = "load_id"

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(sa.types.TypeDecorator[pd.Timestamp]):
    """A naive company-local timestamp: TIMESTAMP where the database has one, microseconds since 1970 in SQLite.

    Bound values may be `pandas.Timestamp` or `datetime`.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[int] | sa.types.TypeEngine[dt.datetime]:
        """An integer in SQLite, a timestamp without time zone elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.BigInteger())
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> int | dt.datetime | None:
        """Count microseconds for SQLite."""
        if value is None:
            return None
        instant = pd.Timestamp(value)
        return int(instant.as_unit("us").asm8.view("int64")) if dialect.name == "sqlite" else instant.to_pydatetime()

    def process_result_value(self, value: int | dt.datetime | None, dialect: sa.Dialect) -> pd.Timestamp | None:
        """The instant that was bound."""
        if value is None:
            return None
        return pd.Timestamp(value, unit="us") if isinstance(value, int) else pd.Timestamp(value)


BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: dict[str, type[sa.types.TypeEngine]] = {"string": sa.Text, "number": sa.Double, "instant": Instant}


def _fact_table(schema: TableSchema) -> sa.Table:
    return sa.Table(
        schema.name,
        METADATA,
        sa.Column(VERSION_ID, BIG_ID, primary_key=True, autoincrement=True),
        *(sa.Column(column.name, _TYPES[column.kind](), nullable=not column.required) for column in schema.columns),
        sa.Column(c.KNOWN_AT, Instant(), nullable=False),
        sa.Column(LOAD_ID, sa.Integer, nullable=False),
        sa.Column(CONTENT_HASH, sa.BigInteger, nullable=False),
        # An index and no constraint, for a first load fills the table before it makes the index.
        sa.Index(f"uq_{schema.name}_{'_'.join(schema.key)}_known_at", *schema.key, c.KNOWN_AT, unique=True),
    )


FACT_TABLES: dict[str, sa.Table] = {name: _fact_table(schema) for name, schema in TABLES.items()}

NEWEST_KNOWN_AT = "newest_known_at"
LOADS = sa.Table(
    "loads",
    METADATA,
    sa.Column(LOAD_ID, sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("loaded_at", Instant(), nullable=False),
    sa.Column("exported_at", Instant()),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("is_refused", sa.Boolean, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("unchanged", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column(NEWEST_KNOWN_AT, Instant()),
)

REJECT_ID, RECORD, REPLAYED_IN = "reject_id", "record", "replayed_in"
REJECT_FIELDS = ["file", "row", "table", "field", "value", "reason"]
REJECTS = sa.Table(
    "rejects",
    METADATA,
    sa.Column(REJECT_ID, BIG_ID, primary_key=True, autoincrement=True),
    sa.Column(LOAD_ID, sa.Integer, nullable=False, index=True),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("row", sa.BigInteger, nullable=False),
    sa.Column("table", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column(RECORD, sa.Text),
    sa.Column(REPLAYED_IN, sa.Integer),
)

COMPANY = sa.Table(
    "company",
    METADATA,
    sa.Column("company_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("fiscal_year_starts", sa.Integer, nullable=False),
    sa.Column("country", sa.Text),
)

MARKS = sa.Table(
    "marks",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("object", sa.Text, primary_key=True),
    sa.Column("mark", sa.Text, nullable=False),
)

WITHDRAWALS = sa.Table(
    "withdrawals",
    METADATA,
    sa.Column("withdrawal_id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("table", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("is_withdrawn", sa.Boolean, nullable=False),
    sa.Column(c.KNOWN_AT, Instant(), nullable=False),
    sa.Column(LOAD_ID, sa.Integer, nullable=False),
    sa.Index(None, "table"),
)

PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column(c.PREDICTION_ID, BIG_ID, primary_key=True, autoincrement=True),
    sa.Column(c.PREDICTOR, sa.Text, nullable=False),
    sa.Column(c.ENTITY_ID, sa.Text, nullable=False),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column(c.HORIZON, sa.Integer, nullable=False),
    sa.Column(c.STATISTIC, sa.Text, nullable=False),
    sa.Column(c.VALUE, sa.Double),
    sa.Column(c.MODEL_VERSION, sa.Text, nullable=False),
    sa.Column(c.STATUS, sa.Text, nullable=False),
    sa.Column(c.REASON, sa.Text, nullable=False),
    sa.UniqueConstraint(c.PREDICTOR, c.MODEL_VERSION, c.AS_OF, c.ENTITY_ID, c.HORIZON, c.STATISTIC, name="uq_predictions_statement"),
)

SCORINGS = sa.Table(
    "scorings",
    METADATA,
    sa.Column("scoring_id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column(c.PREDICTOR, sa.Text, nullable=False),
    sa.Column(c.MODEL_VERSION, sa.Text, nullable=False),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column(c.ROLE, sa.Text, nullable=False),
    sa.Column(c.INPUTS_DIGEST, sa.Text),
    sa.Column("scored_at", Instant()),
    sa.UniqueConstraint(c.PREDICTOR, c.MODEL_VERSION, c.AS_OF),
)

ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column(c.PREDICTION_ID, sa.Text, primary_key=True),
    sa.Column(c.PREDICTOR, sa.Text, nullable=False),
    sa.Column(c.MODEL_VERSION, sa.Text, nullable=False),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column(c.ENTITY_ID, sa.Text, nullable=False),
    sa.Column(c.INPUTS_DIGEST, sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("first_served_at", Instant(), nullable=False),
    sa.Column("last_served_at", Instant(), nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False),
    sa.Index(None, c.PREDICTOR, c.MODEL_VERSION, c.AS_OF),
)

SCOREBOARDS = sa.Table(
    "scoreboards",
    METADATA,
    sa.Column(c.PREDICTOR, sa.Text, primary_key=True),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column("made_at", Instant(), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)

WATCHED = sa.Table(
    "watched",
    METADATA,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column("made_at", Instant(), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)

AUDIT = sa.Table(
    "audit_log",
    METADATA,
    sa.Column("audit_id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index(None, "subject"),
)

API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("key_hash", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("scope_kind", sa.Text),
    sa.Column("scope_members", sa.Text, nullable=False),
    sa.Column("per_minute", sa.Integer),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("expires_at", Instant()),
    sa.Column("revoked_at", Instant()),
    sa.UniqueConstraint("key_hash"),
)

ACCESS_LOG = sa.Table(
    "access_log",
    METADATA,
    sa.Column("day", Instant(), primary_key=True),
    sa.Column("actor", sa.Text, primary_key=True),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("status", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first_at", Instant(), nullable=False),
    sa.Column("last_at", Instant(), nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False),
)

REPEATABLE = sa.Table(
    "repeatable",
    METADATA,
    sa.Column("request_key", sa.Text, primary_key=True),
    sa.Column("body_digest", sa.Text, nullable=False),
    sa.Column("asked_at", Instant(), nullable=False),
    sa.Column("answer", sa.LargeBinary),
    sa.Index(None, "asked_at"),
)

OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column("outbox_id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("queued_at", Instant(), nullable=False),
    sa.Column("due_at", Instant(), nullable=False),
    sa.Column("claimed_until", Instant()),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("ended_at", Instant()),
    sa.UniqueConstraint("message_id"),
    sa.Index(None, "state", "due_at"),
)

WRITTEN_BACK = sa.Table(
    "written_back",
    METADATA,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("object", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("field", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column(c.AS_OF, Instant(), nullable=False),
    sa.Column(c.MODEL_VERSION, sa.Text, nullable=False),
    sa.Column("written_at", Instant(), nullable=False),
)

ERASURES = sa.Table(
    "erasures",
    METADATA,
    sa.Column("erasure_id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("salt", sa.Text, nullable=False),
    sa.Column("erased_at", Instant(), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("counts", sa.Text),
    sa.UniqueConstraint("digest"),
)
