"""The operations, by name; every other address through `Client.get`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from predictkpi.client.answers import (
    BatchItem,
    CustomerBatchItem,
    CustomerEnvelope,
    CustomerFacts,
    CustomerIn,
    CustomerRow,
    DealFacts,
    DealIn,
    DealRow,
    Json,
    Me,
    PredictionEnvelope,
    PredictionList,
)
from predictkpi.client.transport import Transport

MOST_IN_A_BATCH = 10_000
ROWS_A_PAGE = 500


class Client:
    """One service, asked with one key. Safe to keep; not safe to share between threads.

    ``timeout`` and ``retries``: see `Transport`. Every method raises `ProblemError` for what the service refuses, and the exceptions of
    `requests` where nothing gets through.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0, retries: int = 4) -> None:
        self._transport = Transport(url, key, timeout=timeout, retries=retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of open connections."""
        self._transport.close()

    def get(self, path: str, **params: Any) -> Any:
        """Any address of the API, such as ``client.get("/v1/outlook", by="region")``; a parameter may be a list."""
        return self._transport.get(path, params)

    def me(self) -> Me:
        """Who this key is to the service."""
        return self.get("/v1/me")  # type: ignore[no-any-return]

    def deals(self, **asked: Any) -> Iterator[DealRow]:
        """All deals that fit, page after page; filters and sort as `GET /v1/deals` takes them: ``owner=[...]``, ``sort="-amount"``."""
        return self._rows("/v1/deals", asked)

    def deal(self, deal_id: str) -> DealFacts:
        """What is known of a deal, and the prediction in short."""
        return self.get(f"/v1/deals/{quote(deal_id)}")  # type: ignore[no-any-return]

    def close_time(
        self, deal_id: str, *, horizons: Sequence[int] | None = None, curve: bool = False, reasons: bool = False, language: str = "en"
    ) -> PredictionEnvelope:
        """Whether and when an open deal of the store will close; ``horizons`` are days from 1 to 180."""
        asked = {"horizons": _listed(horizons), "curve": curve, "reasons": reasons, "language": language}
        return self.get(f"/v1/deals/{quote(deal_id)}/close-time", **asked)  # type: ignore[no-any-return]

    def close_time_of(
        self, deal: DealIn, *, horizons: Sequence[int] | None = None, curve: bool = False, reasons: bool = False, language: str = "en"
    ) -> PredictionEnvelope:
        """The same of a deal that the service need not know."""
        asked = {"horizons": _listed(horizons), "curve": curve, "reasons": reasons, "language": language}
        return self._transport.post("/v1/deals/close-time", deal, asked)  # type: ignore[no-any-return]

    def close_times_of(self, deals: Iterable[DealIn], *, horizons: Sequence[int] | None = None) -> Iterator[BatchItem]:
        """The same of many, `MOST_IN_A_BATCH` a request: an item for each, in order, whose ``index`` counts all of them."""
        return self._batches("/v1/deals/close-time/batch", "deals", deals, {"horizons": _listed(horizons)})

    def close_times_by_line(self, deals: Iterable[DealIn], *, horizons: Sequence[int] | None = None) -> Iterator[BatchItem]:
        """The same of up to 50,000, line by line: neither side holds all of them in memory. What breaks off is not sent again."""
        return self._transport.lines("/v1/deals/close-time/batch", deals, {"horizons": _listed(horizons)})

    def customers(self, **asked: Any) -> Iterator[CustomerRow]:
        """All customers that fit, page after page; filters and sort as `GET /v1/customers` takes them."""
        return self._rows("/v1/customers", asked)

    def customer(self, customer_id: str) -> CustomerFacts:
        """What is known of a customer, and the prediction in short."""
        return self.get(f"/v1/customers/{quote(customer_id)}")  # type: ignore[no-any-return]

    def lifetime_value(self, customer_id: str, *, reasons: bool = False, language: str = "en") -> CustomerEnvelope:
        """What a customer of the store will be worth."""
        return self.get(f"/v1/customers/{quote(customer_id)}/clv", reasons=reasons, language=language)  # type: ignore[no-any-return]

    def lifetime_value_of(self, customer: CustomerIn, *, reasons: bool = False, language: str = "en") -> CustomerEnvelope:
        """The same of a customer that the service need not know."""
        return self._transport.post("/v1/customers/clv", customer, {"reasons": reasons, "language": language})  # type: ignore[no-any-return]

    def lifetime_values_of(self, customers: Iterable[CustomerIn]) -> Iterator[CustomerBatchItem]:
        """The same of many, `MOST_IN_A_BATCH` a request: an item for each, in order, whose ``index`` counts all of them."""
        return self._batches("/v1/customers/clv/batch", "customers", customers, {})

    def revenue(self, *, by: str | None = None, horizon: int | None = None) -> PredictionList:
        """Monthly revenue with its intervals; ``by`` a dimension or crossed ones, ``region,segment``."""
        return self.get("/v1/forecasts/revenue", by=by, horizon=horizon)  # type: ignore[no-any-return]

    def outlook(self, **asked: Any) -> Json:
        """Whether the number will be made: parts, target, chance; parameters as `GET /v1/outlook` takes them."""
        return self.get("/v1/outlook", **asked)  # type: ignore[no-any-return]

    def kpi(self, name: str, **asked: Any) -> Json:
        """A KPI's series with its targets; parameters as `GET /v1/kpis/{kpi}` takes them."""
        return self.get(f"/v1/kpis/{quote(name)}", **asked)  # type: ignore[no-any-return]

    def _rows(self, path: str, asked: dict[str, Any]) -> Iterator[Any]:
        page = self.get(path, **{"limit": ROWS_A_PAGE} | asked)
        yield from page["items"]
        while page["next"] is not None:
            page = self.get(path, **{"limit": ROWS_A_PAGE} | asked | {"cursor": page["next"]})
            yield from page["items"]

    def _batches(self, path: str, name: str, bodies: Iterable[Any], params: dict[str, Any]) -> Iterator[Any]:
        before = 0
        rest = iter(bodies)
        while part := list(islice(rest, MOST_IN_A_BATCH)):
            for item in self._transport.post(path, {name: part}, params)["items"]:
                yield item | {"index": before + item["index"]}
            before += len(part)


def _listed(horizons: Sequence[int] | None) -> str | None:
    return None if horizons is None else ",".join(map(str, horizons))
