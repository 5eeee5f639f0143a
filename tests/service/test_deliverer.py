"""The service delivers what waits in the outbox, and says what will not arrive."""

from __future__ import annotations

import http.server
import threading
import time
from contextlib import contextmanager

import pandas as pd
import pytest
from running_service import running, settings_in

from predictkpi.delivery import Message, new_secret, verify
from predictkpi.errors import SettingsError
from predictkpi.pipelines.open_store import open_store
from predictkpi.pipelines.webhooks import letter_of, utc_now
from predictkpi.service.access.log import AccessLog
from predictkpi.service.answer_log import AnswerLog
from predictkpi.service.app import create_app
from predictkpi.service.deliverer import Deliverer
from predictkpi.store import Delivery


@contextmanager
def receiver(status: int, before=lambda came: None):
    """A receiver that answers so, after ``before``; the headers and bodies that came."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            before(came)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_): ...

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", came
        server.shutdown()


@pytest.mark.parametrize(("status", "ends"), [(204, Delivery.DELIVERED), (400, Delivery.DEAD)])
def test_service__delivers_what_waits_and_tells_what_is_dead(tmp_path, status, ends):
    secret = new_secret()
    with receiver(status) as (url, came):
        own = settings_in(tmp_path, webhook_url=url, webhook_secret=secret)
        store = open_store(own)
        message = Message.about("champion.changed", {"predictor": "clv"}, timestamp=pd.Timestamp("2026-01-02"))
        store.outbox.queue([letter_of(message)], now=utc_now())
        with running(own) as service:
            counted = f'predictkpi_webhook_messages{{state="{ends.value}"}} 1.0'
            service.until(lambda: counted in service.client.get("/metrics").text)
            trouble = service.serving.trouble or ""
            assert ("1 messages to the webhook were given up" in trouble) == (ends is Delivery.DEAD)
        store.close()
    ((headers, body),) = came
    assert verify(secret, {name.lower(): value for name, value in headers.items()}, body, now=time.time())
    assert body == message.body()


def test_service__does_not_start_with_a_webhook_that_nobody_could_verify(tmp_path):
    with pytest.raises(SettingsError, match="webhook_secret is not"):
        create_app(settings_in(tmp_path, webhook_url="http://127.0.0.1:9/"))


def test_service__that_stops_writes_its_logs_and_then_waits_for_one_message_alone(tmp_path, monkeypatch):
    stopped, is_reached, may_answer = [], threading.Event(), threading.Event()
    for part in (AnswerLog, AccessLog, Deliverer):

        def stop(self, stop=part.stop, part=part):
            if part is Deliverer:
                self._rounds._stopping.set()  # as `stop` does, before it waits for the message that is held here
                may_answer.set()
            stop(self)
            stopped.append(part)

        monkeypatch.setattr(part, "stop", stop)

    def hold(_):
        is_reached.set()
        assert may_answer.wait(30)

    with receiver(204, hold) as (url, came):
        own = settings_in(tmp_path, webhook_url=url, webhook_secret=new_secret())
        store = open_store(own)
        messages = [Message.about("champion.changed", {"number": number}, timestamp=pd.Timestamp("2026-01-02")) for number in range(5)]
        store.outbox.queue([letter_of(message) for message in messages], now=utc_now())
        with running(own, poll_seconds=0.02):
            assert is_reached.wait(30)
        counts = store.outbox.counts()
        store.close()
    assert stopped == [AnswerLog, AccessLog, Deliverer]
    assert (len(came), counts[Delivery.DELIVERED], counts[Delivery.WAITING]) == (1, 1, 4)
