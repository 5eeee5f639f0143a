"""Any database that SQLAlchemy can open, read by one query an object; the one place outside the store that knows SQLAlchemy.

::

    source:
      kind: sql
      url_from: WAREHOUSE_URL            # the environment variable that holds the SQLAlchemy URL
      batch_rows: 20000
      queries:
        orders: {select: "SELECT id, day, customer, net, updated_at FROM orders", mark: updated_at}

With a ``mark`` column (an instant, number or text that grows whenever a row changes) a sync reads the rows at or after the newest mark
it has seen, and those without one; at, not after, because rows that share the mark may have come later. Without it every sync reads all.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal

import pandas as pd
import sqlalchemy as sa
from pydantic import Field

from predictkpi.core.waiting import Wait, backoff
from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.base import Batch, Mark, Options, fed_objects, read_options, secret
from predictkpi.sources.mapping import Mapping as Rules
from predictkpi.sources.mapping import near
from predictkpi.sources.retrying import ATTEMPTS

_SPELLINGS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Query(Options):
    """What to read for an object: a query without ORDER BY, and the column of its result that tells what is new."""

    select: str
    mark: str | None = None


class SqlOptions(Options):
    """The ``source:`` block of kind ``sql``."""

    url_from: str
    queries: dict[str, Query]
    batch_rows: int = Field(20_000, ge=1)


class SqlSource:
    """See the module. The URL is read from ``environment`` when the source is made."""

    id_column: str | None = None

    def __init__(self, rules: Rules, environment: Mapping[str, str], *, wait: Wait = time.sleep) -> None:
        self._wait = wait
        self._options = read_options(SqlOptions, rules.source or {})
        self._objects = fed_objects(rules)
        known = list(self._options.queries)
        for name in self._objects:
            if name not in known:
                raise MappingError(f"source.queries has no query {name!r}{near(name, known)}; there are: {', '.join(known)}")
        url = secret(environment, self._options.url_from, of="SQL source")
        try:
            parsed = sa.make_url(url)
            self._engine = sa.create_engine(parsed.set(drivername=_SPELLINGS.get(parsed.drivername, parsed.drivername)))
        except (sa.exc.ArgumentError, ImportError, ValueError):
            # The message of SQLAlchemy may hold the URL and so the password (or its end, in the place of the port).
            raise SourceError(
                f"SQL source: {self._options.url_from} holds no usable database URL, or its driver is not installed"
            ) from None

    def __repr__(self) -> str:
        return f"SqlSource({self._engine.url.render_as_string(hide_password=True)!r})"

    def batches(self, marks: Mapping[str, Mark], *, until: pd.Timestamp) -> Iterator[Batch]:
        """See `Source.batches`. ``until`` is not used: a database is read as it is."""
        try:
            for name in self._objects:
                yield from self._read(name, self._options.queries[name], marks.get(name, Mark()))
        finally:
            self._engine.dispose()

    def _read(self, name: str, query: Query, mark: Mark) -> Iterator[Batch]:
        """The object to its end. After a lost connection it goes on from the last mark, and gives up after some attempts in a row."""
        lost = 0
        while True:
            try:
                for batch in self._read_on(name, query, mark):
                    mark, lost = batch.marks[name], 0
                    yield batch
                return
            except sa.exc.SQLAlchemyError as error:
                is_lost = lost > 0 or (isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated)
                if not is_lost or lost + 1 == ATTEMPTS:
                    first_line = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
                    raise SourceError(f"{self!r}: {name}: {first_line}") from None
                self._wait(backoff(lost))
                lost += 1

    def _read_on(self, name: str, query: Query, mark: Mark) -> Iterator[Batch]:
        first = frozenset({name} if mark.is_first else ())
        size, at = self._options.batch_rows, mark.at
        with self._engine.connect().execution_options(stream_results=True, max_row_buffer=size) as connection:
            statement, values = self._statement(query, mark)
            with connection.execute(statement, values) as result:
                columns = list(result.keys())
                _check_mark(name, query, columns)
                for rows in result.partitions(size):
                    frame = pd.DataFrame({column: _typed(cells) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)})
                    if query.mark is not None:
                        place = columns.index(query.mark)
                        at = next((_spelled(row[place]) for row in reversed(rows) if row[place] is not None), at)
                    yield Batch({name: frame}, {name: mark.moved(at)}, first=first)
        yield Batch({}, {name: mark.ended(at)})

    def _statement(self, query: Query, mark: Mark) -> tuple[sa.TextClause, dict[str, object]]:
        inner = query.select.strip().rstrip(";")
        if query.mark is None:
            return sa.text(inner), {}
        column = self._engine.dialect.identifier_preparer.quote(query.mark)
        where = f" WHERE {column} >= :mark OR {column} IS NULL" if mark.at else ""
        return sa.text(f"SELECT * FROM ({inner}) AS records{where} ORDER BY {column}"), {"mark": _value(mark.at)} if mark.at else {}  # noqa: S608


def _check_mark(name: str, query: Query, columns: list[str]) -> None:
    if query.mark is not None and query.mark not in columns:
        raise MappingError(
            f"source.queries.{name}: the query has no column {query.mark!r}{near(query.mark, columns)}; it has: {', '.join(columns)}"
        )


def _spelled(value: object) -> str:
    """A mark as text that remembers its type, for the database to compare it with the column again."""
    if isinstance(value, dt.datetime):
        return f"instant {value.isoformat()}"
    if isinstance(value, dt.date):
        return f"date {value.isoformat()}"
    if isinstance(value, int | float | Decimal):
        return f"number {value}"
    return f"text {value}"


def _value(text: str) -> object:
    kind, _, value = text.partition(" ")
    if kind == "instant":
        return dt.datetime.fromisoformat(value)
    if kind == "date":
        return dt.date.fromisoformat(value)
    if kind == "number":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    return value


def _typed(values: tuple[object, ...]) -> pd.Series:
    """A column as the converters of `sources.convert` know it: text, numbers, instants, or objects where it is mixed."""
    there = [value for value in values if value is not None]
    plain = [float(value) if isinstance(value, Decimal) else value for value in values]
    if all(isinstance(value, str) for value in there):
        return pd.Series(plain, dtype="str")
    if all(isinstance(value, dt.datetime) for value in there):
        zoned = any(value.tzinfo is not None for value in there if isinstance(value, dt.datetime))
        return pd.to_datetime(pd.Series(plain, dtype="object"), utc=zoned).astype("datetime64[us, UTC]" if zoned else "datetime64[us]")
    if all(isinstance(value, int) and not isinstance(value, bool) for value in there):
        return pd.Series(plain, dtype="Int64")
    if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in there):
        return pd.Series(plain, dtype="float64")
    known = (str, dt.date, bool, int, float)
    return pd.Series([value if value is None or isinstance(value, known) else str(value) for value in plain], dtype="object")
