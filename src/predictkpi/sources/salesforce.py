"""Salesforce through simple-salesforce: any object by its fields, read in the order of ``SystemModstamp``, deleted records included.

::

    source: {kind: salesforce, domain: acme.my}     # the org's My Domain; the secrets are in SALESFORCE_CLIENT_ID and _CLIENT_SECRET

The mapping names objects (Account, Opportunity, OpportunityHistory, Order, ...) as files, and fields as their columns; a field of a related
record is ``Owner.Name``. ``known_at`` is added: see `sources.base`. ``deal_history`` is an object of our own: the whole state of each
opportunity after each change (`sources.salesforce_history`), read with the opportunity. A first pass of many records is a job of the Bulk
API 2.0; everything else is a query of the REST API.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import Field

from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.base import KNOWN_AT, Batch, Mark, cell, fed_objects, read_options, used_fields
from predictkpi.sources.mapping import Mapping as Rules
from predictkpi.sources.retrying import RetryingSession
from predictkpi.sources.salesforce_history import (
    CHANGED_AT,
    CHANGES,
    CHANGES_FIELDS,
    DEAL_ID,
    EVENT_ID,
    OPPORTUNITY_ID,
    STAGES,
    stages_fields,
    states,
)
from predictkpi.sources.salesforce_login import SalesforceLogin, SalesforceLoginOptions

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

ID, MODSTAMP, CREATED, IS_DELETED = "Id", "SystemModstamp", "CreatedDate", "IsDeleted"
OPPORTUNITY, HISTORY = "Opportunity", "deal_history"
_ALWAYS = (CREATED, ID, IS_DELETED, MODSTAMP)
_IDS_AT_ONCE = 200
"""Ids in one question for histories: the address of a query may have some 16,000 characters."""
Histories = Callable[[list[str]], list[pd.DataFrame]]
"""The rows of OpportunityHistory and OpportunityFieldHistory of some opportunities."""
_OVERLAP = pd.Timedelta(minutes=10)
"""A transaction may be committed after a later one was read, so each sync looks that far behind the last one."""


class SalesforceOptions(SalesforceLoginOptions):
    """The ``source:`` block of kind ``salesforce``."""

    field_history: bool = Field(True, description="whether deal_history reads OpportunityFieldHistory, beside OpportunityHistory")
    bulk_above: int = Field(20_000, ge=0, description="records of a first pass above which it is a bulk job")
    bulk_rows: int = Field(20_000, ge=1, description="records by which the result of a bulk job is fetched")
    poll_seconds: float = Field(5.0, ge=0, description="how often a bulk job is asked whether it is done")


class SalesforceSource:
    """See the module. Secrets are read from ``environment`` when the source is made; it logs in when it is first read."""

    id_column: str | None = ID

    def __init__(self, rules: Rules, environment: Mapping[str, str], *, session: RetryingSession | None = None) -> None:
        self._options = read_options(SalesforceOptions, rules.source or {})
        if any(feed.file == CHANGES for feed in rules.feeds):
            raise MappingError(f"Salesforce: a row of {CHANGES} is no state of a deal; map {HISTORY}, which puts them together")
        fields = {name: used_fields(rules, name) for name in fed_objects(rules, with_deal=(OPPORTUNITY, HISTORY))}
        self._has_history = HISTORY in fields
        self._tracked = [name for name in fields.pop(HISTORY, []) if name not in (EVENT_ID, DEAL_ID, CHANGED_AT)]
        if KNOWN_AT in self._tracked:
            raise MappingError(f"Salesforce: {HISTORY} needs no {KNOWN_AT}: a change of the first pass was known when it happened")
        self._fields = fields
        self._read = list(fields) if OPPORTUNITY in fields or not self._has_history else [*fields, OPPORTUNITY]
        self._login = SalesforceLogin(self._options, environment, session or RetryingSession("Salesforce"))

    def __repr__(self) -> str:
        return f"SalesforceSource({self._options.domain or self._options.instance_url!r})"

    def batches(self, marks: Mapping[str, Mark], *, until: pd.Timestamp) -> Iterator[Batch]:
        """See `Source.batches`."""
        from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError, SalesforceExpiredSession

        try:
            salesforce = self._login.connect()
            for name in self._read:
                mark = marks.get(name, Mark())
                if not mark.at and not mark.began:
                    mark = Mark(is_first=mark.is_first, began=until.isoformat())
                has_logged_in_again = False
                done = False
                while not done:
                    try:
                        for batch in self._pass(salesforce, name, mark, until):
                            mark = batch.marks[name]
                            yield batch
                        done = True
                    except SalesforceExpiredSession:
                        # A bulk job cannot log in again by itself; the pass goes on from its mark.
                        if has_logged_in_again or self._options.domain is None:
                            raise
                        has_logged_in_again = True
                        salesforce = self._login.connect()
        except SalesforceExpiredSession:
            raise SourceError(f"Salesforce: the session has expired or is not valid: {self._login.way_in()}") from None
        except SalesforceAuthenticationFailed as error:
            raise SourceError(f"Salesforce: the login failed ({error.code}): {self._login.way_in()}") from None
        except SalesforceError as error:
            raise SourceError(f"Salesforce: {_reason(error)}") from None

    def _pass(self, salesforce: Salesforce, name: str, mark: Mark, until: pd.Timestamp) -> Iterator[Batch]:
        since = pd.Timestamp(mark.at) if mark.at else None
        if since is not None and not mark.is_first:
            since -= _OVERLAP
        has_history = name == OPPORTUNITY and self._has_history
        selected = sorted({*self._fields.get(name, ()), *(self._tracked if has_history else ()), *_ALWAYS} - {KNOWN_AT})
        conditions = ([f"{MODSTAMP} >= {_literal(since)}"] if since is not None else []) + [f"{MODSTAMP} < {_literal(until)}"]
        soql = f"SELECT {', '.join(selected)} FROM {name} WHERE {' AND '.join(conditions)}"  # noqa: S608  names of the schema, instants as literals
        page = salesforce.query(f"{soql} ORDER BY {MODSTAMP}, {ID}", include_deleted=True)
        is_bulk = since is None and page["totalSize"] > self._options.bulk_above
        pages = self._by_bulk(salesforce, name, soql) if is_bulk else _by_rest(salesforce, page)
        histories = self._histories(salesforce, until, is_bulk=is_bulk) if has_history else None
        for records in pages:
            # The result of a bulk job is in no order, so only its end is a mark.
            mark = mark if is_bulk or not records else mark.moved(records[-1][MODSTAMP])
            yield self._batch(name, records, mark, histories)
        yield Batch({}, {name: mark.ended(until.isoformat())})

    def _batch(self, name: str, records: list[dict[str, Any]], mark: Mark, histories: Histories | None) -> Batch:
        gone = tuple(str(record[ID]) for record in records if cell(record[IS_DELETED]) == "true")
        there = [record for record in records if cell(record[IS_DELETED]) != "true"]
        began = pd.Timestamp(mark.began) if mark.is_first else None
        for record in there:
            # Changed after the pass began: what is read is not what was known at its creation.
            is_original = began is not None and pd.Timestamp(record[MODSTAMP]) < began
            record[KNOWN_AT] = record[CREATED] if is_original else None
        frames = {name: _frame(there, sorted({*self._fields[name], ID}))} if name in self._fields else {}
        if histories is not None:
            deals = _frame(there, sorted({ID, CREATED, *self._tracked}))
            stages, changes = histories(deals[ID].tolist())
            frames[HISTORY] = states(deals, stages, changes, self._tracked)
        return Batch(frames, {name: mark}, deleted={name: gone}, first=frozenset(frames if mark.is_first else ()))

    def _histories(self, salesforce: Salesforce, until: pd.Timestamp, *, is_bulk: bool) -> Histories:
        """What happened before ``until``, as the opportunities themselves are read; deleted rows too, for the old ones count as deleted."""
        asked = {STAGES: stages_fields(self._tracked), CHANGES: list(CHANGES_FIELDS)}
        soql = {name: f"SELECT {', '.join(fields)} FROM {name} WHERE {CREATED} < {_literal(until)}" for name, fields in asked.items()}  # noqa: S608
        read = [STAGES, CHANGES] if self._options.field_history else [STAGES]

        def of_all() -> dict[str, pd.DataFrame]:
            held = {name: [_frame(rows, asked[name]) for rows in self._by_bulk(salesforce, name, soql[name])] for name in read}
            return {name: pd.concat([_frame([], asked[name]), *frames]).set_index(OPPORTUNITY_ID) for name, frames in held.items()}

        whole = of_all() if is_bulk else {}

        def of_some(deals: list[str]) -> list[pd.DataFrame]:
            found = []
            for name, fields in asked.items():
                if name in whole:
                    found.append(whole[name][whole[name].index.isin(deals)].reset_index())
                    continue
                rows = []
                for ids in _in_chunks(deals) if name in read else ():
                    among = ", ".join(f"'{one}'" for one in ids)
                    page = salesforce.query(f"{soql[name]} AND {OPPORTUNITY_ID} IN ({among})", include_deleted=True)
                    rows += [row for rows_of_page in _by_rest(salesforce, page) for row in rows_of_page]
                found.append(_frame(rows, fields))
            return found

        return of_some

    def _by_bulk(self, salesforce: Salesforce, name: str, soql: str) -> Iterator[list[dict[str, Any]]]:
        handler = getattr(salesforce.bulk2, name)
        for text in handler.query_all(soql, max_records=self._options.bulk_rows, wait=self._options.poll_seconds):
            yield list(csv.DictReader(io.StringIO(text, newline="")))


def _by_rest(salesforce: Salesforce, page: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    while True:
        yield [_flat(record) for record in page["records"]]
        if page["done"]:
            return
        page = salesforce.query_more(page["nextRecordsUrl"], identifier_is_url=True)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields of related records by their path, as the bulk API names them."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "attributes":
            continue
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _frame(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([cell(record.get(name)) for record in records], dtype="str") for name in columns})


def _in_chunks(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE))


def _literal(instant: pd.Timestamp | None) -> str:
    assert instant is not None
    return instant.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _reason(error: Any) -> str:
    content = getattr(error, "content", None)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        code = content[0].get("errorCode", "")
        message = content[0].get("message", "")
        advice = ": the org's requests of today are used up; sync again tomorrow" if code == "REQUEST_LIMIT_EXCEEDED" else ""
        if code == "INVALID_TYPE" and CHANGES in message:
            advice = ": set field history tracking of opportunities up, or do without it: source.field_history: false"
        return f"{message} ({code}){advice}"
    return str(content or error)
