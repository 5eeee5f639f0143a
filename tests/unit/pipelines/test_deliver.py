"""From the outbox to a real receiver and its troubles, on both databases: nothing is lost, and nothing comes twice under two ids."""

from __future__ import annotations

import random
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pandas as pd
import pytest

from fakes.serving import Answer, Fake, serving
from nursery import Nursery
from predictkpi.delivery import Verdict, Webhook, verify
from predictkpi.delivery.schedule import DELAYS
from predictkpi.errors import ConflictError
from predictkpi.pipelines import webhooks
from predictkpi.pipelines.webhooks import LEASE, deliver_due, send_test, utc_now
from predictkpi.store import Delivery, Letter, Store

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
START = pd.Timestamp("2024-05-01 08:00")
IMPORTS = """
from predictkpi.delivery import Webhook
from predictkpi.pipelines.webhooks import deliver_due
from predictkpi.store import Store
import psycopg, requests, encodings.idna, http.client
"""
WORK = f"store = Store(words[0]); deliver_due(store, Webhook(words[1], {SECRET!r}))"


class Receiver(Fake):
    """Takes everything, and knows the ids of what it took."""

    def __init__(self):
        super().__init__()
        self.is_reached, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self.taken = []

    def answer(self, request):
        self.is_reached.set()
        assert self.may_answer.wait(30)
        assert verify(SECRET, request.headers, request.body, now=float(request.headers["webhook-timestamp"]))
        self.taken.append(request.headers["webhook-id"])
        return Answer(204, "")

    @property
    def asked(self):
        return [request.headers["webhook-id"] for request in self.requests]


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += pd.Timedelta(seconds=seconds)


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    with serving(receiver) as url:
        receiver.url = f"{url}/hook"
        yield receiver
        receiver.may_answer.set()


@pytest.fixture
def clock():
    return Clock()


def fill(store, count, now=START):
    ids = [f"msg_{number:02d}" for number in range(count)]
    assert store.outbox.queue([Letter(id_, "monitor.alarm", '{"type":"monitor.alarm"}') for id_ in ids], now=now) == count
    return ids


def test_deliver__sends_all_that_is_due_in_order_and_only_once(store, receiver, clock):
    ids = fill(store, 5)
    webhook = Webhook(receiver.url, SECRET)
    assert deliver_due(store, webhook, clock).delivered == 5
    assert receiver.taken == ids
    assert deliver_due(store, webhook, clock) == webhooks.Deliveries()
    assert store.outbox.counts()[Delivery.DELIVERED] == 5


def test_deliver__that_is_to_stop_leaves_what_waits(store, receiver, clock):
    ids = fill(store, 3)
    webhook = Webhook(receiver.url, SECRET)
    assert deliver_due(store, webhook, clock, is_stopping=lambda: bool(receiver.taken)).delivered == 1
    assert deliver_due(store, webhook, clock).delivered == 2
    assert receiver.taken == ids


def test_deliver__asked_for_peace_it_leaves_the_others_alone_too(store, receiver, clock):
    ids = fill(store, 3)
    receiver.trouble("/hook", Answer(429, "slow down", {"Retry-After": "90"}))
    webhook = Webhook(receiver.url, SECRET)
    found = deliver_due(store, webhook, clock)
    assert (found.again, found.delivered, "asks to wait 90 seconds" in found.stopped) == (1, 0, True)
    clock.pass_(89)
    assert deliver_due(store, webhook, clock) == webhooks.Deliveries()
    clock.pass_(1)
    assert deliver_due(store, webhook, clock).delivered == 3
    assert receiver.asked == [ids[0], *ids]


def test_deliver__one_message_that_fails_keeps_no_other_back(store, receiver, clock):
    ids = fill(store, 3)
    receiver.trouble("/hook", Answer(500, "oops"))
    webhook = Webhook(receiver.url, SECRET)
    found = deliver_due(store, webhook, clock)
    assert (found.again, found.delivered, found.stopped) == (1, 2, "")
    clock.pass_(DELAYS[0] * 1.2)
    assert deliver_due(store, webhook, clock).delivered == 1
    assert receiver.asked == [*ids, ids[0]]


def test_deliver__a_receiver_that_is_down_for_a_while_gets_everything_once_it_is_up(store, clock):
    ids, receiver = fill(store, 6), Receiver()
    with serving(receiver) as url:
        port = urlsplit(url).port
    webhook = Webhook(f"http://127.0.0.1:{port}/hook", SECRET)
    found = deliver_due(store, webhook, clock)
    assert (found.again, found.delivered, "failed 3 times in a row: the connection failed" in found.stopped) == (3, 0, True)
    for delay in DELAYS[:3]:
        clock.pass_(delay * 1.2)
        deliver_due(store, webhook, clock)
    assert store.outbox.counts()[Delivery.WAITING] == 6
    with serving(receiver, port=port):
        for _ in range(2):
            clock.pass_(DELAYS[4] * 1.2)
            deliver_due(store, webhook, clock)
    assert sorted(receiver.taken) == ids


def test_deliver__after_three_days_a_message_is_dead_and_can_be_replayed(store, receiver, clock):
    (id_,) = fill(store, 1)
    receiver.trouble("/hook", Answer(503, "busy"), times=len(DELAYS) + 1)
    webhook = Webhook(receiver.url, SECRET)
    for delay in [*DELAYS, 0.0]:
        deliver_due(store, webhook, clock)
        clock.pass_(delay * 1.2)
    (row,) = store.outbox.messages(Delivery.DEAD).to_dict("records")
    assert (row["message_id"], row["attempts"]) == (id_, len(DELAYS) + 1)
    assert row["answer"].startswith("it answered 503")
    assert len(receiver.requests) == len(DELAYS) + 1
    store.outbox.replay(None, now=clock())
    assert deliver_due(store, webhook, clock).delivered == 1
    assert receiver.taken == [id_]
    assert set(receiver.asked) == {id_}


@pytest.mark.parametrize("answer", [Answer(400, "no"), Answer(302, "", {"Location": "/elsewhere"})])
def test_deliver__what_cannot_become_better_is_dead_at_once(store, receiver, clock, answer):
    fill(store, 2)
    receiver.trouble("/hook", answer)
    found = deliver_due(store, Webhook(receiver.url, SECRET), clock)
    assert (found.dead, found.delivered) == (1, 1)
    assert store.outbox.messages(Delivery.DEAD)["answer"].item().startswith(f"it answered {answer.status}")


def test_deliver__a_timeout_is_tried_again(store, clock):
    fill(store, 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", SECRET, timeout=0.05)
        assert deliver_due(store, webhook, clock).again == 1
    assert "took longer than 0.05 seconds" in store.outbox.messages()["answer"].item()


def test_deliver__after_410_nothing_is_sent_until_a_test_is_taken(store, receiver, clock):
    fill(store, 2)
    receiver.trouble("/hook", Answer(410, "gone"))
    webhook = Webhook(receiver.url, SECRET)
    found = deliver_due(store, webhook, clock)
    assert (found.dead, "wants no more messages" in found.stopped) == (1, True)
    assert "has answered 410" in deliver_due(store, webhook, clock).stopped
    assert len(receiver.requests) == 1
    assert deliver_due(store, Webhook(receiver.url + "/elsewhere", SECRET), clock).delivered == 1
    assert send_test(store, webhook, clock).verdict is Verdict.TAKEN
    store.outbox.replay(None, now=clock())
    assert deliver_due(store, webhook, clock).delivered == 1


@pytest.mark.parametrize("seed", range(3))
def test_deliver__whatever_the_receiver_does_nothing_is_lost_and_no_id_is_new(store, receiver, clock, seed):
    """Refusals to come, answers lost after the message was taken, and deliverers that die in the middle, at random."""
    ids, rng, take = fill(store, 20), random.Random(seed), receiver.answer

    def moody(request):
        mood = rng.random()
        if mood < 0.4:
            return Answer(rng.choice([429, 500, 503]), "", {"Retry-After": "60"} if rng.random() < 0.3 else {})
        answer = take(request)
        return answer if mood < 0.8 else Answer(500, "taken, but who is to know")

    receiver.answer = moody
    for _ in range(400):
        if not store.outbox.counts()[Delivery.WAITING]:
            break
        if rng.random() < 0.2:
            store.outbox.claim(clock(), lease=LEASE)  # and dies
        deliver_due(store, Webhook(receiver.url, SECRET), clock)
        clock.pass_(rng.choice([5.0, 600.0, 7200.0]))
    counts = store.outbox.counts()
    dead = set(store.outbox.messages(Delivery.DEAD)["message_id"])
    assert counts[Delivery.WAITING] == 0
    assert set(receiver.asked) == set(ids)
    assert set(ids) - dead <= set(receiver.taken)


def test_deliver__two_processes_at_once_send_nothing_twice(store, receiver, database_url):
    ids = fill(store, 30, utc_now())
    nurseries = [Nursery(imports=IMPORTS, work=WORK) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda nursery: nursery.run(database_url, receiver.url, seconds=60), nurseries))
    for nursery in nurseries:
        nursery.close()
    assert codes == [0, 0]
    assert sorted(receiver.asked) == ids
    assert store.outbox.counts()[Delivery.DELIVERED] == 30


def test_deliver__killed_in_the_middle_loses_nothing_and_repeats_one_message_with_its_id(store, receiver, database_url):
    ids = fill(store, 3, utc_now())
    receiver.may_answer.clear()
    nursery = Nursery(imports=IMPORTS, work=WORK)
    assert nursery.run(database_url, receiver.url, until=receiver.is_reached) == -signal.SIGKILL
    nursery.close()
    receiver.may_answer.set()
    webhook = Webhook(receiver.url, SECRET)
    assert deliver_due(store, webhook).delivered == 2, "the first is still claimed"
    assert deliver_due(store, webhook, lambda: utc_now() + LEASE).delivered == 1
    assert receiver.asked == [ids[0], *ids[1:], ids[0]]
    assert store.outbox.counts()[Delivery.DELIVERED] == 3


def test_deliver__what_became_of_a_message_is_written_down_however_long_a_load_takes(store, receiver, clock, monkeypatch):
    fill(store, 1)
    settle, refused = store.outbox.settle, [ConflictError("a load")] * 2

    def busy(*arguments, **named):
        if refused:
            raise refused.pop()
        return settle(*arguments, **named)

    monkeypatch.setattr(store.outbox, "settle", busy)
    assert deliver_due(store, Webhook(receiver.url, SECRET), clock).delivered == 1
    assert (refused, store.outbox.counts()[Delivery.DELIVERED]) == ([], 1)
