"""The webhook against a real server: what is sent, when it is tried again, and what is said when it cannot be delivered."""

from __future__ import annotations

import json
import socket

import pandas as pd
import pytest

from fakes.serving import CUT, Answer, Fake, serving
from predictkpi.delivery import Message, Webhook, new_secret, sign, verify
from predictkpi.errors import DeliveryError, SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_700_000_000.0
MESSAGE = Message.about("monitor.alarm", {"findings": [{"check": "drift", "figure": 0.5}]}, timestamp=pd.Timestamp("2024-05-01 08:00"))


class Receiver(Fake):
    def answer(self, request):
        return Answer(204, "")


@pytest.fixture
def receiver():
    receiver = Receiver()
    with serving(receiver) as url:
        receiver.url = f"{url}/hook/t0ken"
        yield receiver


def send(receiver, **options):
    waits = []
    webhook = Webhook(receiver.url, SECRET, **{"wait": waits.append, "clock": lambda: NOW, "attempts": 4} | options)
    return webhook.send(MESSAGE), waits


def test_sign__gives_the_signature_of_the_specification():
    body = b'{"test": 2432232314}'
    assert sign(SECRET, id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_send__is_signed_and_says_what_happened(receiver):
    receipt, waits = send(receiver)
    (request,) = receiver.requests
    assert (receipt.message_id, receipt.attempts, waits) == (MESSAGE.id, 1, [])
    assert verify(SECRET, request.headers, request.body, now=NOW)
    assert request.headers["webhook-id"] == MESSAGE.id
    assert json.loads(request.body) == {
        "type": "monitor.alarm",
        "timestamp": "2024-05-01T08:00:00Z",
        "data": {"findings": [{"check": "drift", "figure": 0.5}]},
    }


def test_verify__finds_another_secret_a_changed_body_and_an_old_message(receiver):
    send(receiver)
    (request,) = receiver.requests
    assert not verify(new_secret(), request.headers, request.body, now=NOW)
    assert not verify(SECRET, request.headers, request.body + b" ", now=NOW)
    assert not verify(SECRET, request.headers, request.body, now=NOW + 301)
    assert not verify(SECRET, {}, request.body, now=NOW)


@pytest.mark.parametrize(
    ("trouble", "low", "high"),
    [
        (Answer(429, "slow down", {"Retry-After": "12"}), 12, 12),
        (Answer(500, "oops"), 0.5, 1),
        (Answer(503, "busy", {"Retry-After": "soon"}), 0.5, 1),
        (CUT, 0.5, 1),
    ],
)
def test_send__tries_again_with_the_same_id(receiver, trouble, low, high):
    receiver.answer = lambda request: Answer(200, "thank you")  # a body that can be cut
    receiver.trouble("/hook", trouble)
    receipt, waits = send(receiver)
    assert receipt.attempts == 2
    assert low <= waits[0] <= high
    assert [request.headers["webhook-id"] for request in receiver.requests] == [MESSAGE.id] * 2
    assert all(verify(SECRET, request.headers, request.body, now=NOW) for request in receiver.requests)


def test_send__signs_each_attempt_with_its_own_time(receiver):
    receiver.trouble("/hook", Answer(500, "oops"))
    ticks = iter([NOW, NOW + 400])
    send(receiver, clock=lambda: next(ticks))
    first, second = receiver.requests
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 400
    assert verify(SECRET, second.headers, second.body, now=NOW + 400)


def test_send__waits_twice_as_long_each_time_and_gives_up(receiver):
    receiver.trouble("/hook", Answer(502, "no"), times=4)
    waits = []
    with pytest.raises(
        DeliveryError, match=r"127\.0\.0\.1: it answered 502 .* 4 times in a row; monitor\.alarm was not delivered"
    ) as caught:
        Webhook(receiver.url, SECRET, attempts=4, wait=waits.append).send(MESSAGE)
    assert all(0.5 <= wait / 2**number <= 1 for number, wait in enumerate(waits))
    assert len(waits) == 3
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize("answer", [Answer(400, "no"), Answer(410, "gone"), Answer(302, "there", {"Location": "/elsewhere"})])
def test_send__what_cannot_become_better_is_not_tried_again(receiver, answer):
    receiver.trouble("/hook", answer)
    with pytest.raises(DeliveryError, match=f"refused the message: it answered {answer.status}"):
        send(receiver)
    assert len(receiver.requests) == 1


def test_send__does_not_wait_longer_than_agreed(receiver):
    receiver.trouble("/hook", Answer(429, "tomorrow", {"Retry-After": "86400"}))
    with pytest.raises(DeliveryError, match="asks to wait 86400 seconds"):
        send(receiver)


def test_send__a_receiver_that_does_not_answer_is_a_timeout():
    waits = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", SECRET, timeout=0.05, attempts=2, wait=waits.append)
        with pytest.raises(DeliveryError, match="ReadTimeout"):
            webhook.send(MESSAGE)
    assert len(waits) == 1


def test_send__nobody_there():
    with pytest.raises(DeliveryError, match=r"the connection failed \(ConnectionError\), 2 times"):
        Webhook("http://127.0.0.1:9/", SECRET, attempts=2, wait=lambda seconds: None).send(MESSAGE)


def test_message__same_data_same_id():
    again = Message.about("monitor.alarm", dict(MESSAGE.data), timestamp=pd.Timestamp("2024-05-02"))
    other = Message.about("monitor.alarm", {"findings": []}, timestamp=MESSAGE.timestamp)
    assert again.id == MESSAGE.id
    assert other.id != MESSAGE.id


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_!", ""])
def test_webhook__refuses_a_weak_secret_without_showing_it(secret):
    with pytest.raises(SettingsError, match="no webhook secret") as caught:
        Webhook("https://example.com/", secret)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("url", ["example.com/hook", "ftp://example.com", "https://"])
def test_webhook__refuses_an_address_that_is_none(url):
    with pytest.raises(SettingsError, match="must begin with https"):
        Webhook(url, SECRET)


def test_webhook__shows_no_secret():
    shown = repr(Webhook("https://example.com/t0ken", SECRET))
    assert SECRET not in shown
    assert "t0ken" not in shown
