"""A fake vendor, the example mapping that points to it, and a store of one's own: what a sync needs, by code or by command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fakes.salesforce import ToLoopback
from predictkpi.pipelines.sync import SyncReport, sync
from predictkpi.sources import read_mapping
from predictkpi.sources.base import Source
from predictkpi.sources.hubspot import HubSpotSource
from predictkpi.sources.retrying import RetryingSession
from predictkpi.sources.salesforce import SalesforceSource
from predictkpi.store import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = pd.Timestamp("2024-06-01 12:00", tz="UTC")
TABLES = ("customers", "deals", "deal_events", "orders")


class Desk:
    """``options`` go into the mapping's ``source:`` block (None takes one out); ``waits`` are the seconds that were waited."""

    vendor: str
    secrets: dict[str, str]

    def __init__(self, folder: Path, url: str, **options: Any) -> None:
        folder.mkdir()
        self.url = url
        self.waits: list[float] = []
        mapping = yaml.safe_load((EXAMPLES / f"{self.vendor}.yaml").read_text())
        source = mapping["source"] | self.of_tests() | options
        mapping["source"] = {name: value for name, value in source.items() if value is not None}
        mapping["company"]["time_zone"] = "UTC"
        self.path = folder / f"{self.vendor}.yaml"
        self.path.write_text(yaml.safe_dump(mapping))
        self.database_url = f"sqlite:///{folder}/facts.db"
        self.store = Store(self.database_url)
        self.store.migrate()

    def of_tests(self) -> dict[str, Any]:
        return {}

    def source(self, environment: dict[str, str] | None = None) -> Source:
        raise NotImplementedError

    def sync(self, *, now: pd.Timestamp = NOW, **options: Any) -> SyncReport:
        return sync(self.store, mapping=self.path, source=self.source(), now=lambda: now, **options)

    def facts(self, as_of: pd.Timestamp | None = None) -> dict[str, pd.DataFrame]:
        snapshot = self.store.snapshot(as_of)
        return {name: getattr(snapshot, name).reset_index(drop=True) for name in TABLES}


class SalesforceDesk(Desk):
    vendor = "salesforce"
    secrets = {  # noqa: RUF012
        "SALESFORCE_CLIENT_ID": "the-client",
        "SALESFORCE_CLIENT_SECRET": "the-secret",
        "SALESFORCE_ACCESS_TOKEN": "session-0",
    }

    def source(self, environment: dict[str, str] | None = None) -> Source:
        session = RetryingSession("Salesforce", attempts=4, wait=self.waits.append)
        session.mount("https://", ToLoopback(self.url))
        return SalesforceSource(read_mapping(self.path), self.secrets if environment is None else environment, session=session)


class HubSpotDesk(Desk):
    vendor = "hubspot"
    secrets = {"HUBSPOT_TOKEN": "pat-secret"}  # noqa: RUF012

    def of_tests(self) -> dict[str, Any]:
        return {"url": self.url, "page": 3, "search_page": 2}

    def source(self, environment: dict[str, str] | None = None) -> Source:
        session = RetryingSession("HubSpot", attempts=4, wait=self.waits.append)
        return HubSpotSource(read_mapping(self.path), self.secrets if environment is None else environment, session=session)


def equal(one: dict[str, pd.DataFrame], two: dict[str, pd.DataFrame]) -> None:
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name])
