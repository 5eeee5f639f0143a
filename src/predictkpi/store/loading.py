"""One load: everything between the first and the last statement of one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.core.types import Company
from predictkpi.errors import MappingError
from predictkpi.store.audit import write_entry
from predictkpi.store.erased import Erased, add_erased, read_erased
from predictkpi.store.frames import OnRows, indexed_afterwards, insert_frame, read_versions
from predictkpi.store.marks import read_statements, withdraw, write_marks, write_statements
from predictkpi.store.rejects import settle_rejects, write_rejects
from predictkpi.store.schema import COMPANY, CONTENT_HASH, FACT_TABLES, LOAD_ID, LOADS, NEWEST_KNOWN_AT, VERSION_ID
from predictkpi.store.versions import ACCEPTED, OUTCOME, REJECTED, UNCHANGED, Learning, RowNames, plan_versions
from predictkpi.tables import TABLES, table_schema

_HAPPENED = [name for name, schema in TABLES.items() if not schema.planned and name != "fx_rates"]


@dataclass(frozen=True)
class Counts:
    """What became of the records that were offered. Counts add up."""

    accepted: int = 0
    unchanged: int = 0
    rejected: int = 0

    @property
    def records(self) -> int:
        """All of them."""
        return self.accepted + self.unchanged + self.rejected

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.accepted + other.accepted, self.unchanged + other.unchanged, self.rejected + other.rejected)

    @classmethod
    def of(cls, outcomes: pd.Series) -> Counts:
        """Count a column of outcomes."""
        return cls(*(int((outcomes == outcome).sum()) for outcome in (ACCEPTED, UNCHANGED, REJECTED)))


class Load:
    """A load under way. Made by `Store.begin_load`, which commits it or, after an exception, leaves no trace of it."""

    def __init__(self, connection: sa.Connection, *, load_id: int, company: Company, learning: Learning) -> None:
        self.load_id = load_id
        self.company = company
        self.learning = learning
        self._connection = connection

    def is_first(self, table: str) -> bool:
        """Whether the table holds no row yet; asked before `write`."""
        return self._connection.execute(sa.select(FACT_TABLES[table].c[VERSION_ID]).limit(1)).first() is None

    def count(self, table: str) -> int:
        """Distinct keys that the table holds; asked before `write`."""
        keys = sa.select(*(FACT_TABLES[table].c[name] for name in table_schema(table).key)).distinct().subquery()
        return int(self._connection.execute(sa.select(sa.func.count()).select_from(keys)).scalar_one())

    def newest(self, table: str, columns: list[str]) -> pd.DataFrame:
        """These columns (key first) of the newest version of each key, this load's versions included."""
        versions = read_versions(self._connection, FACT_TABLES[table], [*dict.fromkeys([*columns, c.KNOWN_AT])])
        key = [name for name in table_schema(table).key if name in columns]
        return versions.drop_duplicates(key, keep="last", ignore_index=True)[columns]

    def versions(self, table: str, columns: list[str]) -> pd.DataFrame:
        """These columns (``known_at`` among them) of every version, oldest first."""
        return read_versions(self._connection, FACT_TABLES[table], columns)

    def plan(self, table: str, offered: pd.DataFrame, *, origin: RowNames, known_before: pd.Timestamp | None = None) -> pd.DataFrame:
        """What would become of these rows, beside what is stored or what of it was ``known_before``; see `versions.plan_versions`."""
        schema = table_schema(table)
        stored = read_versions(self._connection, FACT_TABLES[table], [*schema.key, c.KNOWN_AT, CONTENT_HASH])
        if known_before is not None:
            stored = stored[stored[c.KNOWN_AT] < known_before].reset_index(drop=True)
        return plan_versions(schema, offered, stored, learning=self.learning, origin=origin)

    def write(self, table: str, offered: pd.DataFrame, plan: pd.DataFrame, *, on_rows: OnRows | None = None) -> None:
        """Append the rows that the plan accepts, in the order in which they were known."""
        is_accepted = plan[OUTCOME] == ACCEPTED
        known = plan.loc[is_accepted, [c.KNOWN_AT, CONTENT_HASH]]
        versions = offered.loc[is_accepted, table_schema(table).column_names].assign(**known, **{LOAD_ID: self.load_id})
        if not known[c.KNOWN_AT].is_monotonic_increasing:
            versions = versions.sort_values(c.KNOWN_AT, kind="stable")
        with indexed_afterwards(self._connection, FACT_TABLES[table]) if self.is_first(table) else nullcontext():
            insert_frame(self._connection, FACT_TABLES[table], versions, on_rows=on_rows)
        if table in _HAPPENED and len(known):
            self._note(known[c.KNOWN_AT].max())

    def _note(self, known_at: pd.Timestamp) -> None:
        """Keep the newest instant at which something that this load brings became known."""
        newest, book = LOADS.c[NEWEST_KNOWN_AT], sa.update(LOADS).where(LOADS.c[LOAD_ID] == self.load_id)
        self._connection.execute(book.where(newest.is_(None) | (newest < known_at)).values({NEWEST_KNOWN_AT: known_at}))

    def write_rejects(self, rejects: pd.DataFrame) -> None:
        """Keep these rejects; columns ``file, row, table, field, value, reason`` and, where there is one, ``record``."""
        write_rejects(self._connection, rejects, load_id=self.load_id)

    def settle_rejects(self, reject_ids: Sequence[int]) -> None:
        """Enter that this load has offered these rejects again."""
        settle_rejects(self._connection, reject_ids, load_id=self.load_id)

    def write_marks(self, source: str, marks: Mapping[str, str]) -> None:
        """Keep how far each object of that source has been read; see `marks`."""
        write_marks(self._connection, source, marks)

    def withdraw(self, table: str, column: str, ids: Sequence[str], *, is_withdrawn: bool = True) -> int:
        """State that records are gone (or back) from this load on; asked after `write`. See `marks.withdraw`."""
        known_at = self.learning.learnt_at
        news = withdraw(self._connection, table, column, ids, known_at=known_at, load_id=self.load_id, is_withdrawn=is_withdrawn)
        if news:
            self._note(known_at)
        return news

    def statements(self, table: str, column: str) -> pd.DataFrame:
        """What earlier loads stated of records that are gone or back; see `marks.read_statements`."""
        return read_statements(self._connection, table, column)

    def state(self, table: str, column: str, said: pd.DataFrame) -> None:
        """Append such statements; see `marks.write_statements`."""
        write_statements(self._connection, table, column, said, load_id=self.load_id)
        if len(said) and table in _HAPPENED:
            self._note(said[c.KNOWN_AT].max())

    @property
    def erased(self) -> Erased:
        """What must not come in again; see `erased`."""
        return read_erased(self._connection)

    def erase_further(self, named: Mapping[str, Iterable[str]]) -> None:
        """Add ids by kind to the list of erasures: of what this load brings of an erased customer and the list did not know yet."""
        add_erased(self._connection, named, salt=self.erased.salt, at=self.learning.now, actor="load")

    def write_audit(self, action: str, subject: str, detail: Mapping[str, object], *, actor: str = "") -> None:
        """Add to the audit log what this load does, kept or not as the load is; see `Store.write_audit`."""
        write_entry(self._connection, self.learning.now, action, subject, detail, actor)

    def finish(self, counts: Counts, *, is_refused: bool = False) -> None:
        """Enter the counts in the book of loads. A refused load has brought nothing but its rejects."""
        values = {"records": counts.records, "accepted": counts.accepted, "unchanged": counts.unchanged, "rejected": counts.rejected}
        update = sa.update(LOADS).where(LOADS.c[LOAD_ID] == self.load_id)
        self._connection.execute(update.values(is_refused=is_refused, **values))
        if not is_refused:
            self._keep_company()

    def _keep_company(self) -> None:
        values = self.company.model_dump()
        if read_company(self._connection) is None:
            self._connection.execute(sa.insert(COMPANY).values(company_id=1, **values))
        else:
            self._connection.execute(sa.update(COMPANY).values(**values))


def open_load(
    connection: sa.Connection, *, company: Company, learning: Learning, exported_at: pd.Timestamp | None, mapping: str, source: str
) -> Load:
    """Enter a new load in the book and hold the store's write lock from here on; raises `MappingError` for another company's books."""
    entry = sa.insert(LOADS).values(
        loaded_at=learning.now,
        exported_at=exported_at,
        mapping=mapping,
        source=source,
        is_refused=False,
        records=0,
        accepted=0,
        unchanged=0,
        rejected=0,
    )
    load_id = connection.execute(entry.returning(LOADS.c[LOAD_ID])).scalar_one()
    held = read_company(connection)
    if held is not None:
        if "name" not in company.model_fields_set:
            company = company.model_copy(update={"name": held.name})
        if company.name != held.name != Company().name:
            raise MappingError(
                f"{mapping}: company.name is {company.name!r}, but the store holds the books of {held.name!r}; keep another company in "
                f"another store: set PREDICTKPI_DATABASE_URL and MLFLOW_TRACKING_URI to places of its own"
            )
        for field in ("currency", "time_zone"):
            ours, theirs = getattr(held, field), getattr(company, field)
            if ours != theirs:
                raise MappingError(
                    f"{mapping}: company.{field} is {theirs!r}, but the store's facts are stated in {ours!r} since the first load; "
                    f"state {field}: {ours} or load into another store"
                )
    return Load(connection, load_id=load_id, company=company, learning=learning)


def read_company(connection: sa.Connection) -> Company | None:
    """Whose books the store holds; None before the first load."""
    row = connection.execute(sa.select(*(COMPANY.c[name] for name in Company.model_fields))).mappings().first()
    return None if row is None else Company(**row)
