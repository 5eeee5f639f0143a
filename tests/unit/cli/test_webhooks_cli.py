"""`predictkpi webhooks`: lists, replays, delivers and tests, against a real receiver."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from fakes.serving import Answer, Fake, serving
from predictkpi.cli import main
from predictkpi.store import Letter, Store

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAST = pd.Timestamp("2024-05-01 08:00")


class Receiver(Fake):
    def answer(self, request):
        return Answer(204, "")


@pytest.fixture
def receiver(monkeypatch):
    receiver = Receiver()
    with serving(receiver) as url:
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_URL", f"{url}/t0ken")
        monkeypatch.setenv("PREDICTKPI_WEBHOOK_SECRET", SECRET)
        yield receiver


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    store.outbox.queue([Letter(f"msg_{number}", "kpi.alert", "{}") for number in range(3)], now=PAST)
    yield store
    store.close()


@pytest.fixture
def cli(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREDICTKPI_DATABASE_URL", f"sqlite:///{tmp_path}/facts.db")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["predictkpi", "webhooks", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


def test_deliver__says_what_became_of_each(cli, receiver):
    receiver.trouble("/", Answer(400, "no"))
    receiver.trouble("/", Answer(500, "oops"))
    code, _, err = cli("deliver")
    assert code == 4
    assert "1 delivered, 1 to be tried again, 1 dead (predictkpi webhooks dead)" in " ".join(err.split())
    assert "t0ken" not in err
    code, out, err = cli("list")
    assert code == 0
    assert all(word in out for word in ("msg_0", "msg_2", "waiting", "delivered", "dead"))
    assert "1 waiting, 1 delivered, 1 dead" in err
    told = json.loads(cli("dead", "--format", "json")[1])
    assert [(one["message_id"], one["answer"]) for one in told] == [("msg_0", "it answered 400 Bad Request")]


def test_replay__sends_dead_ones_again_with_their_ids(cli, receiver):
    receiver.trouble("/", Answer(400, "no"), times=3)
    cli("deliver")
    code, out, err = cli("replay", "--all-dead")
    assert (code, out) == (0, "3 messages wait again\n")
    assert "3 delivered" in err
    assert [request.headers["webhook-id"] for request in receiver.requests] == ["msg_0", "msg_1", "msg_2"] * 2
    assert cli("replay", "msg_1")[1] == "1 messages wait again\n"
    assert receiver.requests[-1].headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize(("arguments", "words"), [((), "name messages, or all"), (("msg_7",), "no message 'msg_7' in the outbox")])
def test_replay__says_what_is_wrong(cli, receiver, arguments, words):
    code, _, err = cli("replay", *arguments)
    assert code == 1
    assert words in err


def test_test__sends_a_message_now(cli, receiver):
    receiver.trouble("/", Answer(410, "gone"))
    assert cli("test")[0] == 4
    code, out, _ = cli("test")
    assert (code, out) == (0, "the webhook at 127.0.0.1: it answered 204 No Content\n")
    assert [request.json["type"] for request in receiver.requests] == ["webhook.test"] * 2


def test_deliver__without_a_webhook_says_how_to_set_one(cli):
    code, _, err = cli("deliver")
    assert code == 1
    assert "no webhook is set: PREDICTKPI_WEBHOOK_URL and PREDICTKPI_WEBHOOK_SECRET" in err
