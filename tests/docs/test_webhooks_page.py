"""The receiver that docs/webhooks.md shows takes what predictkpi sends, and nothing else; its tables name every event."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from predictkpi.delivery import Message, Verdict, Webhook, new_secret
from predictkpi.pipelines.webhooks import EVENTS, TEST, utc_now

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


@pytest.fixture
def secrets() -> list[str]:
    return [new_secret(), new_secret()]


@pytest.fixture
def receiver(tmp_path, secrets):
    """Its process and address."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    path = tmp_path / "receiver.py"
    path.write_text(code, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"WEBHOOK_SECRETS": " ".join(secrets), "PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, str(path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        with requests.Session() as session:
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=requests.adapters.Retry(20, backoff_factor=0.05)))
            assert session.get(f"http://127.0.0.1:{port}/").status_code == 501
        yield running, f"http://127.0.0.1:{port}/"
        running.terminate()


def test_receiver__takes_what_is_genuine_once_and_refuses_the_rest(receiver, secrets):
    running, url = receiver
    message = Message.about("kpi.alert", {"kpi": "revenue"}, timestamp=utc_now())
    sent = [
        Webhook(url, secret, previous, clock=clock).attempt(message.id, message.body())
        for secret, previous, clock in [
            (secrets[0], None, utc_now().timestamp),
            (secrets[0], None, utc_now().timestamp),
            (new_secret(), secrets[1], utc_now().timestamp),
            (new_secret(), None, utc_now().timestamp),
            (secrets[0], None, lambda: 1_700_000_000.0),
        ]
    ]
    assert [answer.verdict for answer in sent] == [Verdict.TAKEN] * 3 + [Verdict.REFUSED] * 2
    running.terminate()
    assert running.stdout.read() == "kpi.alert {'kpi': 'revenue'}\n"


def test_page__names_every_event_in_both_tables():
    named = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(named) == sorted([*EVENTS, *EVENTS, TEST])
