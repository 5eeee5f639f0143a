"""Silence for MLflow's warnings that threads do not lift for one another.

Each test has a process of its own: the filters of this one belong to whatever service runs in it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import threading
import warnings

from predictkpi.registry.connection import quiet


def is_heard():
    try:
        warnings.warn("something", UserWarning, stacklevel=1)
    except UserWarning:
        return True
    return False


warnings.simplefilter("error")
"""

ANOTHER_SPEAKS = """
first_in, may_leave = threading.Event(), threading.Event()

def speak():
    with quiet():
        first_in.set()
        may_leave.wait(10)

thread = threading.Thread(target=speak)
thread.start()
assert first_in.wait(10)
"""

LASTS = (
    ANOTHER_SPEAKS
    + """
with quiet():
    may_leave.set()
    thread.join(10)
    assert not is_heard(), "the first to leave took the silence along"
assert is_heard(), "the last to leave left the silence behind"
"""
)

SET_ANEW = (
    ANOTHER_SPEAKS
    + """
warnings.simplefilter("error")
with quiet():
    assert not is_heard(), "filters set meanwhile broke the silence"
may_leave.set()
thread.join(10)
assert is_heard()
"""
)

WAS_THERE = """
warnings.simplefilter("ignore")
before = list(warnings.filters)
with quiet():
    pass
assert warnings.filters == before
"""


@pytest.mark.parametrize(
    "code", [LASTS, SET_ANEW, WAS_THERE], ids=["lasts until the last leaves", "holds when set anew", "leaves what was there"]
)
def test_quiet(code):
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
