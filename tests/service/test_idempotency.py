"""`Idempotency-Key`: the same key and body get the same answer, in every process; another body is refused, and so is one in flight."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import anyio
import anyio.to_thread
import pandas as pd
import pytest
from running_service import running
from starlette.requests import Request
from starlette.responses import JSONResponse

from predictkpi.core.access import ANYBODY_HERE, AccessRole, Caller, Permission, RowScope
from predictkpi.errors import ConflictError, StoreError
from predictkpi.service.access.permissions import ASKED
from predictkpi.service.app import LOG_WAIT_SECONDS
from predictkpi.service.idempotency import THREADS, IdempotencyMiddleware, key_of
from predictkpi.service.middleware import ROUTE
from predictkpi.service.problems import InvalidRequestError
from predictkpi.store import Store
from predictkpi.store.engine import writing

PATH = "/v1/deals/close-time"
LEASE, KEEP = pd.Timedelta(seconds=60), pd.Timedelta(hours=24)


@pytest.fixture
def deal(open_deals):
    first = open_deals.iloc[0]
    return {"deal_id": "CRM-1", "created_at": "2025-11-12", "stage": first["stage"], "amount": 1000.0}


def key():
    return uuid.uuid4().hex


def post(served, body, idempotency_key, path=PATH, **headers):
    return served.client.post(path, json=body, headers={"Idempotency-Key": idempotency_key, **headers})


def held(name, path=PATH, query=""):
    said = "\0".join((ANYBODY_HERE.id, "", "POST", path, query, name))
    return hashlib.sha256(said.encode()).hexdigest()


def test_same_key_and_body__get_the_same_answer_in_every_process(served, settings, deal):
    name = key()
    first = post(served, deal, name)
    assert first.status_code == 200
    assert "idempotency-replayed" not in first.headers
    again = post(served, deal, f'"{name}"')
    assert (again.content, again.status_code, again.headers["content-type"]) == (first.content, 200, first.headers["content-type"])
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    with running(settings) as other:
        other.wait_until_ready()
        there = post(other, deal, name)
    assert there.content == first.content
    assert there.headers["idempotency-replayed"] == "true"


def test_refused_request__is_refused_again_with_the_same_words(served):
    name = key()
    first, again = post(served, {"amount": 1.0}, name), post(served, {"amount": 1.0}, name)
    assert (first.status_code, again.status_code) == (422, 422)
    assert again.content == first.content
    assert again.headers["content-type"] == "application/problem+json"


def test_other_body__is_422_and_other_address_is_another_request(served, problem, deal):
    name = key()
    assert post(served, deal, name).status_code == 200
    found = problem(422, "POST", PATH, json=deal | {"amount": 2.0}, headers={"Idempotency-Key": name})
    assert found["type"] == "/problems/key-reused"
    elsewhere = post(served, {"deals": [deal]}, name, path=f"{PATH}/batch")
    assert elsewhere.status_code == 200
    assert "idempotency-replayed" not in elsewhere.headers
    assert "idempotency-replayed" not in post(served, deal, name, path=f"{PATH}?horizons=30").headers


def test_request_in_flight__is_409_until_it_is_answered_or_its_process_died(served, problem, deal):
    name, repeatables = key(), served.serving.store.repeatables
    body = json.dumps(deal).encode()
    headers = {"Idempotency-Key": name, "Content-Type": "application/json"}
    now = pd.Timestamp(datetime.now(UTC).replace(tzinfo=None))
    digest = hashlib.sha256(body).hexdigest()
    assert repeatables.begin(held(name), digest, now=now, lease=LEASE, keep=KEEP) is None
    found = problem(409, "POST", PATH, content=body, headers=headers)
    assert found["type"] == "/problems/in-flight"
    assert served.client.post(PATH, content=body, headers=headers).headers["retry-after"] == "1"
    repeatables.drop(held(name), begun_at=now)
    died = now - pd.Timedelta(hours=1)
    assert repeatables.begin(held(name), digest, now=died, lease=LEASE, keep=KEEP) is None
    answer = served.client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


def test_many_at_once__are_computed_once(served, deal):
    name, batch = key(), {"deals": [deal] * 20}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: post(served, batch, name, path=f"{PATH}/batch"), range(24)))
    answered = [answer for answer in found if answer.status_code == 200]
    assert {answer.status_code for answer in found} <= {200, 409}
    assert len({answer.content for answer in answered}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answered) == 1


@pytest.mark.parametrize("given", ["", '"open', "two words", '""', "x" * 256, "a;b", "a,b", '"a\\b"'])
def test_key_that_is_none__is_422_and_named(problem, deal, given):
    found = problem(422, "POST", PATH, json=deal, headers={"Idempotency-Key": given})
    assert [item["parameter"] for item in found["errors"]] == ["Idempotency-Key"]


def test_key__is_a_string_of_structured_fields_or_a_bare_word():
    assert key_of(['"a b\\"c\\\\"']) == 'a b"c\\'
    assert key_of(["8e03978e-40d5-43dd-bc93-6894a57f9324"]) == key_of(['"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
    with pytest.raises(InvalidRequestError):
        key_of(["a", "a"])


def test_answer_line_by_line__is_not_kept_and_refuses_the_key(problem, deal):
    headers = {"Idempotency-Key": key(), "Accept": "application/x-ndjson"}
    found = problem(422, "POST", f"{PATH}/batch", json={"deals": [deal]}, headers=headers)
    assert [item["parameter"] for item in found["errors"]] == ["Idempotency-Key"]


def test_compressed_or_not__the_kept_answer_is_the_same(served, deal):
    name, batch = key(), {"deals": [deal] * 5}
    plain = post(served, batch, name, path=f"{PATH}/batch", **{"Accept-Encoding": "identity"})
    packed = post(served, batch, name, path=f"{PATH}/batch", **{"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


class Away:
    """A store that fails at the named calls."""

    def __init__(self, repeatables, *failing):
        self._repeatables, self._failing = repeatables, failing

    def __getattr__(self, name):
        def fail(*_, **__):
            raise StoreError("the database is away")

        return fail if name in self._failing else getattr(self._repeatables, name)


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/own.db")
    store.migrate()
    yield store
    store.close()


def test_old_answers__are_forgotten_without_another_request(store):
    old = pd.Timestamp(datetime.now(UTC).replace(tzinfo=None)) - KEEP - pd.Timedelta(hours=1)
    assert store.repeatables.begin("old", "digest", now=old, lease=LEASE, keep=KEEP) is None
    forgotten = asyncio.Event()

    class Watched(Away):
        def forget(self, **given):
            store.repeatables.forget(**given)
            loop.call_soon_threadsafe(forgotten.set)

    async def lives(scope, receive, send):
        await asyncio.wait_for(forgotten.wait(), timeout=10)

    async def live():
        nonlocal loop
        loop = asyncio.get_running_loop()
        guarded = IdempotencyMiddleware(lives, repeatables=Watched(store.repeatables), seconds=30.0, forget_seconds=0.01)
        await guarded({"type": "lifespan"}, None, None)

    loop = None
    asyncio.run(live())
    assert store.repeatables.begin("old", "other", now=old, lease=LEASE, keep=KEEP) is None


@pytest.fixture
def ask(store):
    """Requests to an application of one route behind the middleware alone: ``ask(app, failing=..)`` -> status, headers, body."""

    states = []

    async def ask(app, *failing, name="k", caller=ANYBODY_HERE):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"idempotency-key", name.encode())]
        scope = {"type": "http", "method": "POST", "path": "/v1/x", "query_string": b"", "headers": headers}
        view = SimpleNamespace(fingerprint=SimpleNamespace(erasures=ask.erasures))
        scope["app"] = SimpleNamespace(state=SimpleNamespace(serving=SimpleNamespace(current=view)))
        scope["state"] = {"caller": caller, "request_id": "r" * 8}
        guarded = IdempotencyMiddleware(app, repeatables=Away(store.repeatables, *failing), seconds=30.0)
        await guarded(scope, receive, send)
        states.append(scope["state"])
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent)

    ask.states, ask.erasures = states, 0
    return ask


def counting(status=200):
    """An application that says how often it was asked."""
    times = 0

    async def app(scope, receive, send):
        nonlocal times
        times += 1
        assert await Request(scope, receive).body() == b"{}"
        scope["state"] |= {ASKED: Permission.PREDICT, ROUTE: "/v1/{x}"}
        await JSONResponse({"times": times}, status_code=status)(scope, receive, send)

    return app


@pytest.mark.parametrize("failing", ["begin", "finish"])
def test_store_that_is_away__keeps_nobody_from_an_answer_and_is_said(ask, failing):
    app = counting()
    status, headers, body = asyncio.run(ask(app, failing))
    assert (status, body) == (200, b'{"times":1}')
    assert headers[b"idempotency-kept"] == b"false"
    assert asyncio.run(ask(app))[2] == b'{"times":2}'


def test_answer_of_a_view_from_before_an_erasure__is_given_and_not_kept(ask, store):
    asked = dict.fromkeys(("day", "first_at", "last_at"), pd.Timestamp("2026-01-02")) | {"action": "GET /v1/kpis", "subject": ""}
    store.accesses.add([asked | {"actor": "Ann Lee", "status": 200, "times": 1}])
    store.erasures.erase("person", "Ann Lee", at=pd.Timestamp("2026-01-02"))
    app = counting()
    _, headers, body = asyncio.run(ask(app))
    assert (body, headers[b"idempotency-kept"]) == (b'{"times":1}', b"false")
    ask.erasures = store.erasures.count()
    assert asyncio.run(ask(app))[2] == b'{"times":2}'
    assert asyncio.run(ask(app))[2] == b'{"times":2}'


def test_kept_answer__is_for_those_who_may_still_ask_and_see_the_same_rows(ask):
    app, person = counting(), Caller("oidc:1", "Dana", AccessRole.MANAGER)
    assert asyncio.run(ask(app, caller=person))[2] == b'{"times":1}'
    assert asyncio.run(ask(app, caller=person))[1][b"idempotency-replayed"] == b"true"
    assert ask.states[-1][ROUTE] == "/v1/{x}", "it is logged and counted as what it is"
    assert asyncio.run(ask(app, caller=replace(person, role=AccessRole.VIEWER)))[0] == 403
    assert asyncio.run(ask(app, caller=replace(person, rows=RowScope("team", frozenset({"North"})))))[2] == b'{"times":2}'
    assert asyncio.run(ask(app, caller=replace(person, id="oidc:2")))[2] == b'{"times":3}'


def test_store_that_is_busy__keeps_no_other_request_from_a_thread(ask, store, monkeypatch):
    is_over, busy = threading.Event(), threading.Semaphore(0)

    def wait(*_, **__):
        busy.release()
        is_over.wait(10)
        raise ConflictError("a load")

    monkeypatch.setattr(store.repeatables, "begin", wait)

    async def together():
        limiter = anyio.CapacityLimiter(THREADS)
        monkeypatch.setattr(anyio, "CapacityLimiter", lambda _: limiter)  # one middleware, as in a service
        shared = anyio.to_thread.current_default_thread_limiter()
        shared.total_tokens = THREADS
        app = counting()
        asked = [asyncio.ensure_future(ask(app, name=str(number))) for number in range(3 * THREADS)]
        try:
            for _ in range(THREADS):
                await asyncio.to_thread(busy.acquire, timeout=10)
            await asyncio.wait_for(anyio.to_thread.run_sync(time.monotonic), timeout=5)
            assert not busy.acquire(blocking=False), "no more of them than that wait for the store"
        finally:
            is_over.set()
        return await asyncio.gather(*asked)

    assert {headers[b"idempotency-kept"] for _, headers, _ in asyncio.run(together())} == {b"false"}


def test_load_under_way__makes_a_request_with_a_key_wait_a_moment_alone(served, deal):
    with writing(served.serving.store._engine):
        begun = time.monotonic()
        answer = post(served, deal, key())
        seconds = time.monotonic() - begun
    assert (answer.status_code, answer.headers["idempotency-kept"]) == (200, "false")
    assert seconds < LOG_WAIT_SECONDS


def test_answer_of_500_and_failure__are_not_kept(ask):
    app = counting(503)
    assert asyncio.run(ask(app))[2] == b'{"times":1}'
    assert asyncio.run(ask(app))[2] == b'{"times":2}'

    async def fails(scope, receive, send):
        raise ValueError("a bug")

    for _ in range(2):
        with pytest.raises(ValueError, match="a bug"):
            asyncio.run(ask(fails, name="other"))
