"""Doors to the database: many readers, each of one committed state, and one writer at a time. What the driver raises leaves as our errors.

=============  ====================================================  ==========================================================
               SQLite                                                PostgreSQL
=============  ====================================================  ==========================================================
a reader sees  its transaction's snapshot (WAL)                      its transaction's snapshot (REPEATABLE READ)
the writer     holds the file's write lock from BEGIN IMMEDIATE on   holds an advisory lock, so that it never meets half a row
=============  ====================================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from predictkpi.errors import ConflictError, PredictKpiError, SettingsError, StoreError

_WRITER = "predictkpi_writer"
_WRITERS_LOCK = 7_311_205_493  # any number that nobody else takes: advisory locks have no names
_SECONDS_TO_CONNECT = 10
_LOCK_NOT_AVAILABLE = "55P03"
_SPELLINGS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def open_engine(url: str, *, wait_seconds: float) -> sa.Engine:
    """An engine for this URL; nothing is touched yet. A writer waits ``wait_seconds`` for its turn. Raises `SettingsError`."""
    try:
        parsed = sa.make_url(url)
        parsed = parsed.set(drivername=_SPELLINGS.get(parsed.drivername, parsed.drivername))
        if parsed.get_backend_name() not in _BACKENDS:
            raise sa.exc.ArgumentError(f"{parsed.drivername} is neither SQLite nor PostgreSQL")
        engine = _BACKENDS[parsed.get_backend_name()](parsed, wait_seconds)
    except (sa.exc.ArgumentError, ImportError, ValueError) as error:
        # What a URL has in the place of its port may be the end of a password.
        is_port = isinstance(error, ValueError)
        reason = "the port is no number: is there an @, : or / in the password? Write it as %40, %3A or %2F" if is_port else str(error)
        raise SettingsError(
            f"no usable database URL ({reason.splitlines()[0]}); write one such as sqlite:///var/predictkpi.db or, with the extra "
            "`pip install predictkpi[postgres]`, postgresql://user@host/database"
        ) from (None if is_port else error)
    sa.event.listen(engine, "handle_error", _as_our_error)
    return engine


def _postgresql(url: sa.URL, wait_seconds: float) -> sa.Engine:
    # A dead connection of the pool (the server was restarted) is replaced before it is used.
    engine = sa.create_engine(
        url, isolation_level="REPEATABLE READ", pool_pre_ping=True, connect_args={"connect_timeout": _SECONDS_TO_CONNECT}
    )

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get(_WRITER):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(wait_seconds * 1000))}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")

    return engine


def _sqlite(url: sa.URL, wait_seconds: float) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": wait_seconds})

    # The driver starts transactions late and commits before DDL; SQLAlchemy starts them itself, so a migration or a load is all or nothing.
    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA page_size=16384")  # of a new file: big loads and whole reads touch fewer pages
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")  # 64 MiB: the indexes of a big load stay in memory

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITER) else "BEGIN")

    return engine


_BACKENDS: Mapping[str, Callable[[sa.URL, float], sa.Engine]] = {"sqlite": _sqlite, "postgresql": _postgresql}


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that sees one committed state of the database, however long it is open."""
    with engine.connect() as connection, _raw_errors(connection):
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """The only writer: one transaction, committed when the block ends. Raises `ConflictError` if its turn does not come."""
    with engine.connect() as connection:
        # A writer must see what the one it waited for has committed; as nobody else writes, that is all that can change under it.
        isolation = {"isolation_level": "READ COMMITTED"} if engine.dialect.name == "postgresql" else {}
        connection = connection.execution_options(**{_WRITER: True}, **isolation)
        with connection.begin(), _raw_errors(connection):
            yield connection


def forget_deleted(engine: sa.Engine) -> bool:
    """See `Erasures.forget_deleted`."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
        return True
    # SQLite vacuums in no transaction, and SQLAlchemy would begin one.
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("VACUUM")
        is_busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except engine.dialect.loaded_dbapi.Error as error:
        raise _our_error(error, engine.url) from error
    finally:
        raw.close()
    return not is_busy


@contextmanager
def _raw_errors(connection: sa.Connection) -> Iterator[None]:
    """Errors of the bulk paths, which speak to the driver itself."""
    driver = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise _our_error(error, connection.engine.url) from error


def _as_our_error(context: sa.engine.ExceptionContext) -> PredictKpiError | None:
    if context.engine is None or not isinstance(context.sqlalchemy_exception, sa.exc.DBAPIError):
        return None
    return _our_error(context.original_exception, context.engine.url)


def _our_error(error: BaseException, url: sa.URL) -> PredictKpiError:
    name = url.render_as_string(hide_password=True)
    if getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE or getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
        return ConflictError(f"{name} is being written by another load; try again when that is done")
    return StoreError(f"{name}: " + " ".join(str(error).split()))
