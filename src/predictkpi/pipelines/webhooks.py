"""Deliver what waits in the outbox to the webhook, and say what became of it; the rule of models/webhooks.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from predictkpi.core.digests import digest
from predictkpi.delivery import Answer, Message, Verdict, Webhook, delay_after
from predictkpi.delivery.schedule import LONGEST_PEACE
from predictkpi.errors import ConflictError, SettingsError
from predictkpi.settings import Settings
from predictkpi.store import Delivery, Letter

if TYPE_CHECKING:
    from predictkpi.store import Store

WEBHOOKS = "webhooks.yaml"
CHAMPION_CHANGED, KPI_ALERT, DEAL_CHANCE_FELL = "champion.changed", "kpi.alert", "deal.chance_fell"
TARGET_AT_RISK, DATA_STALE, MONITOR_ALARM = "target.at_risk", "data.stale", "monitor.alarm"
EVENTS = (CHAMPION_CHANGED, DATA_STALE, DEAL_CHANCE_FELL, KPI_ALERT, MONITOR_ALARM, TARGET_AT_RISK)
"""What a webhook may be told; docs/webhooks.md says what each holds."""
TEST = "webhook.test"

LEASE = pd.Timedelta(minutes=10)
"""Longer than any attempt, which is cut after its `timeout`: when it ends, the process that claimed the message has died."""
_FAILURES_TO_STOP = 3
_SETTLING = 10
_MARKS, _GONE = "webhook", "gone"
Clock = Callable[[], pd.Timestamp]


class WebhookRule(BaseModel):
    """What the webhook is told, and from when on it is news."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: tuple[str, ...] = Field(EVENTS, description="types of messages that are sent; the others are not even written down")
    chance_fell: float = Field(0.15, gt=0, lt=1, description="deal.chance_fell: by how much p_win must have fallen since it was last told")
    target_chance: float = Field(
        0.4, gt=0, lt=1, description="target.at_risk: chance to hit a target of this period below which it is told"
    )
    target_recovered: float = Field(0.5, gt=0, lt=1, description="chance from which on a target that was told of may be told of again")

    @field_validator("events")
    @classmethod
    def _are_known(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [event for event in events if event not in EVENTS]
        if unknown:
            raise ValueError(f"no such event: {', '.join(unknown)}; there are: {', '.join(EVENTS)}")
        return events

    @model_validator(mode="after")
    def _recovers_above(self) -> Self:
        if self.target_recovered < self.target_chance:
            raise ValueError("target_recovered must not lie below target_chance")
        return self


@dataclass(frozen=True)
class Deliveries:
    """What one call of `deliver_due` did: messages that were taken, that will be tried again, that are dead; and why it stopped early."""

    delivered: int = 0
    again: int = 0
    dead: int = 0
    stopped: str = ""


def open_webhook(settings: Settings) -> Webhook | None:
    """Whom to tell, None for nobody; `SettingsError` for one that could not be told, before there is anything to tell."""
    if settings.webhook_url is None:
        return None
    if settings.webhook_secret is None:
        raise SettingsError("webhook_url is set and webhook_secret is not: a receiver could not tell our messages from anybody's")
    previous = settings.webhook_secret_previous
    return Webhook(
        settings.webhook_url.get_secret_value(),
        settings.webhook_secret.get_secret_value(),
        previous.get_secret_value() if previous is not None else None,
    )


def utc_now() -> pd.Timestamp:
    """The clock of the outbox."""
    return pd.Timestamp.now("UTC").tz_localize(None)


def letter_of(message: Message) -> Letter:
    """The message as the outbox keeps it: every attempt sends these very bytes."""
    return Letter(message.id, message.type, message.body().decode())


def deliver_due(store: Store, webhook: Webhook, now: Clock = utc_now, *, is_stopping: Callable[[], bool] = lambda: False) -> Deliveries:
    """Send every message that is due, oldest first; any number of processes and threads may do so at once.

    What was not taken is tried again as `delivery.schedule` says, and is dead after the last attempt or where another cannot help. Stops
    early where the receiver asks for peace, fails three times in a row, or answered 410: it is then sent nothing until `send_test` is
    taken or the URL is another one. ``is_stopping`` is asked before each message: where it says so, the rest waits. Raises `StoreError` or
    `ConflictError` where the outbox cannot be read or written.
    """
    counts = dict.fromkeys(Delivery, 0)
    if store.marks(_MARKS).get(_GONE) == digest(webhook.url):
        return Deliveries(stopped=f"the webhook at {webhook.host} has answered 410 and is sent nothing: see `predictkpi webhooks test`")
    failures, stopped = 0, ""
    while not stopped and not is_stopping() and (letter := store.outbox.claim(now(), lease=LEASE)) is not None:
        answer = webhook.attempt(letter.message_id, letter.body.encode())
        at = now()
        state, due_at = _what_next(letter, answer, at)
        _settle(store, letter, state, answer=answer.reason, now=at, due_at=due_at)
        counts[state] += 1
        failures = failures + 1 if answer.verdict is Verdict.AGAIN else 0
        if answer.verdict is Verdict.GONE:
            store.write_marks(_MARKS, {_GONE: digest(webhook.url)})
            stopped = f"the webhook at {webhook.host} wants no more messages"
        elif answer.verdict is Verdict.AGAIN and answer.wait:
            store.outbox.hold_back((at + pd.Timedelta(seconds=min(answer.wait, LONGEST_PEACE))).ceil("ms"))
            stopped = f"the webhook at {webhook.host} asks to wait {answer.wait:.0f} seconds"
        elif failures == _FAILURES_TO_STOP:
            stopped = f"the webhook at {webhook.host} has failed {failures} times in a row: {answer.reason}"
    return Deliveries(counts[Delivery.DELIVERED], counts[Delivery.WAITING], counts[Delivery.DEAD], stopped)


def send_test(store: Store, webhook: Webhook, now: Clock = utc_now) -> Answer:
    """Send a message that says nothing, past the outbox; a receiver that takes it is sent messages again after a 410."""
    message = Message.about(TEST, {"sent_at": now().isoformat()}, timestamp=now())
    answer = webhook.attempt(message.id, message.body())
    if answer.verdict is Verdict.TAKEN:
        store.write_marks(_MARKS, {_GONE: ""})
    return answer


def _what_next(letter: Letter, answer: Answer, now: pd.Timestamp) -> tuple[Delivery, pd.Timestamp | None]:
    if answer.verdict is Verdict.TAKEN:
        return Delivery.DELIVERED, None
    delay = delay_after(letter.attempt, asked=answer.wait) if answer.verdict is Verdict.AGAIN else None
    return (Delivery.DEAD, None) if delay is None else (Delivery.WAITING, (now + pd.Timedelta(seconds=delay)).ceil("ms"))


def _settle(store: Store, letter: Letter, state: Delivery, *, answer: str, now: pd.Timestamp, due_at: pd.Timestamp | None) -> None:
    """Write down what became of it, however long a load keeps the store busy: otherwise it would be sent again when its lease ends."""
    for attempt in range(_SETTLING):
        try:
            store.outbox.settle(letter, state, answer=answer, now=now, due_at=due_at)
            return
        except ConflictError:
            if attempt + 1 == _SETTLING:
                raise
