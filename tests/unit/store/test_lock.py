"""One process at a time, on both databases; the lock of a process that was killed is free."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from predictkpi.errors import LockedError, StoreError
from predictkpi.store import Store

HOLD = """
import sys
from predictkpi.store import Store

with Store(sys.argv[1]).lock("retrain", holder="host-b, process 7"):
    print("held", flush=True)
    sys.stdin.read()  # for as long as it lives
"""


@pytest.fixture
def store(database_url):
    store = Store(database_url)
    store.migrate()
    yield store
    store.close()


def test_lock__is_held_once_and_free_afterwards(store, database_url):
    other = Store(database_url)
    with store.lock("retrain", holder="host-a, process 1"):
        with pytest.raises(LockedError, match="retrain is being done by host-a, process 1 just now"), other.lock("retrain", holder="b"):
            pytest.fail("two hold it")
        with other.lock("something else", holder="b"):
            pass
        other.marks("x")  # the database itself is free
    with other.lock("retrain", holder="b"):
        pass
    other.close()


def test_lock__is_free_after_an_error(store):
    with pytest.raises(RuntimeError), store.lock("retrain", holder="a"):
        raise RuntimeError
    with store.lock("retrain", holder="a"):
        pass


def test_lock__of_a_killed_process_is_free(store, database_url):
    with subprocess.Popen([sys.executable, "-c", HOLD, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="host-b, process 7"), store.lock("retrain", holder="a"):
            pytest.fail("two hold it")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(is_free(store) for _ in range(500))  # a server needs a moment to see that its client is gone


def is_free(store: Store) -> bool:
    try:
        with store.lock("retrain", holder="a"):
            return True
    except LockedError:
        return False


def test_lock__a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/absent/facts.db")
    with pytest.raises(StoreError, match="the lock of retrain cannot be made"), store.lock("retrain", holder="a"):
        pytest.fail("nothing is held")
