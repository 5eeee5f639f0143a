"""The outbox on both databases: told once, claimed by one, and never lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from predictkpi.errors import ConflictError, NotFoundError
from predictkpi.store import Delivery, Letter, MovedMarks, Store

NOW = pd.Timestamp("2024-05-01 08:00")
LEASE = pd.Timedelta(minutes=10)
SECOND = pd.Timedelta(seconds=1)


def letters(*numbers: int) -> list[Letter]:
    return [Letter(f"msg_{number}", "monitor.alarm", f'{{"n":{number}}}') for number in numbers]


def test_queue__the_same_message_again_adds_nothing(store):
    assert store.outbox.queue(letters(1, 2), now=NOW) == 2
    assert store.outbox.queue(letters(2, 3), now=NOW + SECOND) == 1
    found = store.outbox.messages()
    assert found["message_id"].tolist() == ["msg_3", "msg_2", "msg_1"]
    assert found["queued_at"].tolist() == [NOW + SECOND, NOW, NOW]
    assert set(found["state"]) == {"waiting"}


def test_queue__writes_marks_with_the_messages_or_neither(store):
    store.outbox.queue(letters(1), now=NOW, marks=MovedMarks("told", {}, {"deals": "x"}))
    assert store.marks("told") == {"deals": "x"}
    with pytest.raises(ConflictError, match="another process has told news meanwhile"):
        store.outbox.queue(letters(2), now=NOW, marks=MovedMarks("told", {}, {"deals": "y"}))
    assert store.marks("told") == {"deals": "x"}
    assert len(store.outbox.messages()) == 1
    assert store.outbox.queue(letters(2), now=NOW, marks=MovedMarks("told", {"deals": "x"}, {"deals": "y"})) == 1


def test_claim__gives_each_message_to_one_and_the_oldest_first(store):
    store.outbox.queue(letters(1, 2), now=NOW)
    first, second, none = (store.outbox.claim(NOW, lease=LEASE) for _ in range(3))
    assert [(first.message_id, first.body, first.attempt), second.message_id] == [("msg_1", '{"n":1}', 1), "msg_2"]
    assert none is None


def test_claim__of_one_that_died_ends_with_its_lease_and_what_it_says_later_counts_for_nothing(store):
    store.outbox.queue(letters(1), now=NOW)
    late = store.outbox.claim(NOW, lease=LEASE)
    assert store.outbox.claim(NOW + LEASE - SECOND, lease=LEASE) is None
    mine = store.outbox.claim(NOW + LEASE, lease=LEASE)
    assert (mine.message_id, mine.attempt) == ("msg_1", 2)
    assert not store.outbox.settle(late, Delivery.DEAD, answer="too late", now=NOW + LEASE)
    assert store.outbox.settle(mine, Delivery.DELIVERED, answer="taken", now=NOW + LEASE)
    (row,) = store.outbox.messages().to_dict("records")
    assert (row["state"], row["answer"], row["ended_at"], row["attempts"]) == ("delivered", "taken", NOW + LEASE, 2)


def test_settle__one_that_waits_is_due_when_it_was_said(store):
    store.outbox.queue(letters(1), now=NOW)
    letter = store.outbox.claim(NOW, lease=LEASE)
    store.outbox.settle(letter, Delivery.WAITING, answer="500", now=NOW, due_at=NOW + 5 * SECOND)
    assert store.outbox.claim(NOW + 4 * SECOND, lease=LEASE) is None
    assert store.outbox.claim(NOW + 5 * SECOND, lease=LEASE).attempt == 2


def test_hold_back__is_for_all_that_wait(store):
    store.outbox.queue(letters(1), now=NOW)
    store.outbox.queue(letters(2), now=NOW + 20 * SECOND)
    store.outbox.hold_back(NOW + 10 * SECOND)
    assert store.outbox.messages()["due_at"].tolist() == [NOW + 20 * SECOND, NOW + 10 * SECOND]


def test_replay__lets_dead_ones_wait_again_from_the_beginning(store):
    store.outbox.queue(letters(1, 2, 3), now=NOW)
    for state in (Delivery.DEAD, Delivery.DELIVERED):
        store.outbox.settle(store.outbox.claim(NOW, lease=LEASE), state, answer="", now=NOW)
    assert store.outbox.counts() == {Delivery.WAITING: 1, Delivery.DELIVERED: 1, Delivery.DEAD: 1}
    assert store.outbox.messages(Delivery.DEAD)["message_id"].tolist() == ["msg_1"]
    assert store.outbox.replay(None, now=NOW + SECOND) == 1
    assert store.outbox.replay(["msg_2"], now=NOW + SECOND) == 1
    assert store.outbox.counts()[Delivery.WAITING] == 3
    assert store.outbox.claim(NOW + SECOND, lease=LEASE).attempt == 1
    assert store.outbox.replay(["msg_1"], now=NOW + SECOND) == 0, "it is being sent just now"
    with pytest.raises(NotFoundError, match="no message 'msg_9'"):
        store.outbox.replay(["msg_1", "msg_9"], now=NOW)


def test_claim__by_many_at_once_gives_none_twice(store, database_url):
    """Four threads, each with connections of its own, and messages that come in meanwhile."""
    taken, is_full = [], threading.Event()

    def work():
        own = Store(database_url)
        while (letter := own.outbox.claim(NOW, lease=LEASE)) is not None or not is_full.is_set():
            if letter is not None:
                taken.append(letter.message_id)
        own.close()

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work) for _ in range(4)]
        for number in range(0, 40, 4):
            store.outbox.queue(letters(*range(number, number + 4)), now=NOW)
        is_full.set()
        for one in working:
            one.result()
    assert sorted(taken) == sorted(letter.message_id for letter in letters(*range(40)))
