"""`Store`: one database of facts and predictions, and the snapshots taken from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pandas as pd
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import ConflictError, DataError, SchemaError, SettingsError
from predictkpi.snapshot import Facts, Snapshot
from predictkpi.store.frames import in_chunks, insert_frame, read_frame
from predictkpi.store.loading import Counts, Load, open_load, read_company
from predictkpi.store.schema import FACT_TABLES, LOAD_ID, LOADS, PREDICTIONS, REJECT_FIELDS, REJECTS, VERSION_ID
from predictkpi.store.versions import OUTCOME, REJECTED, Learning
from predictkpi.tables import TABLES, table_schema

_MIGRATIONS = Path(__file__).parent / "migrations"
_SECONDS_TO_WAIT_FOR_A_WRITER = 30


class Store:
    """Facts and predictions at an SQLAlchemy URL. Opening it touches nothing; `migrate` creates or upgrades the database.

    May be shared by threads. Readers never wait for a load and never see half of one.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
            self._engine = _engine(self.url)
        except (sa.exc.ArgumentError, ImportError) as error:
            first_line = str(error).splitlines()[0]
            raise SettingsError(f"no usable database URL ({first_line}); write one such as sqlite:///var/predictkpi.db") from error

    def __repr__(self) -> str:
        return f"Store({self.url.render_as_string(hide_password=True)!r})"

    def migrate(self) -> None:
        """Bring the database to the newest schema; creates the file and its folder where the URL names a SQLite file."""
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            try:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(f"{self!r}: the folder of the database cannot be made: {error}") from error
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Let go of all connections; the store may be used again afterwards."""
        self._engine.dispose()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been loaded yet (or the database does not exist)."""
        return self.company is None

    @property
    def company(self) -> Company | None:
        """Whose books these are, as the last load stated it; None before the first load."""
        with self._reading() as connection:
            return read_company(connection) if connection is not None else None

    def counts(self) -> dict[str, int]:
        """Stored versions by fact table."""
        with self._reading() as connection:
            if connection is None:
                return dict.fromkeys(FACT_TABLES, 0)
            return {
                name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for name, table in FACT_TABLES.items()
            }

    def rejects(self, limit: int = 100) -> pd.DataFrame:
        """Newest rejects first, the rows of one load in file order: ``load_id, file, row, table, field, value, reason``."""
        columns = [REJECTS.c[name] for name in [LOAD_ID, *REJECT_FIELDS]]
        with self._reading() as connection:
            if connection is None:
                return pd.DataFrame(columns=[LOAD_ID, *REJECT_FIELDS])
            return read_frame(connection, sa.select(*columns).order_by(REJECTS.c[LOAD_ID].desc(), REJECTS.c["reject_id"]).limit(limit))

    def loads(self, limit: int = 100) -> pd.DataFrame:
        """The book of loads, newest first, with their counts; a refused load brought only its rejects."""
        with self._reading() as connection:
            if connection is None:
                return pd.DataFrame(columns=LOADS.c.keys())
            return read_frame(connection, sa.select(LOADS).order_by(LOADS.c[LOAD_ID].desc()).limit(limit))

    def facts(self) -> Facts:
        """All versions of all facts; raises `DataError` on an empty store."""
        company = self.company
        if company is None:
            raise DataError(f"{self!r} holds no facts yet: load some with `predictkpi ingest` or `predictkpi demo`")
        return _StoredFacts(self._engine, company)

    def default_as_of(self) -> pd.Timestamp:
        """The first midnight after everything that happened became known; raises `DataError` on an empty store.

        Targets and exchange rates do not count: they may be known long before or after the business they speak of.
        """
        facts = self.facts()
        newest = [sa.select(sa.func.max(table.c[c.KNOWN_AT])) for name, table in FACT_TABLES.items() if name in _HAPPENED]
        with self._engine.connect() as connection:
            instants = [connection.execute(statement).scalar() for statement in newest]
        found = [pd.Timestamp(instant) for instant in instants if instant is not None]
        if not found:
            raise DataError(f"{self!r} of {facts.company.name} holds no customers, orders, deals or spend: there is no day to look from")
        return max(found).normalize() + pd.Timedelta(days=1)

    def snapshot(self, as_of: pd.Timestamp | None = None) -> Snapshot:
        """Everything known before ``as_of``, by default before `default_as_of`."""
        return Snapshot(self.facts(), self.default_as_of() if as_of is None else as_of)

    @contextmanager
    def begin_load(
        self, *, company: Company, now: pd.Timestamp, exported_at: pd.Timestamp | None = None, mapping: str = "", source: str = ""
    ) -> Iterator[Load]:
        """A load in one transaction: committed when the block ends, without a trace when it raises."""
        learning = Learning(learnt_at=now if exported_at is None else exported_at, now=now)
        try:
            with self._engine.begin() as connection:
                yield open_load(connection, company=company, learning=learning, exported_at=exported_at, mapping=mapping, source=source)
        except sa.exc.OperationalError as error:
            if "locked" in str(error):
                raise ConflictError(f"{self!r} is being written by another load; try again when that is done") from error
            raise

    def load(self, tables: Mapping[str, pd.DataFrame], *, company: Company, now: pd.Timestamp, source: str = "memory") -> dict[str, Counts]:
        """Load typed frames (schema columns, ``known_at`` where known) in one transaction; returns the counts by table.

        Strict: raises `SchemaError` at the first row that breaks its schema or contradicts another; files go through `pipelines.ingest`.
        """
        counts: dict[str, Counts] = {}
        with self.begin_load(company=company, now=now, source=source) as load:
            for name, frame in tables.items():
                counts[name] = _load_frame(load, name, frame)
            load.finish(sum(counts.values(), Counts()))
        return counts

    def write_predictions(self, frame: pd.DataFrame) -> None:
        """Keep predictions (`columns.PREDICTION_COLUMNS`), in place of any of the same predictor, version, as_of and entity."""
        rows = frame[c.PREDICTION_COLUMNS]
        with self._engine.begin() as connection:
            for statement, group in rows.groupby([c.PREDICTOR, c.MODEL_VERSION, c.AS_OF]):
                for entity_ids in in_chunks(group[c.ENTITY_ID].unique().tolist()):
                    connection.execute(
                        sa.delete(PREDICTIONS).where(
                            *_of(*cast(tuple[str, str, pd.Timestamp], statement)), PREDICTIONS.c[c.ENTITY_ID].in_(entity_ids)
                        )
                    )
            insert_frame(connection, PREDICTIONS, rows)

    def read_predictions(
        self, *, predictor: str, model_version: str, as_of: pd.Timestamp, entity_ids: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Stored predictions (`columns.PREDICTION_COLUMNS`) in the order they were written; empty where there are none."""
        statement = sa.select(*(PREDICTIONS.c[name] for name in c.PREDICTION_COLUMNS)).where(*_of(predictor, model_version, as_of))
        statement = statement.order_by(PREDICTIONS.c["prediction_id"])
        with self._engine.connect() as connection:
            if entity_ids is None:
                return read_frame(connection, statement)
            chunks = in_chunks(list(entity_ids)) if len(entity_ids) else iter([[]])
            found = [read_frame(connection, statement.where(PREDICTIONS.c[c.ENTITY_ID].in_(chunk))) for chunk in chunks]
        return pd.concat(found, ignore_index=True)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        """A connection, or None where the database has not been set up yet."""
        is_absent = self.url.get_backend_name() == "sqlite" and not Path(self.url.database or "").is_file()
        if is_absent:
            yield None
            return
        with self._engine.connect() as connection:
            yield connection if sa.inspect(connection).has_table(LOADS.name) else None


_HAPPENED = [name for name, schema in TABLES.items() if not schema.planned and name != "fx_rates"]


class _StoredFacts:
    """`snapshot.Facts` from the database; each read is one consistent state of it."""

    def __init__(self, engine: sa.Engine, company: Company) -> None:
        self.company = company
        self._engine = engine

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        """See `Facts.read`."""
        schema = table_schema(table)
        held = FACT_TABLES[table]
        columns = [held.c[name] for name in [*schema.column_names, c.KNOWN_AT]]
        statement = sa.select(*columns).where(held.c[c.KNOWN_AT] < known_before).order_by(held.c[c.KNOWN_AT], held.c[VERSION_ID])
        with self._engine.connect() as connection:
            return read_frame(connection, statement)


def _load_frame(load: Load, name: str, frame: pd.DataFrame) -> Counts:
    schema = table_schema(name)
    offered = frame.reset_index(drop=True)
    if c.KNOWN_AT not in offered:
        offered = offered.assign(**{c.KNOWN_AT: pd.Series(pd.NaT, index=offered.index, dtype="datetime64[us]")})
    schema.validate(offered)
    plan = load.plan(name, offered, origin="row " + offered.index.astype("str").to_series(index=offered.index))
    rejected = plan[plan[OUTCOME] == REJECTED]
    if len(rejected):
        raise SchemaError(f"{name}: {len(rejected)} rows cannot be kept; first: row {rejected.index[0]}: {rejected[c.REASON].iloc[0]}")
    load.write(name, offered, plan)
    return Counts.of(plan[OUTCOME])


def _of(predictor: str, version: str, as_of: pd.Timestamp) -> tuple[sa.ColumnElement[bool], ...]:
    held = PREDICTIONS.c
    return (held[c.PREDICTOR] == predictor, held[c.MODEL_VERSION] == version, held[c.AS_OF] == pd.Timestamp(as_of))


def _engine(url: sa.URL) -> sa.Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = sa.create_engine(url, connect_args={"timeout": _SECONDS_TO_WAIT_FOR_A_WRITER} if is_sqlite else {})

    @sa.event.listens_for(engine, "handle_error")
    def _say_in_one_line(context: sa.engine.ExceptionContext) -> None:
        """No connection, or one to a file that is none of ours: that is no fault of a statement."""
        said = " ".join(str(context.original_exception).split())
        is_unusable = context.connection is None or context.is_disconnect or "malformed" in said or "not a database" in said
        if is_unusable and "locked" not in said:
            where = url.render_as_string(hide_password=True)
            raise DataError(f"the database {where} cannot be used: {said}") from context.original_exception

    if not is_sqlite:
        return engine

    # The driver starts transactions late and commits before DDL; SQLAlchemy starts them itself, so a migration or a load is all or nothing.
    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
