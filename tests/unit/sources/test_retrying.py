"""The retrying session against a real server: how long it waits, and when it stops."""

from __future__ import annotations

import pytest

from fakes.serving import CUT, Answer, Fake, serving
from predictkpi.errors import SourceError
from predictkpi.sources.retrying import RetryingSession

DATED = {"Retry-After": "Wed, 01 May 2024 10:01:30 GMT", "Date": "Wed, 01 May 2024 10:00:00 GMT"}


class Greeter(Fake):
    def answer(self, request):
        return Answer(404 if request.path == "/absent" else 200, {"hello": "world"})


@pytest.fixture
def server():
    greeter = Greeter()
    with serving(greeter) as url:
        greeter.url = url
        yield greeter


def get(server, path="/", **options):
    waits = []
    with RetryingSession("Greeter", attempts=4, wait=waits.append, **options) as session:
        answer = session.get(server.url + path)
    return answer, waits


@pytest.mark.parametrize(
    ("trouble", "low", "high"),
    [
        (CUT, 0.5, 1),
        (Answer(500, "oops"), 0.5, 1),
        (Answer(429, "slow down", {"Retry-After": "12"}), 12, 12),
        (Answer(503, "busy", DATED), 90, 90),
        (Answer(503, "busy", {"Retry-After": "soon"}), 0.5, 1),
    ],
)
def test_request__is_tried_again_after_the_right_wait(server, trouble, low, high):
    server.trouble("/", trouble)
    answer, waits = get(server)
    assert answer.json() == {"hello": "world"}
    assert len(waits) == 1
    assert low <= waits[0] <= high


def test_request__waits_twice_as_long_each_time_and_gives_up(server):
    server.trouble("/", Answer(502, "no"), times=4)
    waits = []
    with RetryingSession("Greeter", attempts=4, wait=waits.append) as session, pytest.raises(SourceError, match="Greeter: it answered 502"):
        session.get(server.url)
    assert len(waits) == 3
    assert all(0.5 <= wait / 2**number <= 1 for number, wait in enumerate(waits))
    assert len(server.requests) == 4


def test_request__does_not_wait_longer_than_agreed(server):
    server.trouble("/", Answer(429, "tomorrow", {"Retry-After": "86400"}))
    with pytest.raises(SourceError, match="asks to wait 86400 seconds"):
        get(server)


def test_request__other_answers_are_the_callers_business(server):
    answer, waits = get(server, "/absent")
    assert (answer.status_code, waits) == (404, [])


def test_request__nobody_there(server):
    with (
        RetryingSession("Greeter", attempts=2, wait=lambda seconds: None) as session,
        pytest.raises(SourceError, match="the connection failed"),
    ):
        session.get("http://127.0.0.1:9/")
