"""The mapping: a YAML file that says which file feeds which table. One page is the whole format::

    company: {name: Acme, currency: USD, time_zone: America/New_York, fiscal_year_starts: 1}
    exported_at: 2018-01-01          # when the files were exported; a bare date means the end of that day. Without it: the day of the load
    source: {kind: sql, ...}         # instead of files, for `predictkpi sync`; see docs/sources.md
    defaults:                        # for all feeds; each may be stated in a feed instead
      encoding: utf-8
      delimiter: ","
      decimal: "."
      thousands: ""                  # e.g. "," for 1,234.50; without it such a number is rejected
      dates: {format: "%Y-%m-%d", time_zone: America/New_York}
    feeds:
      - table: deals                 # one of customers, orders, deals, deal_events, activities, spend, targets, fx_rates
        file: pipeline.csv           # .csv, .tsv, .txt (also .gz), .parquet or .xlsx (sheet: Name; otherwise the first)
        join:                        # look-ups that add columns to each row
          - {file: products.csv, on: product}
        values:                      # other spellings, by column of the file; before everything else. "" makes a cell empty
          stage: {Closed Won: won, Closed Lost: lost}
        when:                        # which rows feed this table (all conditions hold); the others are counted as not selected
          stage: [won, lost]
          closed: present            # or: empty
        deleted: {is_deleted: [yes]} # which rows state that the record is deleted (all conditions hold, as in when)
        columns:                     # column of the table: column of the file
          deal_id: Opportunity Id
        constants: {currency: USD}   # column of the table: value; for an instant an ISO date, or exported_at
        attributes:                  # your own fields of customers, deals or orders, each a category, number, date or flag
          Lead Score: number
          Budget ok?: {name: has_budget, kind: flag}
        known_at: modified           # see below
        states: history              # of deal_events; or current, or live: see below
        unique: first                # several rows of a key are one record: the first holds, the others count as unchanged
        ignore: [Notes]              # columns of the file that no feed uses; "*" for all. Any other unused column is an error

Everything is read as text: ``No`` or ``0012`` in a value map mean what they say. Cells are stripped of blanks at both ends; only an empty
cell is a missing value (``NA`` may be a region). ``dates.format`` is a strptime format or ``ISO8601``, or one of them by column of the
file: ``dates: {format: {opened: "%d.%m.%Y", modified: ISO8601}}``. Instants are converted from ``dates.time_zone`` to the company's; dates
without a time of day are not, for a day stays that day. Dates before 1900 or after 2261, numbers
from 1e15 on, and text with a NUL character are rejected.

``known_at`` is when a row was known, the other time of every fact. Without it a row of the first load of a table was known when it
happened (undated ones: when it was exported), and what a later load adds or changes is known from its export on. Name a column of the
file where there is one (a date of the last change; the date of the event itself, if files come in by the month). ``known_at: always``
is for master data whose history nobody kept, such as a customer's industry: the first load counts as known at all times, so that
training on the past can use it. That is honest only for attributes that do not change with the outcome. ``known_at: exported_at`` says that
a row was learnt from this export only, although what it speaks of is older.

An attribute is known when the row it stands in was; one that a later mapping adds counts as the first load of its table. A cell that is
not of the attribute's kind is a reject of its own: the row it stands in is loaded without it.

A file that only says how each deal stands now feeds deal_events with ``states: current``: a row becomes an event where its stage, amount,
expected close or owner differs from the deal's last event, so the same state loaded again changes nothing. The event happened at ``ds``
if the file says when the deal was modified, else when it was exported. Columns that are not mapped stay as they were. Beside a history,
``states: live`` loads nothing: it compares each deal as it stands with its last event, and what differs is listed and rejected.

A table without a mapped ``order_id``, ``event_id`` or ``activity_id`` gets one made of customer or deal, instant and a running number.
"""

from __future__ import annotations

import codecs
import datetime as dt
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.core.types import Company
from predictkpi.tables import TABLES, table_schema
from predictkpi.tables.attributes import OWNERS

ALWAYS = "always"
EXPORTED_AT = "exported_at"
PRESENT, EMPTY = "present", "empty"
DERIVED_KEYS = {
    "orders": (c.ORDER_ID, (c.CUSTOMER_ID,)),
    "deal_events": (c.EVENT_ID, (c.DEAL_ID,)),
    "activities": (c.ACTIVITY_ID, (c.DEAL_ID, c.CUSTOMER_ID)),
}
"""Tables whose id may be made up: the id, and of which column it is made beside the instant: the first that is filled."""


def near(name: str, known: list[str]) -> str:
    """`` (did you mean 'x'?)`` or nothing."""
    matches = get_close_matches(name.casefold(), [candidate.casefold() for candidate in known], n=1)
    found = [candidate for candidate in known if matches and candidate.casefold() == matches[0]]
    return f" (did you mean {found[0]!r}?)" if found else ""


def _is_encoding(name: str) -> str:
    try:
        is_text = codecs.lookup(name)._is_text_encoding
    except LookupError:
        is_text = False
    if not is_text:  # rot13 and hex are codecs too
        raise ValueError(f"no such encoding: {name!r}; usual ones are utf-8, latin-1, cp1252, utf-16")
    return name


def _is_delimiter(mark: str) -> str:
    if not mark.isascii() or mark in '"\r\n\0':
        raise ValueError(f"{mark!r} cannot part fields: write one ASCII character, such as ; or | or a tab")
    return mark


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"no such time zone: {name!r}; write an IANA name such as Europe/Berlin") from None
    return name


def _has_holidays(country: str | None) -> None:
    """Raise ValueError for a country or region whose public holidays are not known."""
    if country is None:
        return
    from holidays import list_supported_countries

    name, _, region = country.partition("-")
    known = list_supported_countries(include_aliases=False)
    if name not in known:
        raise ValueError(f"no public holidays are known for the country {name!r}; write its ISO code, such as DE, or leave country out")
    if region and region not in known[name]:
        raise ValueError(f"no region {region!r} of {name} is known; there are: {', '.join(known[name]) or 'none'}")


def _is_condition(value: object) -> object:
    if isinstance(value, str) and value not in (PRESENT, EMPTY):
        raise ValueError(f"write a list of values, or one of {PRESENT}, {EMPTY}; for the value {value!r} write [{value}]")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Dates(_Strict):
    """How instants are written in a file."""

    format: str | dict[str, str] | None = None
    time_zone: Annotated[str, AfterValidator(_is_zone)] | None = None

    def format_of(self, column: str) -> str | None:
        """The format of that column of the file; None if none is stated."""
        return self.format.get(column) if isinstance(self.format, dict) else self.format

    @field_validator("format")
    @classmethod
    def _is_format(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for text in value.values() if isinstance(value, dict) else [value]:
            if text is not None and text != "ISO8601" and not ("%y" in text.casefold() and "%" in text):
                raise ValueError(f"{text!r} is no strptime format with a year, such as %Y-%m-%d, nor ISO8601")
            try:
                pd.to_datetime(pd.Series(["2024-01-31"], dtype="str"), format=text, errors="coerce")
            except (ValueError, re.error) as error:
                raise ValueError(f"{text!r} is no strptime format: {error}") from None
        return value


class Reading(_Strict):
    """How a file is written; what a feed leaves out comes from the defaults."""

    encoding: Annotated[str, AfterValidator(_is_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_is_delimiter)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    dates: Dates = Dates()


class Join(_Strict):
    """A look-up file: each row gets the columns of the one row of that file with the same value ``on``."""

    file: str
    on: str
    sheet: str | None = None


class Attribute(_Strict):
    """One field of the company's own: its name in `Snapshot.attributes` and how its cells are read."""

    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    kind: Literal["category", "number", "date", "flag"]


def _named(value: object) -> object:
    """``{column: kind}`` as ``{column: {name, kind}}``; a name that is not given is the column's in small letters and underscores."""
    if not isinstance(value, dict):
        return value
    named = {}
    for column, given in value.items():
        spec = {"kind": given} if isinstance(given, str) else given
        name = re.sub("[^0-9a-z]+", "_", str(column).casefold()).strip("_")
        named[column] = {"name": name, **spec} if isinstance(spec, dict) else spec
    return named


Conditions = dict[str, Annotated[list[str] | str, BeforeValidator(_is_condition)]]
"""By column of the file: the values, any of which a row must have there, or whether the cell must be filled; all of them hold."""


class Feed(Reading):
    """One file feeding one table."""

    table: str
    file: str
    sheet: str | None = None
    join: tuple[Join, ...] = ()
    values: dict[str, dict[str, str]] = {}
    when: Conditions = {}
    deleted: Conditions = {}
    columns: dict[str, str]
    constants: dict[str, str] = {}
    attributes: Annotated[dict[str, Attribute], BeforeValidator(_named)] = {}
    known_at: str | None = None
    states: Literal["history", "current", "live"] = "history"
    unique: Literal["first"] | None = None
    ignore: tuple[str, ...] | Literal["*"] = ()

    @property
    def table_schema(self) -> TableSchema:
        """The schema of the table that is fed."""
        return table_schema(self.table)

    @property
    def used_columns(self) -> set[str]:
        """Every column of the file (or of its look-ups) that this feed speaks of."""
        known_at = {self.known_at} - {None, ALWAYS, EXPORTED_AT}
        told = {*self.columns.values(), *self.attributes, *self.values, *self.when, *self.deleted}
        return {*told, *(join.on for join in self.join), *known_at}  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _fits_table(self) -> Feed:
        if self.table not in TABLES:
            raise ValueError(f"no table named {self.table!r}{near(self.table, list(TABLES))}; there are: {', '.join(TABLES)}")
        names = self.table_schema.column_names
        for part in (self.columns, self.constants):
            for name in part:
                if name not in names:
                    raise ValueError(f"{self.table} has no column {name!r}{near(name, names)}; it has: {', '.join(names)}")
        twice = set(self.columns) & set(self.constants)
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))}: given by a column and by a constant; keep one")
        self._check_attributes(names)
        self._check_deleted()
        derived = DERIVED_KEYS.get(self.table, ("", ()))[0]
        given = {*self.columns, *self.constants, derived, *([] if self.states == "history" else [c.DS])}
        if self.states != "history" and self.table != "deal_events":
            raise ValueError(f"states: {self.states} is for deal_events; a row of {self.table} is its present state anyway")
        missing = [column.name for column in self.table_schema.columns if column.required and column.name not in given]
        if missing:
            raise ValueError(f"{self.table} needs {', '.join(missing)}: name the column of the file, or a constant")
        return self

    def _check_deleted(self) -> None:
        key = self.table_schema.key
        if self.deleted and (len(key) > 1 or self.states != "history"):
            raise ValueError(f"deleted: rows of {self.table} have no id by which one could be gone; state what holds instead, such as 0")
        if self.deleted and key[0] not in self.columns:
            raise ValueError(f"deleted: a record that is gone is told by its id: map {key[0]}")

    def _check_attributes(self, columns: list[str]) -> None:
        if not self.attributes:
            return
        if self.table not in OWNERS:
            raise ValueError(f"{self.table} has no attributes; only {', '.join(OWNERS)} have")
        if self.table_schema.key[0] not in self.columns:
            raise ValueError(f"attributes need an id to belong to: map {self.table_schema.key[0]}")
        names = [attribute.name for attribute in self.attributes.values()]
        for name in names:
            if name in columns:
                raise ValueError(
                    f"attribute {name!r}: {self.table} has a column of that name; map it under columns, or choose another name"
                )
            if names.count(name) > 1:
                raise ValueError(f"attribute {name!r} is given twice")


def _export(value: object, info: ValidationInfo) -> dt.date | None:
    """A bare date stays one; an instant becomes naive local time of the company."""
    if value is None or isinstance(value, dt.date):
        return value
    try:
        instant = pd.to_datetime(str(value), format="ISO8601")
    except ValueError:
        raise ValueError(f"{value!r} is no ISO date or instant, such as 2018-01-01 or 2018-01-01T06:30") from None
    if len(str(value)) == len("2018-01-01"):
        return instant.date()
    company = info.data.get("company") or Company()
    return instant.tz_convert(company.time_zone).tz_localize(None) if instant.tzinfo else instant


class Mapping(_Strict):
    """A whole mapping file."""

    company: Company | None = None
    exported_at: Annotated[dt.date | None, PlainValidator(_export)] = None
    source: dict[str, Any] | None = None
    defaults: Reading = Reading()
    feeds: tuple[Feed, ...]

    @model_validator(mode="before")
    @classmethod
    def _spread_defaults(cls, data: Any) -> Any:
        """Give each feed the defaults that it does not state itself."""
        if not isinstance(data, dict):
            raise ValueError("expected company, feeds and so on at the top")
        data = dict(data)
        defaults = data.get("defaults") or {}
        if isinstance(data.get("feeds"), list) and isinstance(defaults, dict):
            shared = {name: value for name, value in defaults.items() if name in Reading.model_fields}
            data["feeds"] = [{**shared, **feed} if isinstance(feed, dict) else feed for feed in data["feeds"]]
        return data

    @field_validator("company")
    @classmethod
    def _is_somewhere(cls, company: Company | None) -> Company | None:
        if company is not None:
            _is_zone(company.time_zone)
            _has_holidays(company.country)
        return company

    @field_validator("feeds")
    @classmethod
    def _some(cls, feeds: tuple[Feed, ...]) -> tuple[Feed, ...]:
        if not feeds:
            raise ValueError("there is no feed: say which file feeds which table")
        kinds: dict[tuple[str, str], str] = {}
        for feed in feeds:
            for attribute in feed.attributes.values():
                kind = kinds.setdefault((feed.table, attribute.name), attribute.kind)
                if kind != attribute.kind:
                    raise ValueError(
                        f"attribute {attribute.name!r} of {feed.table} is a {kind} in one feed and a {attribute.kind} in another"
                    )
        return feeds

    @property
    def exported_from(self) -> pd.Timestamp | None:
        """The first instant that ``exported_at`` may mean: itself, for a bare date that midnight."""
        return None if self.exported_at is None else pd.Timestamp(self.exported_at)

    @property
    def exported_until(self) -> pd.Timestamp | None:
        """The last instant that the export may speak of: ``exported_at``, for a bare date the end of that day."""
        if self.exported_at is None or isinstance(self.exported_at, dt.datetime):
            return self.exported_from
        return pd.Timestamp(self.exported_at) + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
