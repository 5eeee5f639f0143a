"""Writes fields of Salesforce records through sObject Collections: up to 200 at once, each taken or refused by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from predictkpi.delivery.crm import REMEMBERED, Refusal, Value
from predictkpi.errors import DeliveryError

if TYPE_CHECKING:
    from simple_salesforce import Salesforce


class SalesforceCrm:
    """See `crm.Crm`. ``connect`` logs in, when it is first needed; ``way_in`` is what to do where that fails."""

    batch_size = 200

    def __init__(self, connect: Callable[[], Salesforce], *, way_in: str) -> None:
        self._connect, self._way_in = connect, way_in
        self._connected: Salesforce | None = None

    def open_deals(self, object_: str, ids: Sequence[str]) -> set[str]:
        """See `Crm.open_deals`."""
        found = self._call("POST", f"composite/sobjects/{object_}", {"ids": list(ids), "fields": ["Id", "IsClosed"]})
        return {id_ for id_, record in self._paired(ids, found) if record is not None and not record["IsClosed"]}

    def write(self, object_: str, records: Mapping[str, Mapping[str, Value]]) -> list[Refusal]:
        """See `Crm.write`."""
        asked = [{"attributes": {"type": object_}, "id": id_, **values} for id_, values in records.items()]
        found = self._call("PATCH", "composite/sobjects", {"allOrNone": False, "records": asked})
        return [Refusal(id_, _reason(result["errors"])) for id_, result in self._paired(list(records), found) if not result["success"]]

    def _paired(self, ids: Sequence[str], results: Any) -> list[tuple[str, Any]]:
        """Results come in the order of the question."""
        if not isinstance(results, list) or len(results) != len(ids):
            raise DeliveryError(f"Salesforce: it was asked about {len(ids)} records and answered about another number; {REMEMBERED}")
        return list(zip(ids, results, strict=True))

    def _call(self, method: str, path: str, content: Mapping[str, Any]) -> Any:
        from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError, SalesforceExpiredSession

        try:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected.restful(path, method=method, json=content)
        except SalesforceExpiredSession:
            raise DeliveryError(f"Salesforce: the session has expired or is not valid: {self._way_in}") from None
        except SalesforceAuthenticationFailed as error:
            raise DeliveryError(f"Salesforce: the login failed ({error.code}): {self._way_in}") from None
        except SalesforceError as error:
            reason = _reason(error.content) if isinstance(error.content, list) else str(error.content)
            raise DeliveryError(f"Salesforce: {reason}; {REMEMBERED}") from None


def _reason(errors: Sequence[Mapping[str, Any]]) -> str:
    """``No such column (INVALID_FIELD)``: of a record ``statusCode``, of a whole request ``errorCode``."""
    return "; ".join(f"{error.get('message', '')} ({error.get('statusCode') or error.get('errorCode', '')})" for error in errors)
