"""Erase a company or a person from every table that `places` lists, within one transaction.

A company is a customer: the rows about it, its deals and its orders go. A person keeps no row of its own (a deal is the business's, whoever
owned it): the name is replaced everywhere by a pseudonym that only the list of erasures can make again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from predictkpi.core import columns as c
from predictkpi.errors import UnknownEntityError
from predictkpi.store.audit import write_entry
from predictkpi.store.erased import Erased, add_erased, digest, read_erased
from predictkpi.store.frames import in_chunks, read_frame
from predictkpi.store.places import ACTIVITY, CUSTOMER, DEAL, EVENT, ID_KINDS, ORDER, SERIES, Holds, kind_of, places
from predictkpi.store.schema import CONTENT_HASH, ERASURES, FACT_TABLES, VERSION_ID
from predictkpi.store.versions import content_hash
from predictkpi.tables import table_schema

Named = Mapping[str, set[str]]
"""Ids by kind."""
LASTING = (CUSTOMER, DEAL, ORDER)
"""Kinds whose ids stay on the list: a later load may name them without the customer."""
_CUSTOMERS, _ORDERS, _DEALS = (FACT_TABLES[name] for name in ("customers", "orders", "deals"))
_EVENTS, _ACTIVITIES = FACT_TABLES["deal_events"], FACT_TABLES["activities"]


@dataclass(frozen=True)
class Erasure:
    """What an erasure found: rows by table, the first instant at which anything of it was known, and the hash it is listed under."""

    kind: str
    digest: str
    counts: Mapping[str, int]
    first_known_at: pd.Timestamp | None

    @property
    def rows(self) -> int:
        """Rows that were deleted or rewritten."""
        return sum(self.counts.values())


def erase(connection: sa.Connection, kind: str, name: str, *, at: pd.Timestamp, actor: str) -> Erasure:
    """Erase a customer by id, or a person by name; `UnknownEntityError` where nothing in the store names it."""
    salt, sweep = read_erased(connection).salt, _Sweep(connection)
    found = digest(salt, kind, name)
    if kind == CUSTOMER:
        own = _owned(connection, {name})
        sweep.delete_all(own, also_called=_called(connection, {name}), renamed=lambda text: text)
        listed = {of: own[of] for of in LASTING}
    else:
        sweep.rename_all(Erased({(salt, kind): frozenset([found])}))
        listed = {}
    if not sweep.counts:
        raise UnknownEntityError(f"nothing in the store names the {kind} {name!r}; ids and names are compared as they are stored")
    add_erased(connection, {kind: {name}}, salt=salt, at=at, actor=actor, counts=json.dumps(sweep.counts))
    add_erased(connection, listed, salt=salt, at=at, actor=actor)
    write_entry(connection, at, "erase", f"{kind} {found}", {"rows": dict(sweep.counts)}, actor)
    return Erasure(kind, found, dict(sweep.counts), sweep.first_known_at)


def erase_listed(connection: sa.Connection, *, at: pd.Timestamp, actor: str) -> Erasure:
    """Erase again whatever the store names of its own list, as after a restore from a backup."""
    erased, sweep = read_erased(connection), _Sweep(connection)
    there = _listed_ids(connection, erased)
    own = _owned(connection, there[CUSTOMER])
    own = {kind: ids | there.get(kind, set()) for kind, ids in own.items()}
    sweep.delete_all(own, also_called=_called(connection, own[CUSTOMER]), renamed=erased.renamed)
    if erased.has_persons:
        sweep.rename_all(erased)
    add_erased(connection, {kind: own[kind] for kind in LASTING}, salt=erased.salt, at=at, actor=actor)
    if sweep.counts:
        write_entry(connection, at, "erase again", "list", {"rows": dict(sweep.counts)}, actor)
    return Erasure("list", "", dict(sweep.counts), sweep.first_known_at)


def read_list(connection: sa.Connection) -> pd.DataFrame:
    """The list of erasures, oldest first (columns of `schema.ERASURES` without the number)."""
    return read_frame(connection, sa.select(*(column for column in ERASURES.c if column.name != "erasure_id")).order_by(ERASURES.c[0]))


def take_over(connection: sa.Connection, listed: pd.DataFrame) -> int:
    """Add the entries of another copy of the list that this one lacks; returns how many."""
    known = set(connection.execute(sa.select(ERASURES.c["digest"])).scalars())
    news = listed[~listed["digest"].isin(known)].drop_duplicates("digest")
    rows = news.astype(object).where(news.notna(), None).to_dict("records")
    if rows:
        connection.execute(sa.insert(ERASURES), [dict(row) for row in rows])
    return len(rows)


def _owned(connection: sa.Connection, customers: set[str]) -> dict[str, set[str]]:
    """Ids of all that belongs to these customers: of a deal or an order that changed hands, the newest version says whose it is."""
    deals, orders = (_newest(connection, table, customers) for table in (_DEALS, _ORDERS))
    events = _ids(connection, _EVENTS.c[c.EVENT_ID], _EVENTS.c[c.DEAL_ID], deals)
    activities = _ids(connection, _ACTIVITIES.c[c.ACTIVITY_ID], _ACTIVITIES.c[c.DEAL_ID], deals)
    activities |= _ids(connection, _ACTIVITIES.c[c.ACTIVITY_ID], _ACTIVITIES.c[c.CUSTOMER_ID], customers)
    return {CUSTOMER: set(customers), DEAL: deals, ORDER: orders, EVENT: events, ACTIVITY: activities}


def _newest(connection: sa.Connection, table: sa.Table, customers: set[str]) -> set[str]:
    key = table.c[next(name for name in (c.DEAL_ID, c.ORDER_ID) if name == table_schema(table.name).key[0])]
    of = table.c[c.CUSTOMER_ID]
    once = _ids(connection, key, of, customers)
    last: dict[str, str] = {}
    for chunk in in_chunks(sorted(once)):
        rows = connection.execute(sa.select(key, of).where(key.in_(chunk)).order_by(table.c[c.KNOWN_AT], table.c[VERSION_ID]))
        last |= {str(name): str(customer) for name, customer in rows}
    return {name for name, customer in last.items() if customer in customers}


def _called(connection: sa.Connection, customers: set[str]) -> set[str]:
    """What these customers are called, to know them in rows that were rejected."""
    return _ids(connection, _CUSTOMERS.c[c.NAME], _CUSTOMERS.c[c.CUSTOMER_ID], customers)


def _ids(connection: sa.Connection, wanted: sa.Column[str], column: sa.Column[str], values: set[str]) -> set[str]:
    statement = sa.select(wanted).distinct()
    found = (one for chunk in in_chunks(sorted(values)) for one in connection.execute(statement.where(column.in_(chunk))).scalars())
    return {str(one) for one in found if one}


def _listed_ids(connection: sa.Connection, erased: Erased) -> dict[str, set[str]]:
    there: dict[str, set[str]] = {kind: set() for kind in LASTING}
    for table, column, place in places(Holds.ID, Holds.ENTITY):
        by = table.c[place.by] if place.by else sa.literal(column.name)
        pairs = pd.DataFrame(connection.execute(sa.select(by, column).distinct()).all(), columns=["by", "id"])
        for named, ids in pairs.groupby("by")["id"]:
            kind = kind_of(str(named))
            if kind in there:
                there[kind] |= set(ids[erased.mask(kind, ids.tolist())])
    return there


class _Sweep:
    """Goes through the tables; counts what it changes, and keeps the first instant at which a fact among it was known."""

    def __init__(self, connection: sa.Connection) -> None:
        self.counts: Counter[str] = Counter()
        self.first_known_at: pd.Timestamp | None = None
        self._connection = connection
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten with zeros

    def delete_all(self, own: Named, *, also_called: set[str], renamed: Callable[[str], str]) -> None:
        """Delete every row about one of these; a deal or order of somebody else only loses the mention."""
        for deal_or_order, mention, mentioned, keeps in (
            (_DEALS, c.CUSTOMER_ID, own[CUSTOMER], (c.DEAL_ID, own[DEAL])),
            (_ORDERS, c.DEAL_ID, own[DEAL], (c.CUSTOMER_ID, own[CUSTOMER])),
        ):
            for where in self._among(deal_or_order.c[mention], mentioned):
                is_own = sa.or_(sa.false(), *self._among(deal_or_order.c[keeps[0]], keeps[1]))
                self._rewrite(deal_or_order, deal_or_order.c[mention], sa.and_(where, sa.not_(sa.func.coalesce(is_own, False))), None)
        for table, column, place in places(Holds.ID, Holds.ENTITY):
            for where in self._of(table, column, place.by, own):
                self._delete(table, where)
        names = set().union(*(own[kind] for kind in LASTING), also_called)
        self._answers()
        self._records(lambda text: text, is_gone=lambda text: _names_one(text, names))
        self._texts(lambda key, text: "erased" if key in ID_KINDS and text in own.get(ID_KINDS[key], ()) else renamed(text), own[DEAL])

    def rename_all(self, erased: Erased) -> None:
        """Put the pseudonym in place of the name wherever that stands alone, or as a member of a series."""
        for table, column, place in places(Holds.PERSON, Holds.SCOPE, Holds.ENTITY, Holds.MENTION):
            renamed = erased.renamed_within if place.holds is Holds.MENTION else erased.renamed
            values = sa.select(column).distinct().where(column.is_not(None))
            if place.by:
                pairs = sa.select(table.c[place.by]).distinct()
                series = [name for name in self._connection.execute(pairs).scalars() if kind_of(name) in (SERIES, "")]
                values = values.where(table.c[place.by].in_(series), column.contains("="))
            for value in self._connection.execute(values).scalars().all():
                if (instead := renamed(str(value))) != value:
                    self._rewrite(table, column, column == value, instead)
        self._answers()
        self._records(erased.renamed, is_gone=lambda text: False)
        self._texts(lambda key, text: erased.renamed(text), set())

    def _answers(self) -> None:
        """Kept answers to requests that may be repeated: nothing finds whom they speak of, and they would be forgotten within hours.

        Claims to keep one go too: what is being answered just now may speak of anybody, and `Repeatables.finish` then keeps nothing.
        """
        for table, _, _ in places(Holds.ANSWER):
            self._connection.execute(sa.delete(table))

    def _of(self, table: sa.Table, column: sa.Column[str], by: str, own: Named) -> Iterable[sa.ColumnElement[bool]]:
        if not by:
            yield from self._among(column, own.get(ID_KINDS[column.name], set()))
            return
        for named in self._connection.execute(sa.select(table.c[by]).distinct()).scalars().all():
            kind = kind_of(named)
            ids = own.get(kind, set()) if kind else set().union(*own.values())
            for where in self._among(column, ids):
                yield sa.and_(table.c[by] == named, where)

    def _among(self, column: sa.Column[str], ids: set[str]) -> Iterable[sa.ColumnElement[bool]]:
        return (column.in_(chunk) for chunk in in_chunks(sorted(ids)))

    def _delete(self, table: sa.Table, where: sa.ColumnElement[bool]) -> None:
        self._note(table, where)
        self._count(table, self._connection.execute(sa.delete(table).where(where)).rowcount)

    def _rewrite(self, table: sa.Table, column: sa.Column[str], where: sa.ColumnElement[bool], value: str | None) -> None:
        self._note(table, where)
        is_fact = table.name in FACT_TABLES
        versions = self._connection.execute(sa.select(table.c[VERSION_ID]).where(where)).scalars().all() if is_fact else []
        self._count(table, self._connection.execute(sa.update(table).where(where).values({column.name: value})).rowcount)
        for chunk in in_chunks([str(version) for version in versions]):
            self._rehash(table, [int(version) for version in chunk])

    def _rehash(self, table: sa.Table, versions: list[int]) -> None:
        """The content has changed, and with it the hash by which a load knows what is there already."""
        schema = table_schema(table.name)
        columns = [table.c[name] for name in (VERSION_ID, *schema.column_names)]
        rows = read_frame(self._connection, sa.select(*columns).where(table.c[VERSION_ID].in_(versions)))
        hashes = zip(rows[VERSION_ID].tolist(), content_hash(rows, schema).tolist(), strict=True)
        update = sa.update(table).where(table.c[VERSION_ID] == sa.bindparam("version")).values({CONTENT_HASH: sa.bindparam("hash")})
        self._connection.execute(update, [{"version": version, "hash": found} for version, found in hashes])

    def _records(self, renamed: Callable[[str], str], *, is_gone: Callable[[str], bool]) -> None:
        """Rejected rows: their cells are the source's, so that any of them may be the id or the name."""
        for table, column, _ in list(places(Holds.RECORD)):
            key = next(iter(table.primary_key))
            for number, text in self._connection.execute(sa.select(key, column).where(column.is_not(None))).all():
                if is_gone(text):
                    self._delete(table, key == number)
                elif (instead := renamed_record(text, renamed)) != text:
                    self._rewrite(table, column, key == number, instead)

    def _texts(self, renamed: Callable[[str, str], str], gone: set[str]) -> None:
        for table, column, _ in places(Holds.TEXT):
            key = list(table.primary_key)
            for text, *row in self._connection.execute(sa.select(column, *key).where(column.is_not(None))).all():
                if (instead := _renamed_json(text, renamed, gone)) != text:
                    self._rewrite(table, column, sa.and_(*(held == part for held, part in zip(key, row, strict=True))), instead)

    def _note(self, table: sa.Table, where: sa.ColumnElement[bool]) -> None:
        if table.name in FACT_TABLES:
            first = self._connection.execute(sa.select(sa.func.min(table.c[c.KNOWN_AT])).where(where)).scalar()
            if first is not None:
                self.first_known_at = first if self.first_known_at is None else min(first, self.first_known_at)

    def _count(self, table: sa.Table, rows: int) -> None:
        if rows:
            self.counts[table.name] += rows


def renamed_record(text: str, renamed: Callable[[str], str]) -> str:
    """A row of a source as JSON, or one value of it, with names replaced."""
    return _renamed_json(text, lambda key, value: renamed(value), set()) if text.startswith("{") else renamed(text)


def _renamed_json(text: str, renamed: Callable[[str, str], str], gone: set[str]) -> str:
    """The text as it was where nothing in it is renamed or gone (a key), or where it is no JSON."""
    try:
        held = json.loads(text)
    except ValueError:
        return text
    found = _walked(held, renamed, gone, "")
    return text if found == held else json.dumps(found, ensure_ascii=False)


def _walked(value: Any, renamed: Callable[[str, str], str], gone: set[str], key: str) -> Any:
    if isinstance(value, dict):
        return {name: _walked(each, renamed, gone, name) for name, each in value.items() if name not in gone}
    if isinstance(value, list):
        return [_walked(each, renamed, gone, key) for each in value]
    if not isinstance(value, str):
        return value
    instead = renamed(key, value.strip())
    return value if instead == value.strip() else instead


def _names_one(text: str, names: set[str]) -> bool:
    """Whether a rejected row, or a value of one, is about one of these: a cell is its id or name, or a key is made of it."""
    if text.startswith("{"):
        try:
            return any(str(cell).strip() in names for cell in json.loads(text).values() if cell is not None)
        except ValueError:
            pass
    return text.strip() in names or any(part in names for part in re.split(r"[ @]", text))
