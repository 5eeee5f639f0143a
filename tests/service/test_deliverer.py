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
from predictkpi.service.app import create_app
from predictkpi.store import Delivery


@contextmanager
def receiver(status: int):
    """A receiver that answers so; the headers and bodies that came."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
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
            deadline = time.monotonic() + 30
            while f'predictkpi_webhook_messages{{state="{ends.value}"}} 1.0' not in service.client.get("/metrics").text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            trouble = service.serving.trouble or ""
            assert ("1 messages to the webhook were given up" in trouble) == (ends is Delivery.DEAD)
        store.close()
    ((headers, body),) = came
    assert verify(secret, {name.lower(): value for name, value in headers.items()}, body, now=time.time())
    assert body == message.body()


def test_service__does_not_start_with_a_webhook_that_nobody_could_verify(tmp_path):
    with pytest.raises(SettingsError, match="webhook_secret is not"):
        create_app(settings_in(tmp_path, webhook_url="http://127.0.0.1:9/"))
