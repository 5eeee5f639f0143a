"""Delivers what waits in the outbox, in the background: every process of the service may, each message is claimed by one."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from predictkpi.delivery import Webhook
from predictkpi.pipelines.webhooks import deliver_due
from predictkpi.service.background import Rounds, outcome
from predictkpi.store import Delivery, Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Deliverer:
    """`start` and `stop` frame the thread that delivers; without a webhook it does nothing."""

    def __init__(self, store: Store, webhook: Webhook | None, *, every_seconds: float = LOOK_SECONDS) -> None:
        self.counts: Mapping[Delivery, int] = {}
        """Messages by state, as of the last look."""
        self._store = store
        self._webhook = webhook
        self._trouble = ""
        self._rounds = Rounds("predictkpi-webhook", self._deliver, pause=lambda: every_seconds)

    @property
    def is_on(self) -> bool:
        """Whether there is somebody to be told."""
        return self._webhook is not None

    def start(self) -> None:
        """Begin to deliver, in the background."""
        if self._webhook is not None:
            self._rounds.start()

    def stop(self) -> None:
        """Stop, once the message under way has its answer; those that wait are kept."""
        self._rounds.stop()

    @property
    def trouble(self) -> str | None:
        """Messages that will not arrive by themselves, and what keeps others from being sent."""
        dead = self.counts.get(Delivery.DEAD, 0)
        told = f"{dead} messages to the webhook were given up: see `predictkpi webhooks dead`" if dead else ""
        return "; ".join(filter(None, (told, self._trouble))) or None

    def look(self) -> None:
        """Deliver what is due; raises what the store raises."""
        assert self._webhook is not None
        self.counts = self._store.outbox.counts()
        if self.counts[Delivery.WAITING]:  # a look alone must not wait for the writer's turn
            self._trouble = deliver_due(self._store, self._webhook, is_stopping=self._rounds.is_stopping).stopped
            self.counts = self._store.outbox.counts()

    def _deliver(self) -> None:
        error = outcome(lambda: self.look(), "predictkpi-deliver")
        if error is not None:
            self._trouble = "messages to the webhook wait: the outbox cannot be read; the log has the cause"
            log.error("the outbox cannot be read or written", exc_info=error)
