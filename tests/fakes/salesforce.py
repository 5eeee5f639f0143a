"""A Salesforce org as its REST API and Bulk API 2.0 show it: written from developer.salesforce.com (Query, QueryAll, Query Jobs, OAuth,
OpportunityHistory, OpportunityFieldHistory, sObject Collections).

Kept to the documentation: a query answers a first page with ``totalSize``, ``done`` and ``nextRecordsUrl``; queryAll includes deleted
records; a query job goes from UploadComplete over InProgress to JobComplete, its result is CSV by ``Sforce-Locator`` in no order, and it
refuses ORDER BY; a session that has expired is a 401 with errorCode INVALID_SESSION_ID. A change of an opportunity's stage, amount or
close date makes a row of OpportunityHistory, as its creation does; a change of a tracked field one of OpportunityFieldHistory, two if it
refers to a record (by id and by name), precise to the second, and without SystemModstamp. sObject Collections answer about each record in
the order of the question: null for one that is not there, a SaveResult for each of at most 200 that were to be updated. simple-salesforce
always speaks https, so `ToLoopback` takes its requests to this server.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import requests
from requests.adapters import HTTPAdapter

from fakes.serving import Answer, Fake, Request

VERSION = "/services/data/v62.0"
EXPIRED = Answer(401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
TOO_MANY = Answer(503, "Server Too Busy", {"Retry-After": "9"})
USED_UP = Answer(403, [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
NO_FIELD_HISTORY = Answer(400, [{"message": "sObject type 'OpportunityFieldHistory' is not supported.", "errorCode": "INVALID_TYPE"}])
STAGES, CHANGES = "OpportunityHistory", "OpportunityFieldHistory"
OF_STAGES = ("StageName", "Amount", "CloseDate")
KINDS = {"StageName": "DynamicEnum", "Amount": "Currency", "CloseDate": "DateOnly"}
_SOQL = re.compile(r"SELECT (?P<fields>.+) FROM (?P<object>\w+) WHERE (?P<where>.+?)(?P<order> ORDER BY SystemModstamp, Id)?$")
_AMONG = re.compile(r"OpportunityId IN \((?P<ids>[^)]*)\)")


class ToLoopback(HTTPAdapter):
    """Sends what is meant for a Salesforce host to the fake at ``url``."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._host = urlsplit(url).netloc

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        assert parts.hostname in ("acme.my.salesforce.com", "login.acme.example")
        request.url = urlunsplit(("http", self._host, parts.path, parts.query, ""))
        return super().send(request, *arguments, **named)


def stamp(instant: str | pd.Timestamp) -> str:
    return pd.Timestamp(instant).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


class SalesforceOrg(Fake):
    """``put`` writes a record at an instant, as a user of the org would; ``delete`` moves it to the recycle bin.

    ``tracked`` are the fields of opportunities whose history is tracked; ``users`` the names of owners by their id.
    """

    def __init__(self, *, page: int = 3, secret: str = "the-secret", tracked: tuple[str, ...] = (*OF_STAGES, "OwnerId")) -> None:
        super().__init__()
        self.page = page
        self.tracked = tracked
        self.users = {"0051": "Ann", "0052": "Ben"}
        self.secret = secret
        self.sessions = 0
        self.is_expired = False
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self._cursors: dict[str, list[dict[str, Any]]] = {}
        self.own_fields: set[str] = set()
        self.invalid: dict[str, str] = {}
        """Ids whose update a validation rule refuses, with its message."""

    @property
    def token(self) -> str:
        return f"session-{self.sessions}"

    def put(self, kind: str, id_: str, at: str, **fields: Any) -> None:
        records = self.records.setdefault(kind, {})
        before = records.get(id_)
        if "OwnerId" in fields:
            fields["Owner"] = {"attributes": {"type": "User"}, "Name": self.users[fields["OwnerId"]]}
        record = before or {"Id": id_, "CreatedDate": stamp(at), "IsDeleted": False}
        records[id_] = record | fields | {"SystemModstamp": stamp(at)}
        if kind == "Opportunity":
            self._tell(id_, before, records[id_], at)

    def _tell(self, id_: str, before: dict[str, Any] | None, after: dict[str, Any], at: str) -> None:
        changed = [name for name in after if before is not None and before.get(name) != after[name]]
        if before is None or any(name in OF_STAGES for name in changed):
            self._append(STAGES, "008", id_, at, **{name: after.get(name) for name in OF_STAGES})
        if before is None:
            self._append(CHANGES, "017", id_, at, Field="created", DataType="Text", OldValue=None, NewValue=None)
            return
        for name in (name for name in changed if name in self.tracked):
            old, new = before.get(name), after[name]
            if name == "OwnerId":
                self._append(CHANGES, "017", id_, at, Field="Owner", DataType="EntityId", OldValue=old, NewValue=new)
                names = {"OldValue": self.users.get(old), "NewValue": self.users[new]}
                self._append(CHANGES, "017", id_, at, Field="Owner", DataType="Text", **names)
            else:
                self._append(CHANGES, "017", id_, at, Field=name, DataType=KINDS.get(name, "Text"), OldValue=old, NewValue=new)

    def _append(self, kind: str, prefix: str, deal: str, at: str, **fields: Any) -> None:
        rows = self.records.setdefault(kind, {})
        id_ = f"{prefix}{len(rows):05d}"
        rows[id_] = {"Id": id_, "OpportunityId": deal, "CreatedDate": stamp(pd.Timestamp(at).floor("s")), "IsDeleted": False} | fields
        if kind == STAGES:
            rows[id_]["SystemModstamp"] = stamp(at)

    def delete(self, kind: str, id_: str, at: str) -> None:
        self.records[kind][id_] |= {"IsDeleted": True, "SystemModstamp": stamp(at)}

    def answer(self, request: Request) -> Answer:
        if request.path == "/services/oauth2/token":
            return self._login(request)
        if self.is_expired or request.headers.get("Authorization") != f"Bearer {self.token}":
            return EXPIRED
        if request.path.rstrip("/") == f"{VERSION}/queryAll":
            return self._query(request.query["q"])
        if request.path.startswith(f"{VERSION}/query/"):
            return Answer(200, self._next(request.path.rsplit("/", 1)[1]))
        if request.path == f"{VERSION}/jobs/query" and request.method == "POST":
            return self._job(request.json)
        if request.path == f"{VERSION}/composite/sobjects" and request.method == "PATCH":
            return self._update(request.json)
        if request.path.startswith(f"{VERSION}/composite/sobjects/") and request.method == "POST":
            return self._retrieve(request.path.rsplit("/", 1)[1], request.json)
        if request.path.startswith(f"{VERSION}/jobs/query/"):
            return self._job_state(request)
        return Answer(404, [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}])

    def _login(self, request: Request) -> Answer:
        given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        if given != f"the-client:{self.secret}":
            return Answer(400, {"error": "invalid_client", "error_description": "invalid client credentials"})
        self.sessions += 1
        self.is_expired = False
        return Answer(200, {"access_token": self.token, "instance_url": "https://acme.my.salesforce.com", "token_type": "Bearer"})

    def _found(self, soql: str) -> tuple[re.Match[str], list[str], list[dict[str, Any]]]:
        parsed = _SOQL.fullmatch(soql)
        assert parsed, soql
        found = list(self.records.get(parsed["object"], {}).values())
        for condition in parsed["where"].split(" AND "):
            if among := _AMONG.fullmatch(condition):
                found = [one for one in found if f"'{one['OpportunityId']}'" in among["ids"].split(", ")]
                continue
            field, operator, text = condition.split(" ")
            assert field in ("SystemModstamp", "CreatedDate")
            assert text.endswith("Z")
            bound = pd.Timestamp(text)
            found = [one for one in found if (pd.Timestamp(one[field]) >= bound if operator == ">=" else pd.Timestamp(one[field]) < bound)]
        if parsed["order"]:
            found.sort(key=lambda one: (pd.Timestamp(one["SystemModstamp"]), one["Id"]))
        return parsed, parsed["fields"].split(", "), found

    def _query(self, soql: str) -> Answer:
        _, fields, found = self._found(soql)
        unknown = [field for field in fields if found and field.split(".")[0] not in found[0]]
        if unknown:
            return Answer(400, [{"message": f"No such column '{unknown[0]}' on entity", "errorCode": "INVALID_FIELD"}])
        cursor = f"01g{len(self._cursors)}"
        self._cursors[cursor] = [
            {"attributes": {"type": "record"}} | {f.split(".")[0]: one.get(f.split(".")[0]) for f in fields} for one in found
        ]
        return Answer(200, self._next(f"{cursor}-0"))

    def _retrieve(self, kind: str, asked: dict[str, Any]) -> Answer:
        assert asked["fields"] == ["Id", "IsClosed"]
        found = [self.records.get(kind, {}).get(id_) for id_ in asked["ids"]]
        closed = ("Closed Won", "Closed Lost")
        return Answer(
            200,
            [None if one is None or one["IsDeleted"] else {"Id": one["Id"], "IsClosed": one.get("StageName") in closed} for one in found],
        )

    def _update(self, asked: dict[str, Any]) -> Answer:
        records = asked["records"]
        assert len(records) <= 200
        assert asked["allOrNone"] is False
        for record in records:
            unknown = set(record) - {"attributes", "id"} - self.own_fields
            if unknown:
                message = f"No such column '{min(unknown)}' on sobject of type {record['attributes']['type']}"
                return Answer(400, [{"message": message, "errorCode": "INVALID_FIELD"}])
        return Answer(200, [self._saved(record) for record in records])

    def _saved(self, record: dict[str, Any]) -> dict[str, Any]:
        held = self.records.get(record["attributes"]["type"], {}).get(record["id"])
        error = None
        if held is None:
            error = ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        elif held["IsDeleted"]:
            error = ("ENTITY_IS_DELETED", "entity is deleted")
        elif record["id"] in self.invalid:
            error = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", self.invalid[record["id"]])
        if held is None or error is not None:
            return {"success": False, "errors": [{"statusCode": error[0], "message": error[1], "fields": []}]}
        held |= {name: value for name, value in record.items() if name not in ("attributes", "id")}
        return {"id": record["id"], "success": True, "errors": []}

    def _next(self, locator: str) -> dict[str, Any]:
        cursor, offset = locator.rsplit("-", 1)
        rows, start = self._cursors[cursor], int(offset)
        end = start + self.page
        answer = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[start:end]}
        return answer if answer["done"] else answer | {"nextRecordsUrl": f"{VERSION}/query/{cursor}-{end}"}

    def _job(self, asked: dict[str, Any]) -> Answer:
        assert asked["operation"] == "queryAll"
        parsed, fields, found = self._found(asked["query"])
        if parsed["order"]:
            return Answer(400, [{"errorCode": "API_ERROR", "message": "ORDER BY is not supported"}])
        job = f"750{len(self.jobs)}"
        self.jobs[job] = {"object": parsed["object"], "fields": fields, "rows": list(reversed(found)), "asked": 0}
        return Answer(200, {"id": job, "operation": "queryAll", "state": "UploadComplete"})

    def _job_state(self, request: Request) -> Answer:
        job, *rest = request.path.removeprefix(f"{VERSION}/jobs/query/").split("/")
        held = self.jobs[job]
        if not rest:
            held["asked"] += 1
            return Answer(200, {"id": job, "state": "JobComplete" if held["asked"] > 1 else "InProgress"})
        start = int(request.query.get("locator", "0"))
        end = start + int(request.query["maxRecords"])
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(held["fields"])
        for one in held["rows"][start:end]:
            writer.writerow([_cell(one, field) for field in held["fields"]])
        headers = {
            "Content-Type": "text/csv",
            "Sforce-Locator": str(end) if end < len(held["rows"]) else "null",
            "Sforce-NumberOfRecords": str(len(held["rows"][start:end])),
        }
        return Answer(200, text.getvalue(), headers)


def _cell(record: dict[str, Any], field: str) -> str:
    value: Any = record
    for part in field.split("."):
        value = (value or {}).get(part)
    if isinstance(value, bool):
        return json.dumps(value)
    return "" if value is None else str(value)
