"""The way into a Salesforce org, for whoever reads or writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from pydantic import model_validator

from predictkpi.errors import SourceError
from predictkpi.sources.base import Options, secret

if TYPE_CHECKING:
    from simple_salesforce import Salesforce


class SalesforceLoginOptions(Options):
    """``domain`` to log in with a client's id and secret, or ``instance_url`` and a token; where the secrets are, and the API's version."""

    domain: str | None = None
    instance_url: str | None = None
    client_id_from: str = "SALESFORCE_CLIENT_ID"
    client_secret_from: str = "SALESFORCE_CLIENT_SECRET"  # noqa: S105  the variable that holds it
    token_from: str = "SALESFORCE_ACCESS_TOKEN"  # noqa: S105  likewise
    version: str = "62.0"

    @model_validator(mode="after")
    def _one_way_in(self) -> SalesforceLoginOptions:
        if (self.domain is None) == (self.instance_url is None):
            raise ValueError("state domain (to log in with a client's id and secret) or instance_url (with an access token)")
        return self


class SalesforceLogin:
    """Reads the secrets from ``environment`` when it is made, and logs in when asked to."""

    def __init__(self, options: SalesforceLoginOptions, environment: Mapping[str, str], session: requests.Session) -> None:
        self._options, self._session = options, session
        names = [options.token_from] if options.domain is None else [options.client_id_from, options.client_secret_from]
        self._secrets = [secret(environment, name, of="Salesforce") for name in names]

    def way_in(self) -> str:
        """What to do where it is shut."""
        if self._options.domain is None:
            return f"put a new access token into {self._options.token_from}"
        return f"check domain, {self._options.client_id_from} and {self._options.client_secret_from}"

    def connect(self) -> Salesforce:
        """A client with a session; raises what simple-salesforce raises, and `SourceError` where that is not installed."""
        try:
            from simple_salesforce import Salesforce
        except ImportError:
            raise SourceError("Salesforce: simple-salesforce is not installed: pip install 'predictkpi[salesforce]'") from None
        options = self._options
        if options.domain is None:
            way_in: dict[str, Any] = {"instance_url": options.instance_url, "session_id": self._secrets[0]}
        else:
            way_in = {"domain": options.domain, "consumer_key": self._secrets[0], "consumer_secret": self._secrets[1]}
        return Salesforce(**way_in, version=options.version, session=self._session)
