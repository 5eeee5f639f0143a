"""The Python client against the real service: rows, predictions, batches, problems, and what is tried again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import NotRequired, get_origin, get_type_hints

import pytest
import requests

from predictkpi.client import Client, ProblemError, answers
from predictkpi.client.transport import Transport
from predictkpi.core import columns as c

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def client(served):
    with Client(served.url) as client:
        yield client


def test_rows__come_page_after_page(client, open_deals, snapshot):
    assert {deal["deal_id"] for deal in client.deals(limit=40)} == set(open_deals.index)
    first = list(islice(client.customers(sort="-mean", segment=["SMB"]), 3))
    assert [customer["segment"] for customer in first] == ["SMB"] * 3
    deal = client.deal(open_deals.index[0])
    assert deal["events"][-1]["stage"] == open_deals[c.STAGE].iloc[0]
    assert client.customer(first[0]["customer_id"])["prediction"] == first[0]["prediction"]


def test_predictions__of_stored_and_of_described_ones(client, open_deals):
    deal_id = open_deals.index[0]
    answer = client.close_time(deal_id, horizons=[30, 90], curve=True)
    assert [item["horizon"] for item in answer["predictions"]] == [30, 90]
    assert answer["curve"]["horizons"][-1] == 180
    told = client.close_time_of({"stage": open_deals[c.STAGE].iloc[0], "created_at": "2025-11-01", "amount": 10.0}, reasons=True)
    assert told["reasons"] is not None
    assert client.lifetime_value_of({"orders": [{"at": "2025-06-01", "amount": 100.0}]})["rank"] > 0
    assert client.revenue(horizon=2)["items"][0]["predictor"] == "revenue"
    assert client.outlook(period="this_month")["items"]
    assert client.kpi("revenue", freq="Q")["series"]
    assert client.me()["id"] == "open"
    assert client.get("/v1/scoreboard")


def test_batches__count_through_all_requests(client, open_deals, monkeypatch):
    monkeypatch.setattr("predictkpi.client.client.MOST_IN_A_BATCH", 2)
    good, bad = {"stage": open_deals[c.STAGE].iloc[0]}, {"amount": 1.0}
    items = list(client.close_times_of([good, bad, good, good, bad], horizons=[30]))
    assert [(item["index"], item.get("problem") is not None) for item in items] == [
        (0, False), (1, True), (2, False), (3, False), (4, True),
    ]  # fmt: skip
    assert [item["index"] for item in client.lifetime_values_of([{}, {}, {}])] == [0, 1, 2]


def test_lines__bring_an_item_for_each_deal_without_holding_them(client, open_deals):
    good, bad = {"stage": open_deals[c.STAGE].iloc[0], "created_at": "2025-11-01"}, {"amount": 1.0}
    items = list(client.close_times_by_line(({**good, "amount": float(k)} if k % 3 else bad for k in range(30)), horizons=[30]))
    assert [item["index"] for item in items] == list(range(30))
    assert [item["index"] for item in items if item.get("problem")] == list(range(0, 30, 3))
    with pytest.raises(ProblemError, match="no horizon"):
        next(client.close_times_by_line([good], horizons=[999]))


def test_problem__says_its_type_and_each_wrong_value(client):
    with pytest.raises(ProblemError, match=re.escape("no deal 'D-unheard/of?#' is known")) as raised:
        client.deal("D-unheard/of?#")
    assert (raised.value.type, raised.value.status) == ("/problems/unknown-entity", 404)
    assert raised.value.request_id
    with pytest.raises(ProblemError) as raised:
        client.close_time_of({"stage": "Proposal", "created_at": "2200-01-01"})
    assert [item["pointer"] for item in raised.value.errors] == ["#/created_at"]


class Scripted:
    """A server that gives prepared answers and keeps what it was asked."""

    def __init__(self, *script):
        self.asked, self.pauses, script = [], [], list(script)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked.append((self.headers["Idempotency-Key"], body))
                step = script.pop(0)
                if step is None:
                    self.connection.close()
                    return
                status, headers, answer = step
                said = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(said))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_port}"
        self.transport = Transport(url, "secret", timeout=5.0, retries=3, sleep=self.pauses.append)

    def post(self):
        try:
            return self.transport.post("/v1/x", {"a": 1}, {})
        finally:
            self.transport.close()
            self._server.shutdown()
            self._server.server_close()


def busy(status, slug, after):
    problem = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": "", "instance": "/", "request_id": "r"}
    return status, {"Content-Type": "application/problem+json", "Retry-After": after}, problem


def test_refused_for_the_moment__is_sent_again_after_the_pause_asked_for_under_the_same_key():
    server = Scripted(busy(429, "rate-limited", "7"), busy(409, "in-flight", "1"), busy(503, "overloaded", "2"), (200, {}, {"fine": True}))
    assert server.post() == {"fine": True}
    assert server.pauses == [7, 1, 2]
    assert len({key for key, _ in server.asked}) == 1
    assert {body for _, body in server.asked} == {b'{"a": 1}'}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_lost_connection__is_tried_again_with_growing_pauses():
    server = Scripted(None, None, (200, {}, {"fine": True}))
    assert server.post() == {"fine": True}
    assert 0.25 <= server.pauses[0] <= 0.5 <= server.pauses[1] <= 1.0


def test_tries__come_to_an_end():
    server = Scripted(*[busy(503, "overloaded", "1")] * 4)
    with pytest.raises(ProblemError, match="503"):
        server.post()
    assert len(server.asked) == 4
    nowhere = Transport("http://127.0.0.1:9", None, timeout=1.0, retries=1, sleep=lambda _: None)
    with pytest.raises(requests.ConnectionError):
        nowhere.get("/v1/me", {})


@pytest.mark.parametrize("step", [busy(429, "rate-limited", "3600"), busy(409, "conflict", "1"), (302, {"Location": "https://x/"}, {})])
def test_what_cannot_help__is_not_tried_again(step):
    server = Scripted(step)
    with pytest.raises(ProblemError) as raised:
        server.post()
    assert raised.value.status == step[0]
    assert server.pauses == []
    assert "secret" not in repr(raised.value)


def test_types__are_those_of_the_document(served):
    schemas = served.app.openapi()["components"]["schemas"]
    typed = {name: kind for name, kind in vars(answers).items() if hasattr(kind, "__required_keys__")}
    assert len(typed) > 20
    for name, kind in typed.items():
        hints, own = get_type_hints(kind, include_extras=True), {"retry_after"} if name == "Problem" else set()
        assert set(hints) - own == set(schemas[name]["properties"]), name
        if not name.endswith("In"):
            required = {member for member, hint in hints.items() if get_origin(hint) is not NotRequired}
            assert required <= set(schemas[name].get("required", [])), name


def test_client__needs_no_other_part_of_the_package():
    code = (
        "import sys, predictkpi.client; print(sorted(n for n in ('pandas', 'numpy', 'fastapi', 'pydantic', 'mlflow') if n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_quickstart__runs_as_it_is_written(served, open_deals, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("http://127.0.0.1:8000", served.url).replace("D-0042", open_deals.index[0]), names)
    assert "within 90 days" in capsys.readouterr().out
