"""The webhook against a real server: what is sent, how an answer is judged, and what is never shown."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from fakes.serving import CUT, Answer, Fake, serving
from predictkpi.delivery import Message, Verdict, Webhook, delay_after, new_secret, sign, verify
from predictkpi.delivery.schedule import DELAYS
from predictkpi.errors import SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_700_000_000.0
MESSAGE = Message.about("monitor.alarm", {"findings": [{"check": "drift", "figure": 0.5}]}, timestamp=pd.Timestamp("2024-05-01 08:00"))


class Receiver(Fake):
    def answer(self, request):
        return Answer(200, "thank you")


@pytest.fixture
def receiver():
    receiver = Receiver()
    with serving(receiver) as url:
        receiver.url = f"{url}/hook/t0ken"
        yield receiver


def send(url, **options):
    return Webhook(url, SECRET, **{"clock": lambda: NOW} | options).attempt(MESSAGE.id, MESSAGE.body())


def test_sign__gives_the_signature_of_the_specification():
    body = b'{"test": 2432232314}'
    assert sign(SECRET, id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_attempt__is_signed_and_says_what_happened(receiver):
    answer = send(receiver.url)
    (request,) = receiver.requests
    assert (answer.verdict, answer.wait) == (Verdict.TAKEN, None)
    assert verify(SECRET, request.headers, request.body, now=NOW)
    assert request.headers["webhook-id"] == MESSAGE.id
    assert json.loads(request.body) == {
        "type": "monitor.alarm",
        "timestamp": "2024-05-01T08:00:00Z",
        "data": {"findings": [{"check": "drift", "figure": 0.5}]},
    }


def test_verify__finds_another_secret_a_changed_body_and_an_old_message(receiver):
    send(receiver.url)
    (request,) = receiver.requests
    assert not verify(new_secret(), request.headers, request.body, now=NOW)
    assert not verify(SECRET, request.headers, request.body + b" ", now=NOW)
    assert not verify(SECRET, request.headers, request.body, now=NOW + 301)
    assert not verify(SECRET, {}, request.body, now=NOW)


def test_attempt__while_a_secret_is_changed_both_sign(receiver):
    former = new_secret()
    send(receiver.url, previous=former)
    (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, former):
        assert verify(secret, request.headers, request.body, now=NOW)
    assert not verify(new_secret(), request.headers, request.body, now=NOW)


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "wait"),
    [
        (204, {}, Verdict.TAKEN, None),
        (429, {"Retry-After": "12"}, Verdict.AGAIN, 12.0),
        (503, {"Retry-After": "soon"}, Verdict.AGAIN, None),
        (500, {}, Verdict.AGAIN, None),
        (599, {}, Verdict.AGAIN, None),
        (408, {}, Verdict.AGAIN, None),
        (400, {}, Verdict.REFUSED, None),
        (404, {}, Verdict.REFUSED, None),
        (302, {"Location": "/elsewhere"}, Verdict.REFUSED, None),
        (410, {}, Verdict.GONE, None),
    ],
)
def test_attempt__answers_are_judged_and_redirects_not_followed(receiver, status, headers, verdict, wait):
    receiver.trouble("/hook", Answer(status, "", headers))
    answer = send(receiver.url)
    assert (answer.verdict, answer.wait) == (verdict, wait)
    assert str(status) in answer.reason
    assert len(receiver.requests) == 1


def test_attempt__a_body_that_breaks_off_after_the_status_does_not_matter(receiver):
    receiver.trouble("/hook", CUT)
    assert send(receiver.url).verdict is Verdict.TAKEN


def test_attempt__a_receiver_that_does_not_answer_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = send(f"http://127.0.0.1:{silent.getsockname()[1]}/t0ken", timeout=0.05)
    assert (answer.verdict, answer.reason) == (Verdict.AGAIN, "it took longer than 0.05 seconds")


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_attempt__a_receiver_that_drips_has_as_long_as_any_other(drip):
    """A byte now and then is a sign of life, and no answer; a status line whose headers do not end is none either."""
    is_over = threading.Event()

    def answer():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not is_over.wait(0.02):
                connection.sendall(drip if b"Continue" in drip else (sent.pop(0) if sent else b"x"))

    sent = [drip]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = threading.Thread(target=answer)
        receiver.start()
        begun = time.monotonic()
        ending = threading.Timer(5, is_over.set)  # else it would not end where nobody hangs up
        ending.start()
        answer = send(f"http://127.0.0.1:{listener.getsockname()[1]}/t0ken", timeout=0.3)
        seconds = time.monotonic() - begun
        ending.cancel()
        is_over.set()
        receiver.join()
    assert (answer.verdict, answer.reason) == (Verdict.AGAIN, "it took longer than 0.3 seconds")
    assert 0.3 <= seconds < 3


def test_attempt__nobody_there():
    answer = send("http://127.0.0.1:9/t0ken")
    assert (answer.verdict, answer.reason) == (Verdict.AGAIN, "the connection failed (ConnectionError)")


def test_delay__grows_over_three_days_with_jitter_and_ends():
    for attempt, least in enumerate(DELAYS, start=1):
        assert least <= delay_after(attempt, asked=None) <= 1.2 * least
    assert len({delay_after(1, asked=None) for _ in range(10)}) > 1
    assert sum(DELAYS) > 3 * 86_400
    assert delay_after(len(DELAYS) + 1, asked=3.0) is None


def test_delay__is_never_shorter_than_asked_nor_longer_than_a_day_for_that():
    assert delay_after(1, asked=1234.0) == 1234.0
    assert delay_after(2, asked=1.0) >= DELAYS[1]
    assert delay_after(1, asked=1e9) == 86_400


def test_message__same_data_same_id():
    again = Message.about("monitor.alarm", dict(MESSAGE.data), timestamp=pd.Timestamp("2024-05-02"))
    other = Message.about("monitor.alarm", {"findings": []}, timestamp=MESSAGE.timestamp)
    assert again.id == MESSAGE.id
    assert other.id != MESSAGE.id


def test_message__tells_numbers_as_json_has_them():
    data = {"a": np.float64(-0.0), "b": [float("nan"), {"c": np.int64(3), "d": float("inf")}], "e": "x", "f": True}
    body = json.loads(Message.about("kpi.alert", data, timestamp=MESSAGE.timestamp).body())
    assert body["data"] == {"a": 0.0, "b": [None, {"c": 3, "d": None}], "e": "x", "f": True}


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_!", ""])
def test_webhook__refuses_a_weak_secret_without_showing_it(secret):
    for secrets in ((secret,), (SECRET, secret)):
        with pytest.raises(SettingsError, match="no webhook secret") as caught:
            Webhook("https://example.com/", *secrets)
        assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("url", ["example.com/hook", "ftp://example.com", "https://"])
def test_webhook__refuses_an_address_that_is_none(url):
    with pytest.raises(SettingsError, match="must begin with https"):
        Webhook(url, SECRET)


def test_webhook__shows_no_secret():
    former = new_secret()
    shown = repr(Webhook("https://example.com/t0ken", SECRET, former))
    assert not any(secret in shown for secret in (SECRET, former, "t0ken"))
