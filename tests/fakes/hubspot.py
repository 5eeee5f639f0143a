"""A HubSpot account as its REST API shows it: written from developers.hubspot.com (objects v3, search v3, pipelines v3, associations v4).

Kept to the documentation: lists page by ``paging.next.after``; a search filters and sorts, pages by offset and refuses to go beyond its
limit of results; a batch read takes at most 50 records with their history, which comes newest first; an expired token is a 401 of category
EXPIRED_AUTHENTICATION, too many requests a 429 of category RATE_LIMITS; archived records are listed with ``archived=true`` only. A batch
of which some records are not there is a 207 with ``errors``; a value or property that is not valid refuses the whole batch with a 400.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from fakes.serving import Answer, Fake, Request

TOO_MANY = Answer(
    429,
    {
        "status": "error",
        "message": "You have reached your secondly limit.",
        "errorType": "RATE_LIMIT",
        "category": "RATE_LIMITS",
        "policyName": "SECONDLY",
    },
    {"Retry-After": "7"},
)
EXPIRED = Answer(
    401, {"status": "error", "message": "The OAuth token used to make this call expired.", "category": "EXPIRED_AUTHENTICATION"}
)
PIPELINES = {
    "results": [
        {
            "id": "default",
            "label": "Sales",
            "displayOrder": 0,
            "archived": False,
            "stages": [
                {"id": "s1", "label": "Meeting", "displayOrder": 0, "metadata": {"isClosed": "false", "probability": "0.2"}},
                {"id": "s2", "label": "Offer", "displayOrder": 1, "metadata": {"isClosed": "false", "probability": "0.6"}},
                {"id": "s3", "label": "Signed", "displayOrder": 2, "metadata": {"isClosed": "true", "probability": "1.0"}},
                {"id": "s4", "label": "Gone", "displayOrder": 3, "metadata": {"isClosed": "true", "probability": "0.0"}},
            ],
        }
    ]
}


def stamp(instant: str) -> str:
    return pd.Timestamp(instant).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class HubSpot(Fake):
    """``put`` writes properties at an instant, as a user of the account would; ``archive`` moves a record to the recycling bin."""

    def __init__(self, secret: str = "pat-secret", search_limit: int = 10_000) -> None:
        super().__init__()
        self.secret = secret
        self.search_limit = search_limit
        self.records: dict[str, dict[str, dict[str, Any]]] = {"companies": {}, "deals": {}}
        self.company_of: dict[str, list[tuple[str, int]]] = {}
        self.own_fields: set[str] = set()
        self.invalid: dict[str, str] = {}
        """Ids whose update is refused as not valid, with the message."""

    def put(self, kind: str, id_: str, at: str, **properties: str) -> None:
        record = self.records[kind].setdefault(id_, {"created": stamp(at), "archived": False, "history": {}})
        record["modified"] = stamp(at)
        for name, value in properties.items():
            record["history"].setdefault(name, []).insert(0, {"value": value, "timestamp": stamp(at), "sourceType": "CRM_UI"})

    def archive(self, kind: str, id_: str, *, archived: bool = True) -> None:
        self.records[kind][id_]["archived"] = archived

    def answer(self, request: Request) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {self.secret}":
            return Answer(
                401, {"status": "error", "message": "Authentication credentials not found.", "category": "INVALID_AUTHENTICATION"}
            )
        parts = request.path.strip("/").split("/")
        if request.path == "/crm/v3/pipelines/deals":
            return Answer(200, PIPELINES)
        if request.path == "/crm/v4/associations/deals/companies/batch/read":
            return self._associations(request)
        if parts[:3] == ["crm", "v3", "objects"] and parts[3] in self.records:
            how = "/".join(parts[4:])
            if how == "" and request.method == "GET":
                return self._list(parts[3], request)
            if how == "search":
                return self._search(parts[3], request.json)
            if how == "batch/read":
                return self._batch(parts[3], request.json)
            if how == "batch/update":
                return self._update(parts[3], request.json)
        return Answer(404, {"status": "error", "message": f"no such resource: {request.path}"})

    def _list(self, kind: str, request: Request) -> Answer:
        limit = int(request.query.get("limit", "10"))
        wants_archived = request.query.get("archived") == "true"
        ids = [id_ for id_, record in sorted(self.records[kind].items()) if record["archived"] == wants_archived]
        rest = [id_ for id_ in ids if id_ >= request.query.get("after", "")]
        return Answer(200, self._page(kind, rest[:limit], rest[limit] if len(rest) > limit else None))

    def _page(self, kind: str, ids: list[str], after: str | None) -> dict[str, Any]:
        page: dict[str, Any] = {"results": [self._shown(kind, id_, ["hs_lastmodifieddate"], []) for id_ in ids]}
        return page | ({"paging": {"next": {"after": after, "link": "?after=" + after}}} if after else {})

    def _search(self, kind: str, asked: dict[str, Any]) -> Answer:
        limit, offset = asked.get("limit", 10), int(asked.get("after", "0"))
        if offset + limit > self.search_limit:
            return Answer(400, {"status": "error", "message": f"paging beyond {self.search_limit} results", "category": "VALIDATION_ERROR"})
        found = [id_ for id_, record in self.records[kind].items() if not record["archived"]]
        for condition in asked["filterGroups"][0]["filters"]:
            assert condition["propertyName"] == "hs_lastmodifieddate"
            bound = int(condition["value"])
            found = [
                id_
                for id_ in found
                if (self._modified(kind, id_) >= bound if condition["operator"] == "GTE" else self._modified(kind, id_) < bound)
            ]
        found.sort(key=lambda id_: self._modified(kind, id_))
        page = self._page(kind, found[offset : offset + limit], str(offset + limit) if len(found) > offset + limit else None)
        return Answer(200, {"total": len(found)} | page)

    def _modified(self, kind: str, id_: str) -> int:
        return int(pd.Timestamp(self.records[kind][id_]["modified"]).timestamp() * 1000)

    def _batch(self, kind: str, asked: dict[str, Any]) -> Answer:
        ids = [one["id"] for one in asked["inputs"]]
        if len(ids) > (50 if asked.get("propertiesWithHistory") else 100):
            return Answer(400, {"status": "error", "message": "too many inputs", "category": "VALIDATION_ERROR"})
        there = [id_ for id_ in reversed(ids) if id_ in self.records[kind] and not self.records[kind][id_]["archived"]]  # in its own order
        shown = [self._shown(kind, id_, asked["properties"], asked.get("propertiesWithHistory", [])) for id_ in there]
        return self._multi_status(ids, shown)

    def _multi_status(self, ids: list[str], shown: list[dict[str, Any]]) -> Answer:
        missing = sorted(set(ids) - {one["id"] for one in shown})
        answer: dict[str, Any] = {"status": "COMPLETE", "results": shown}
        if not missing:
            return Answer(200, answer)
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects", "context": {"ids": missing}}
        return Answer(207, answer | {"numErrors": 1, "errors": [error]})

    def _update(self, kind: str, asked: dict[str, Any]) -> Answer:
        inputs = asked["inputs"]
        assert len(inputs) <= 100
        for one in inputs:
            assert all(isinstance(value, str) for value in one["properties"].values())
            unknown = sorted(set(one["properties"]) - self.own_fields)
            if unknown:
                return self._not_valid(f'Property "{unknown[0]}" does not exist', "PROPERTY_DOESNT_EXIST", unknown[0])
            if one["id"] in self.invalid:
                return self._not_valid(self.invalid[one["id"]], "INVALID_OPTION", "a")
        there = [one for one in inputs if one["id"] in self.records[kind] and not self.records[kind][one["id"]]["archived"]]
        for one in there:
            self.put(kind, one["id"], self.records[kind][one["id"]]["modified"], **one["properties"])
        return self._multi_status([one["id"] for one in inputs], [self._shown(kind, one["id"], [], []) for one in there])

    def _not_valid(self, message: str, error: str, name: str) -> Answer:
        detail = json.dumps([{"isValid": False, "message": message, "error": error, "name": name}])
        return Answer(400, {"status": "error", "message": f"Property values were not valid: {detail}", "category": "VALIDATION_ERROR"})

    def _shown(self, kind: str, id_: str, properties: list[str], past: list[str]) -> dict[str, Any]:
        record = self.records[kind][id_]
        now = {name: versions[0]["value"] for name, versions in record["history"].items()}
        now |= {"hs_object_id": id_, "createdate": record["created"], "hs_lastmodifieddate": record["modified"]}
        now["hs_is_closed"] = "true" if now.get("dealstage") in ("s3", "s4") else "false"
        shown = {
            "id": id_,
            "properties": {name: now.get(name) for name in properties},
            "createdAt": record["created"],
            "updatedAt": record["modified"],
            "archived": record["archived"],
        }
        return shown | ({"propertiesWithHistory": {name: record["history"].get(name, []) for name in past}} if past else {})

    def _associations(self, request: Request) -> Answer:
        results = []
        for one in request.json["inputs"]:
            to = [
                {"toObjectId": int(company), "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": kind, "label": None}]}
                for company, kind in self.company_of.get(one["id"], [])
            ]
            if to:
                results.append({"from": {"id": one["id"]}, "to": to})
        return Answer(200, {"status": "COMPLETE", "results": results})
