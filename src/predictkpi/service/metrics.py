"""What Prometheus reads at /metrics. With several processes the counts of all of them, kept in files of a folder that ends with them."""

from __future__ import annotations

import os
from collections import Counter as Counting
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from predictkpi.core.types import Status
from predictkpi.service.access.keyring import utc_now
from predictkpi.service.peers import is_alive
from predictkpi.service.state import Serving
from predictkpi.service.wire import Envelope
from predictkpi.store import Delivery

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client knows that several processes count together."""
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def shared_folder() -> Path | None:
    """The folder that the processes of this service have in common; None for one that is alone."""
    return Path(os.environ[FOLDER]) if FOLDER in os.environ else None


class Metrics:
    """The counts of one application."""

    def __init__(self) -> None:
        at = self._registry = CollectorRegistry()
        self._requests = Counter("predictkpi_requests", "Requests answered", ["method", "route", "status"], registry=at)
        self._seconds = Histogram("predictkpi_request_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=at)
        self._answers = Counter("predictkpi_answers", "Predictions answered, by rung of the ladder", ["predictor", "rung"], registry=at)
        # routes, rungs and what they answer are few; looking one up costs more than counting
        self._of_route: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._on_rung: dict[tuple[str, Status], Counter] = {}
        self._in_flight = Gauge("predictkpi_requests_in_flight", "Requests being answered", multiprocess_mode="livesum", registry=at)

    def began(self) -> None:
        """A request has come."""
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._in_flight.dec()
        of_route = self._of_route.get((method, route, status))
        if of_route is None:
            of_route = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._of_route[method, route, status] = of_route
        requests, times = of_route
        requests.inc()
        times.observe(seconds)

    def answered(self, answers: Iterable[Envelope]) -> None:
        """Predictions were given, each on its rung."""
        for of, times in Counting((answer.predictor, answer.status) for answer in answers).items():
            on_rung = self._on_rung.get(of)
            if on_rung is None:
                on_rung = self._on_rung[of] = self._answers.labels(of[0], str(of[1]))
            on_rung.inc(times)

    def text(self, serving: Serving, deliveries: Mapping[Delivery, int]) -> bytes:
        """Everything, as Prometheus reads it."""
        registry = self._registry
        folder = shared_folder()
        if folder is not None:
            _forget_the_dead(folder)
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        served = CollectorRegistry()
        served.register(_Served(serving, deliveries))
        return generate_latest(registry) + generate_latest(served)


def _forget_the_dead(folder: Path) -> None:
    """What a process that was killed had in hand is no longer being answered; what it has answered counts on."""
    for file in folder.glob("gauge_live*_*.db"):
        if not is_alive(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


class _Served(Collector):
    """What the process that is asked serves."""

    def __init__(self, serving: Serving, deliveries: Mapping[Delivery, int]) -> None:
        self._serving = serving
        self._deliveries = deliveries

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        view = self._serving.current
        yield GaugeMetricFamily("predictkpi_ready", "1 while there is data to answer from", value=float(view is not None))
        yield GaugeMetricFamily(
            "predictkpi_degraded", "1 while something is amiss; see /health/ready", value=float(bool(self._serving.trouble))
        )
        yield GaugeMetricFamily("predictkpi_answers_waiting", "Served answers not logged yet", value=float(self._serving.answers.waiting))
        yield GaugeMetricFamily(
            "predictkpi_answers_dropped", "Served answers that were never logged", value=float(self._serving.answers.dropped)
        )
        messages = GaugeMetricFamily("predictkpi_webhook_messages", "Messages to the webhook by state", labels=["state"])
        for state, count in self._deliveries.items():
            messages.add_metric([state.value], float(count))
        yield messages
        if view is None:
            return
        age = view.local(utc_now().tz_localize("UTC").to_pydatetime()) - view.as_of
        yield GaugeMetricFamily("predictkpi_data_age_seconds", "Time since the end of the data", value=age.total_seconds())
        champions = GaugeMetricFamily("predictkpi_champion", "1 for each version that is served", labels=["predictor", "version", "kind"])
        for name, champion in view.champions.items():
            champions.add_metric([name, champion.ref.version, champion.ref.kind], 1.0)
        yield champions
