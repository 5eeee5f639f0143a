"""Writes properties of HubSpot records, up to 100 at once. One bad value makes HubSpot refuse a whole batch, which is then halved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from predictkpi.delivery.crm import REMEMBERED, Refusal, Value
from predictkpi.errors import DeliveryError

_NO_SUCH_PROPERTY = "PROPERTY_DOESNT_EXIST"


class HubSpotCrm:
    """See `crm.Crm`. ``session`` tries again what may be better later; ``token_from`` names where a new token goes."""

    batch_size = 100

    def __init__(self, session: requests.Session, *, url: str, token: str, token_from: str) -> None:
        self._session, self._url, self._token, self._token_from = session, url, token, token_from

    def open_deals(self, object_: str, ids: Sequence[str]) -> set[str]:
        """See `Crm.open_deals`."""
        asked = {"properties": ["hs_is_closed"], "inputs": [{"id": id_} for id_ in ids]}
        found = self._taken(self._post(f"/crm/v3/objects/{object_}/batch/read", asked))
        return {str(record["id"]) for record in found["results"] if record["properties"].get("hs_is_closed") != "true"}

    def write(self, object_: str, records: Mapping[str, Mapping[str, Value]]) -> list[Refusal]:
        """See `Crm.write`."""
        inputs = [{"id": id_, "properties": {name: _text(value) for name, value in values.items()}} for id_, values in records.items()]
        answer = self._post(f"/crm/v3/objects/{object_}/batch/update", {"inputs": inputs})
        if answer.status_code == requests.codes.bad_request and _NO_SUCH_PROPERTY not in answer.text:
            if len(records) == 1:
                return [Refusal(id_, _message(answer)) for id_ in records]
            ids = list(records)
            halves = (ids[: len(ids) // 2], ids[len(ids) // 2 :])
            return [refusal for half in halves for refusal in self.write(object_, {id_: records[id_] for id_ in half})]
        found = self._taken(answer)
        taken = {str(record["id"]) for record in found["results"]}
        return [Refusal(id_, _reason(id_, found.get("errors", []))) for id_ in records if id_ not in taken]

    def _post(self, path: str, content: Mapping[str, Any]) -> requests.Response:
        return self._session.request("POST", self._url + path, headers={"Authorization": f"Bearer {self._token}"}, json=content)

    def _taken(self, answer: requests.Response) -> dict[str, Any]:
        """What it says where it took the request, in whole (200) or in part (207)."""
        if answer.status_code == requests.codes.unauthorized:
            raise DeliveryError(f"HubSpot: the access token has expired or is not valid: put a new one into {self._token_from}")
        if answer.status_code == requests.codes.forbidden:
            raise DeliveryError("HubSpot: the access token may not do that: give the private app the scope to read and write these objects")
        if not answer.ok:
            raise DeliveryError(f"HubSpot: {answer.status_code}: {_message(answer)}; {REMEMBERED}")
        content: dict[str, Any] = answer.json()
        return content


def _text(value: Value) -> str:
    """Properties are text; nothing empties one."""
    return "" if value is None else str(value)


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("message", answer.reason))
    except ValueError:
        return str(answer.reason)


def _reason(record_id: str, errors: Sequence[Mapping[str, Any]]) -> str:
    """Of those errors that name the record, or of all where none names any."""
    named = [error for error in errors if record_id in error.get("context", {}).get("ids", [])]
    told = "; ".join(f"{error.get('message', '')} ({error.get('category', '')})" for error in named or errors)
    return told or "it is not among the records that were written"
