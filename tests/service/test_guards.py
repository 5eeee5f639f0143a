"""What one request may not do to the others: bodies, loads and times have bounds, and each refusal is a problem."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading

import httpx
import pytest
from fastapi import FastAPI, Request
from running_service import ask_in_process, running, settings_in

from predictkpi.core.access import ANYBODY_HERE
from predictkpi.errors import StoreError
from predictkpi.service.access.limits import BURST_SECONDS, RateLimiter
from predictkpi.service.access.permissions import allow
from predictkpi.service.app import create_app
from predictkpi.service.compression import CompressionMiddleware
from predictkpi.service.guards import GuardMiddleware
from predictkpi.service.logs import Brief, JsonFormatter


@pytest.fixture
def small(tmp_path):
    return settings_in(tmp_path).model_copy(update={"max_body_bytes": 2000, "most_at_once": 2, "request_seconds": 1.0})


@pytest.fixture
def app(small) -> FastAPI:
    app = create_app(small)
    app.state.access.refresh()
    app.state.hold = asyncio.Event()

    @app.get("/wait", dependencies=[allow(None)])
    async def wait() -> dict[str, str]:
        await app.state.hold.wait()
        return {"came": "late"}

    @app.post("/read", dependencies=[allow(None)])
    async def read(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    return app


def in_process(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def test_load__beyond_what_is_answered_at_once_is_refused_at_once(app):
    async def crowd():
        async with in_process(app) as client:
            waiting = [asyncio.create_task(client.get("/wait")) for _ in range(2)]
            await asyncio.sleep(0)
            while app.state.metrics.text(app.state.serving_stub, {}).count(b"predictkpi_requests_in_flight 2.0") == 0:
                await asyncio.sleep(0)
            refused = await client.get("/wait")
            live = await client.get("/health/live")
            app.state.hold.set()
            return refused, live, [await each for each in waiting]

    app.state.serving_stub = _Nothing()
    refused, live, answered = asyncio.run(crowd())
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/overloaded"
    assert refused.headers["retry-after"] == "1"
    assert live.status_code == 200, "whoever watches it is answered however busy it is"
    assert [each.status_code for each in answered] == [200, 200]


class _Nothing:
    """As much of `Serving` as the metrics need before anything was read."""

    current, trouble = None, None

    class answers:  # noqa: N801
        waiting = dropped = 0


def test_answer__that_takes_too_long_is_given_up(app):
    answer = asyncio.run(ask_in_process(app, "/wait"))
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/too-long"
    assert "1 seconds" in answer.json()["detail"]


def guarded(application, *, seconds):
    """The guard alone, before an application, for a caller who has said who they are."""
    guard = GuardMiddleware(application, most_at_once=1, max_body_bytes=1000, seconds=seconds)
    scope = {"type": "http", "path": "/", "headers": [], "state": {"caller": ANYBODY_HERE}}
    return guard, lambda send: guard(scope, None, send)


START, LAST = {"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body", "body": b"x"}


def test_client__that_does_not_read_its_answer_gives_its_place_back():
    async def answer(scope, receive, send):
        await send(START)
        await send(LAST)

    async def refuse(message):
        if message["type"] == LAST["type"]:
            await asyncio.Event().wait()

    async def asked():
        guard, ask = guarded(answer, seconds=0.1)
        await asyncio.wait_for(ask(refuse), 10)
        return guard._at_once

    assert set(asyncio.run(asked()).values()) == {0}


def test_answer__that_comes_in_parts_may_take_longer_than_any_part():
    async def stream(scope, receive, send):
        await send(START)
        await send(LAST | {"more_body": True})
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.35
        while loop.time() < end:
            await asyncio.sleep(0)
        await send(LAST)

    async def asked():
        got = []

        async def take(message):
            got.append(message)

        await guarded(stream, seconds=0.1)[1](take)
        return got

    assert len(asyncio.run(asked())) == 3


@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
def test_answer__that_has_only_announced_itself_is_given_up_too(encoding):
    async def stream(scope, receive, send):
        await send(START)
        await asyncio.Event().wait()

    async def asked():
        got = []

        async def take(message):
            got.append(message)

        guard = GuardMiddleware(CompressionMiddleware(stream), most_at_once=1, max_body_bytes=1000, seconds=0.1)
        state = {"caller": ANYBODY_HERE, "request_id": "r-1"}
        scope = {"type": "http", "path": "/", "headers": [(b"accept-encoding", encoding)], "state": state}
        await asyncio.wait_for(guard(scope, None, take), 10)
        return got[0]["status"]

    assert asyncio.run(asked()) == 503


def test_body__that_is_too_large_is_not_read_to_its_end(app):
    async def pieces(number):
        for _ in range(number):
            yield b"x" * 500

    async def post():
        async with in_process(app) as client:
            announced = await client.post("/read", content=b"x" * 2001)
            unannounced = await client.post("/read", content=pieces(9))
            fitting = await client.post("/read", content=pieces(4))
            return announced, unannounced, fitting

    announced, unannounced, fitting = asyncio.run(post())
    for refused in (announced, unannounced):
        assert refused.status_code == 413
        assert refused.json()["type"] == "/problems/body-too-large"
        assert "2000 bytes" in refused.json()["detail"]
    assert fitting.json() == {"bytes": 2000}


def test_body__that_does_not_come_is_given_up_and_the_connection_closed(small):
    """Whoever sends a body byte by byte, or not at all, holds a place for `request_seconds` at most."""
    with running(small) as service:
        at = httpx.URL(service.url)
        head = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n1"
        slow = [socket.create_connection((at.host, at.port), timeout=20) for _ in range(2)]
        for connection in slow:
            connection.sendall(head)
        for connection in slow:
            with connection, connection.makefile("rb") as answer:
                assert answer.read().split()[1] == b"503", "the connection ends with the answer"
        assert service.client.get("/v1/kpis").json()["type"] != "/problems/overloaded", "both places are free again"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"deals": ' + b"[" * 5000 + b"]" * 5000 + b"}", b"\xff\xfe", b"\x00", b""], ids=len
)
def test_body__that_is_nested_or_broken_is_a_problem_of_the_caller(served, body):
    for path in ("/v1/deals/close-time", "/v1/deals/close-time/batch"):
        answer = served.client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


INJECTIONS = [
    "' OR '1'='1",
    "D-1'; DROP TABLE deals; --",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "a\r\nSet-Cookie: stolen=1",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_text__of_an_attacker_stays_text(served, text):
    quoted = httpx.QueryParams({"x": text}).get("x")
    for path in (f"/v1/deals/{httpx.URL('/', params={'x': quoted}).query.decode()[2:]}/close-time", "/v1/customers/x/clv"):
        answer = served.client.get(path)
        assert answer.status_code == 404
        assert "stolen" not in answer.headers
        assert "set-cookie" not in answer.headers
    for path in ("/static/", "/problems/"):
        answer = served.client.get(path + text.replace("/", "%2F").replace("\r", "%0D").replace("\n", "%0A"))
        assert answer.status_code == 404
        assert "root:" not in answer.text
    answer = served.client.post("/v1/deals/close-time", json={"deal_id": text, "name": text, "stage": "Qualified"})
    assert answer.status_code == 200
    assert answer.json()["entity_id"] == text.strip()
    page = served.client.get("/sign-in", params={"next": text})
    assert "<script>" not in page.text
    assert "49" not in page.text.partition("<main")[2].partition("</main>")[0]
    assert served.client.get("/v1/kpis", params={"by": text}).status_code == 200


def test_headers__cannot_be_split_by_a_request_id(served):
    for sent in ("short", "x" * 200, "good-id-123456"):
        returned = served.client.get("/health/live", headers={"X-Request-ID": sent}).headers["x-request-id"]
        assert (returned == sent) == (sent == "good-id-123456")
        assert returned.isascii()


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/", {}, 200),
        ("/docs", {}, 200),
        ("/health/live", {}, 200),
        ("/no/such/page", {}, 404),
        ("/v1/kpis", {}, 200),
        ("/v1/kpis", {"If-None-Match": "*"}, 304),
        ("/v1/deals/D-none/close-time", {}, 404),
    ],
)
def test_every_answer__carries_the_security_headers_of_pages_or_of_data(served, path, sent, status):
    answer = served.client.get(path, headers=sent)
    headers = answer.headers
    assert answer.status_code == status
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(headers["content-security-policy"].split("; "))
    is_page = not path.startswith("/v1/")
    assert all((name in headers) == is_page for name in ("permissions-policy", "referrer-policy", "cross-origin-opener-policy"))
    assert ("script-src 'self'" in headers["content-security-policy"]) == is_page


def test_rate_limiter__lets_through_what_was_agreed_and_tells_when_to_come_back():
    limiter, now, answered = RateLimiter(share=0.5), 0.0, 0
    for _ in range(6000):
        answered += limiter.wait("a", 120, now) == 0
        now += 0.01
    assert answered == pytest.approx(60 + BURST_SECONDS, abs=2), "60 a minute of its half, and the burst"
    while (wait := limiter.wait("a", 120, now)) == 0:
        continue
    assert wait == 1
    assert limiter.wait("a", 120, now + wait) == 0
    assert limiter.wait("b", 120, now) == 0


def test_log__tells_of_each_request_in_json(served, caplog):
    told_of, logger = threading.Event(), logging.getLogger("predictkpi.requests")
    logger.addFilter(tells := lambda record: told_of.set() or True)
    with caplog.at_level(logging.INFO, logger="predictkpi.requests"):
        served.client.get("/v1/deals/none/close-time", headers={"X-Request-ID": "told-in-the-log"})
        assert told_of.wait(30), "after the answer was sent"
    logger.removeFilter(tells)
    (record,) = [each for each in caplog.records if each.name == "predictkpi.requests"]
    told = json.loads(JsonFormatter().format(record))
    assert told["request_id"] == "told-in-the-log"
    assert (told["method"], told["status"]) == ("GET", 404)
    assert told["route"].startswith("/v1/deals/{deal_id")
    assert told["milliseconds"] > 0


@pytest.mark.parametrize(("error", "has_trace"), [(StoreError("the database is away"), False), (ZeroDivisionError("a bug"), True)])
def test_log__has_a_trace_of_what_nobody_raised_on_purpose(error, has_trace):
    record = logging.LogRecord("predictkpi", logging.ERROR, "", 0, "%s cannot be read", ("keys",), (type(error), error, None))
    assert Brief().filter(record)
    told = json.loads(JsonFormatter().format(record))
    assert ("trace" in told) == has_trace
    assert told["message"] == ("keys cannot be read" if has_trace else "keys cannot be read: the database is away")


def test_log__holds_what_is_no_unicode():
    record = logging.LogRecord("predictkpi", logging.WARNING, "", 0, "cannot read %s", ("file-\udce9.csv",), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "cannot read file-\udce9.csv"


def test_metrics__count_requests_answers_and_what_is_served(served, get):
    get("/v1/deals/portfolio")
    served.client.get("/no/such/page")
    lines = served.client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['predictkpi_requests_total{method="GET",route="/v1/deals/portfolio",status="200"}']) >= 1
    assert float(values['predictkpi_requests_total{method="GET",route="(no route)",status="404"}']) >= 1
    assert float(values['predictkpi_request_seconds_count{route="/v1/deals/portfolio"}']) >= 1
    assert float(values["predictkpi_ready"]) == 1
    assert float(values["predictkpi_data_age_seconds"]) > 0
    version = served.serving.view.champions["clv"].ref.version
    assert any(name.startswith("predictkpi_champion{") and 'predictor="clv"' in name and f'version="{version}"' in name for name in values)


def test_traces__go_to_the_endpoint_and_continue_the_callers(tmp_path, monkeypatch):
    import http.server

    got, has_come = [], threading.Event()

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            has_come.set()

        def log_message(self, *_): ...

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with running(settings_in(tmp_path)) as service:
            parent = "0af7651916cd43dd8448eb211c80319c"
            service.client.get("/health/live", headers={"traceparent": f"00-{parent}-b7ad6b7169203331-01"})
            assert has_come.wait(20)
        server.shutdown()
    assert any(bytes.fromhex(parent) in body and b"/health/live" in body for body in got)
