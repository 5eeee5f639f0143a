"""HubSpot through its REST API: companies, deals, and the history of the deals.

::

    source: {kind: hubspot, token_from: HUBSPOT_TOKEN}     # the environment variable of a private app's access token

============== ==========================================================================================================
object         columns: any property by its internal name, and
============== ==========================================================================================================
companies      ``id``, ``known_at``
deals          ``id``, ``known_at``, ``company_id`` (the primary company), ``stage`` (won, lost, or the label of the open stage)
deal_history   ``event_id``, ``deal_id``, ``changed_at``, ``stage``; each row is the deal's whole state after a change
============== ==========================================================================================================

The first pass lists all records. Later ones search for those modified since; a search ends at 10,000 results, so it is taken up again from
the last of them. Archived records are listed every time, for HubSpot cannot be asked for the newly archived ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from pydantic import Field

from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.base import KNOWN_AT, Batch, Mark, Options, cell, fed_objects, read_options, secret, used_fields
from predictkpi.sources.mapping import Mapping as Rules
from predictkpi.sources.mapping import near
from predictkpi.sources.retrying import RetryingSession

ID, COMPANY_ID, STAGE = "id", "company_id", "stage"
DEAL_ID, EVENT_ID, CHANGED_AT = "deal_id", "event_id", "changed_at"
DEAL_STAGE, MODIFIED = "dealstage", "hs_lastmodifieddate"
COMPANIES, DEALS, HISTORY = "companies", "deals", "deal_history"
_PRIMARY = 5
"""HubSpot's association type of a deal with its primary company."""
_OVERLAP = pd.Timedelta(minutes=10)
"""Changes take a while to show up in a search, so each sync looks that far behind the last one."""
_ADDED = {
    COMPANIES: {ID, KNOWN_AT},
    DEALS: {ID, KNOWN_AT, COMPANY_ID, STAGE},
    HISTORY: {EVENT_ID, DEAL_ID, CHANGED_AT, STAGE},
}


class HubSpotLoginOptions(Options):
    """The way into an account, for whoever reads or writes there. ``url`` is for proxies and tests."""

    token_from: str = "HUBSPOT_TOKEN"  # noqa: S105  the variable that holds it
    url: str = "https://api.hubapi.com"


class HubSpotOptions(HubSpotLoginOptions):
    """The ``source:`` block of kind ``hubspot``."""

    page: int = Field(50, ge=1, le=50, description="HubSpot gives at most 50 records at once with their history")
    search_page: int = Field(100, ge=1, le=200)
    search_ends_at: int = Field(10_000, ge=1, le=10_000, description="results after which HubSpot ends a search")


class HubSpotSource:
    """See the module. The token is read from ``environment`` when the source is made."""

    id_column: str | None = ID

    def __init__(self, rules: Rules, environment: Mapping[str, str], *, session: RetryingSession | None = None) -> None:
        self._options = read_options(HubSpotOptions, rules.source or {})
        for name in (feed.file for feed in rules.feeds):
            if name not in _ADDED:
                raise MappingError(f"HubSpot: no object {name!r}{near(name, list(_ADDED))}; there are: {', '.join(_ADDED)}")
        objects = fed_objects(rules, with_deal=(DEALS, HISTORY))
        if KNOWN_AT in used_fields(rules, HISTORY):
            raise MappingError(f"HubSpot: {HISTORY} needs no {KNOWN_AT}: a change of the first pass was known when it happened")
        self._fields = {name: set(used_fields(rules, name)) for name in objects}
        self._token = secret(environment, self._options.token_from, of="HubSpot")
        self._session = session or RetryingSession("HubSpot")

    def __repr__(self) -> str:
        return f"HubSpotSource({self._options.url!r})"

    def batches(self, marks: Mapping[str, Mark], *, until: pd.Timestamp) -> Iterator[Batch]:
        """See `Source.batches`."""
        read = [name for name in (COMPANIES, DEALS) if name in self._fields or (name == DEALS and HISTORY in self._fields)]
        stages = self._stages() if DEALS in read else {}
        for name in read:
            mark = marks.get(name, Mark())
            if not mark.at and not mark.began:
                mark = replace(mark, began=until.isoformat())
            yield from self._pass(name, mark, until, stages)

    def _pass(self, name: str, mark: Mark, until: pd.Timestamp, stages: Mapping[str, str]) -> Iterator[Batch]:
        is_listing = mark.began != ""
        pages = self._listed(name, mark.at) if is_listing else self._modified(name, mark.at, until)
        for ids, at in pages:
            frames = self._frames(name, ids, mark, stages)
            mark = mark.moved(at)
            yield Batch(frames, {name: mark}, first=frozenset(frames if mark.is_first else ()))
        # A listing may miss what changed while it ran; what it saw of that is found unchanged by the next pass.
        done = mark.ended(mark.began if is_listing else until.isoformat())
        yield Batch({}, {name: done}, deleted={name: tuple(self._archived(name))})

    def _listed(self, name: str, after: str) -> Iterator[tuple[list[str], str]]:
        """Ids by page, each with the cursor of the next one."""
        for results, cursor in self._pages(name, after=after):
            yield [str(record["id"]) for record in results], cursor

    def _archived(self, name: str) -> Iterator[str]:
        for results, _ in self._pages(name, archived="true"):
            yield from (str(record["id"]) for record in results)

    def _pages(self, name: str, **parameters: str) -> Iterator[tuple[list[dict[str, Any]], str]]:
        after = parameters.pop("after", "")
        while True:
            asked = {"limit": str(self._options.page), **parameters} | ({"after": after} if after else {})
            answer = self._call("GET", f"/crm/v3/objects/{name}", params=asked)
            after = answer.get("paging", {}).get("next", {}).get("after", "")
            if answer["results"]:
                yield answer["results"], after
            if not after:
                return

    def _modified(self, name: str, since: str, until: pd.Timestamp) -> Iterator[tuple[list[str], str]]:
        """Ids modified in the window, oldest first, each page with the instant of its last; windows of at most 10,000."""
        start = pd.Timestamp(since) - _OVERLAP
        while True:
            after, last = "", start
            while True:
                answer = self._call("POST", f"/crm/v3/objects/{name}/search", json=self._question(start, until, after))
                results = answer["results"]
                if results:
                    last = pd.Timestamp(results[-1]["properties"][MODIFIED])
                    yield from self._in_pages(results)
                after = answer.get("paging", {}).get("next", {}).get("after", "")
                if not after:
                    return
                if int(after) + self._options.search_page > self._options.search_ends_at:
                    break
            if last == start:
                raise SourceError(
                    f"HubSpot: more than {self._options.search_ends_at:,} {name} were modified at the same instant, {last.isoformat()}, "
                    "more than a search can tell: sync with --from-start"
                )
            start = last

    def _question(self, start: pd.Timestamp, until: pd.Timestamp, after: str) -> dict[str, Any]:
        bounds = (("GTE", start), ("LT", until))
        filters = [{"propertyName": MODIFIED, "operator": operator, "value": str(_milliseconds(at))} for operator, at in bounds]
        asked = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": MODIFIED, "direction": "ASCENDING"}],
            "properties": [MODIFIED],
            "limit": self._options.search_page,
        }
        return asked | ({"after": after} if after else {})

    def _in_pages(self, results: list[dict[str, Any]]) -> Iterator[tuple[list[str], str]]:
        size = self._options.page
        for some in (results[start : start + size] for start in range(0, len(results), size)):
            yield [str(record["id"]) for record in some], pd.Timestamp(some[-1]["properties"][MODIFIED]).isoformat()

    def _frames(self, name: str, ids: list[str], mark: Mark, stages: Mapping[str, str]) -> dict[str, pd.DataFrame]:
        """The records themselves, as the mapping wants them."""
        fields = self._fields.get(name, set())
        history = self._fields.get(HISTORY, set()) if name == DEALS else set()
        past = sorted((history - _ADDED[HISTORY]) | ({DEAL_STAGE} if history else set()))
        wanted = sorted((fields - _ADDED[name]) | ({DEAL_STAGE} if STAGE in fields else set()))
        question = {"inputs": [{"id": one} for one in ids], "properties": wanted} | ({"propertiesWithHistory": past} if past else {})
        records = sorted(
            self._call("POST", f"/crm/v3/objects/{name}/batch/read", json=question)["results"], key=lambda one: ids.index(one["id"])
        )
        companies = self._companies_of(ids) if COMPANY_ID in fields else {}
        frames = {}
        if name in self._fields:
            rows = []
            for record in records:
                row = record["properties"] | {ID: record["id"], COMPANY_ID: companies.get(record["id"])}
                row[STAGE] = stages.get(row.get(DEAL_STAGE) or "", row.get(DEAL_STAGE))
                # Changed after the pass began: what is read is not what was known at its creation.
                is_original = mark.is_first and pd.Timestamp(record["updatedAt"]) < pd.Timestamp(mark.began)
                row[KNOWN_AT] = record["createdAt"] if is_original else None
                rows.append(row)
            frames[name] = _text(rows, sorted(fields | {ID}))
        if history:
            changes = [change for record in records for change in _states(record, stages)]
            frames[HISTORY] = _text(changes, sorted(history))
        return frames

    def _companies_of(self, deals: list[str]) -> dict[str, str]:
        """The primary company of each deal that has one, else its first."""
        answer = self._call("POST", "/crm/v4/associations/deals/companies/batch/read", json={"inputs": [{"id": deal} for deal in deals]})
        found = {}
        for result in answer["results"]:
            to = sorted(result["to"], key=lambda one: all(kind["typeId"] != _PRIMARY for kind in one["associationTypes"]))
            if to:
                found[str(result["from"]["id"])] = str(to[0]["toObjectId"])
        return found

    def _stages(self) -> dict[str, str]:
        """What each stage of each pipeline is called: won, lost, or its label."""
        named = {}
        for pipeline in self._call("GET", "/crm/v3/pipelines/deals")["results"]:
            for stage in pipeline["stages"]:
                is_closed = str(stage["metadata"].get("isClosed", "")).lower() == "true"
                won = float(stage["metadata"].get("probability") or 0.0) == 1.0
                named[str(stage["id"])] = ("won" if won else "lost") if is_closed else str(stage["label"])
        return named

    def _call(self, method: str, path: str, **named: Any) -> dict[str, Any]:
        answer = self._session.request(method, self._options.url + path, headers={"Authorization": f"Bearer {self._token}"}, **named)
        if answer.status_code == 401:
            raise SourceError(f"HubSpot: the access token has expired or is not valid: put a new one into {self._options.token_from}")
        if answer.status_code == 403:
            raise SourceError(f"HubSpot: the access token may not read {path}: give the private app the scope that HubSpot names for it")
        if answer.status_code >= 300:
            raise SourceError(f"HubSpot: {path}: {answer.status_code}: {_message(answer)}")
        content: dict[str, Any] = answer.json()
        return content


def _message(answer: Any) -> str:
    try:
        return str(answer.json().get("message", answer.reason))
    except ValueError:
        return str(answer.reason)


def _milliseconds(instant: pd.Timestamp) -> int:
    return int(instant.timestamp() * 1000)


def _text(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([cell(row.get(name)) for row in rows], dtype="str") for name in columns})


def _states(record: dict[str, Any], stages: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The whole state of a deal after each change, from the first stage on; a property keeps its value until its next change."""
    changes: dict[pd.Timestamp, dict[str, Any]] = {}
    for name, versions in record["propertiesWithHistory"].items():
        for version in versions:
            changes.setdefault(pd.Timestamp(version["timestamp"]), {})[name] = version["value"]
    state: dict[str, Any] = {}
    for instant, values in sorted(changes.items()):
        state |= values
        if state.get(DEAL_STAGE):
            at = instant.isoformat(timespec="milliseconds")
            added = {DEAL_ID: record["id"], EVENT_ID: f"{record['id']}@{at}", CHANGED_AT: at}
            yield state | added | {STAGE: stages.get(state[DEAL_STAGE], state[DEAL_STAGE])}
