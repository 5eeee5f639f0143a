"""Silence for MLflow's warnings that threads do not lift for one another."""

from __future__ import annotations

import threading
import warnings

import pytest

from predictkpi.registry.connection import quiet


def test_quiet__lasts_until_the_last_thread_leaves_whoever_came_first():
    first_in, second_in, first_may_leave = threading.Event(), threading.Event(), threading.Event()

    def speak():
        with quiet():
            first_in.set()
            first_may_leave.wait(10)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread = threading.Thread(target=speak)
        thread.start()
        assert first_in.wait(10)
        with quiet():
            second_in.set()
            first_may_leave.set()
            thread.join(10)
            warnings.warn("nobody hears this", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning):
            warnings.warn("heard again", UserWarning, stacklevel=1)


def test_quiet__holds_where_others_have_set_the_filters_anew_meanwhile():
    left = threading.Event()

    def speak():
        with quiet():
            left.wait(10)

    thread = threading.Thread(target=speak)
    with warnings.catch_warnings():
        thread.start()
        warnings.simplefilter("error")
        with quiet():
            warnings.warn("nobody hears this", UserWarning, stacklevel=1)
        left.set()
        thread.join(10)
        with pytest.raises(UserWarning):
            warnings.warn("heard again", UserWarning, stacklevel=1)


def test_quiet__leaves_a_silence_that_was_there():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        with quiet():
            pass
        assert warnings.filters == before
