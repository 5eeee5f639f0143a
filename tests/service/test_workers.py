"""Several processes answer: each takes over what is promoted, one that dies is replaced, and the last answer is given before the end."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from running_service import copy_of, running
from worker_fleet import environment, fleet

from postgres.server import running_server
from predictkpi.pipelines.open_store import open_registry, open_store

NEW_CHAMPIONS = 20
DEAL = b'{"stage": "Qualified", "amount": 1200.0}'


@pytest.fixture(scope="module")
def own(settings, tmp_path_factory):
    """The trained company with a store and a registry of its own."""
    folder = tmp_path_factory.mktemp("workers")
    own = copy_of(settings, folder)
    tracking = folder / "tracking.db"
    shutil.copy(settings.tracking_uri.removeprefix("sqlite:///"), tracking)
    return own.model_copy(update={"tracking_uri": f"sqlite:///{tracking}"})


@pytest.fixture(scope="module")
def two(own, tmp_path_factory):
    with fleet(own, tmp_path_factory.mktemp("fleet"), "--workers", "2") as workers:
        workers.wait_until_ready(2)
        yield workers


@pytest.fixture(scope="module")
def stored(two) -> str:
    """The address of a stored deal's answer."""
    with httpx.Client(base_url=two.url) as client:
        deal = client.get("/v1/deals", params={"limit": 1}).json()["items"][0]["deal_id"]
    return f"/v1/deals/{deal}/close-time"


@pytest.fixture
def versions(own, snapshot):
    """``versions(3)``: the champion of close times three times more, as new versions that nobody promoted."""
    registry = open_registry(own)
    model, champion = registry.champion("close_time")
    inputs = model.inputs(snapshot)

    def register(count: int) -> list[str]:
        given = {"run_id": champion.run_id, "inputs": inputs, "as_of": snapshot.as_of.isoformat()}
        return [registry.register(model, **given).version for _ in range(count)]

    return register


def version_of(answer: httpx.Response) -> str | None:
    return answer.json()["model"]["version"] if answer.status_code == 200 else None


@pytest.mark.long
def test_metrics__of_any_worker_count_for_all(two, stored):
    def counted(worker) -> float:
        text = two.ask(worker, "/metrics").text
        found = re.search(
            r'^predictkpi_requests_total\{.*route="/v1/deals/\{deal_id\}/close-time",status="200"\} (\S+)', text, re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    first, second = two.workers
    before = counted(first)
    for worker, times in ((first, 2), (second, 3)):
        for _ in range(times):
            assert two.ask(worker, stored).status_code == 200
    two.wait(lambda: counted(first) == counted(second) == before + 5)  # each counts when its answer is on its way
    assert counted(first) == before + 5


def test_champion__is_swapped_in_every_worker(two, own, stored, versions):
    (new,) = versions(1)
    assert {version_of(two.ask(worker, stored)) for worker in two.workers} != {new}
    open_registry(own).promote("close_time", new)
    two.wait(lambda: {version_of(two.ask(worker, stored)) for worker in two.workers} == {new})


def begun(url: str, body: bytes) -> socket.socket:
    """A request about a deal whose body has not come to its end."""
    at = httpx.URL(url)
    connection = socket.create_connection((at.host, at.port), timeout=30)
    lines = ("POST /v1/deals/close-time HTTP/1.1", f"Host: {at.host}", "Content-Type: application/json", f"Content-Length: {len(DEAL)}")
    connection.sendall("\r\n".join((*lines, "", "")).encode() + body)
    return connection


def in_flight(text: str) -> float:
    return float(re.search(r"^predictkpi_requests_in_flight (\S+)$", text, re.MULTILINE)[1])


@pytest.mark.long
def test_worker__that_is_killed_is_replaced_while_the_other_answers(two, stored):
    dead, left = two.workers
    version = version_of(two.ask(dead, stored))
    with two.only(dead), begun(two.url, DEAL[:10]):
        two.wait(lambda: in_flight(httpx.get(f"{two.url}/metrics").text) == 2)
        os.kill(dead, signal.SIGKILL)
    seen = []

    def is_replaced() -> bool:
        seen.append(version_of(httpx.get(two.url + stored, timeout=30)))  # a new connection, which any may take
        return len(two.workers - {dead}) == 2 and all(map(two.is_ready, two.workers))

    two.wait(is_replaced)
    assert set(seen) == {version}, "the new one lets the other answer until it can"
    with httpx.Client(base_url=two.url, timeout=30) as client:
        (new,) = two.workers - {left}
        assert version_of(two.ask(new, stored)) == version
        assert in_flight(client.get("/metrics").text) == 1, "what a dead worker had in hand is not counted on"


def test_stop__waits_for_the_answer_under_way(two):
    with begun(two.url, DEAL[:10]) as slow:
        two.wait(lambda: in_flight(httpx.get(f"{two.url}/metrics").text) == 2)
        two.process.send_signal(signal.SIGTERM)
        two.wait(lambda: len(two.workers) == 1)  # the other, which has nothing to answer, is gone
        slow.sendall(DEAL[10:])
        assert slow.makefile("rb").readline().split()[1] == b"200"
    assert two.process.wait(30) == 0


def test_service__that_others_could_reach_does_not_start_without_keys(own, tmp_path):
    command = [Path(sys.executable).with_name("predictkpi"), "serve", "--workers", "2", "--host", "0.0.0.0", "--port", "9"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(own), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "predictkpi keys create" in line


@pytest.mark.long
def test_start__while_the_database_is_away_waits_for_it(own, company, postgres_programs, tmp_path):
    with running_server(postgres_programs) as database:
        on_postgres = own.model_copy(update={"database_url": database.new_database()})
        store = open_store(on_postgres)
        store.load(company.tables, company=company.company, now=company.end)
        store.close()
        database.stop()
        with fleet(on_postgres, tmp_path) as service, httpx.Client(base_url=service.url, timeout=30) as client:
            service.wait(lambda: is_live(client))
            refused = client.get("/v1/kpis")
            assert refused.status_code == 503
            assert refused.json()["type"] == "/problems/not-ready"
            assert refused.headers["retry-after"]
            database.start()
            service.wait(lambda: client.get("/health/ready").status_code == 200)
            assert client.get("/v1/kpis").status_code == 200


def is_live(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.long
def test_champion__is_promoted_twenty_times_under_load_without_a_failed_request(own, versions):
    registry = open_registry(own)
    new = [versions(1)[0], registry.champion_version("close_time")] * (NEW_CHAMPIONS // 2)
    with running(own) as service:
        service.wait_until_ready()
        deal = service.client.get("/v1/deals", params={"limit": 1}).json()["items"][0]["deal_id"]
        stop, answered = threading.Event(), {"GET": [], "POST": []}

        def ask(method: str, path: str, **given) -> None:
            with httpx.Client(base_url=service.url, timeout=30) as client:
                while not stop.is_set():
                    answered[method].append(version_of(client.request(method, path, **given)))
                    stop.wait(0.005)  # the service shares its process with these threads

        payload = {"content": DEAL, "headers": {"Content-Type": "application/json"}}
        asked = {"GET": (f"/v1/deals/{deal}/close-time", {}), "POST": ("/v1/deals/close-time", payload)}
        threads = [threading.Thread(target=ask, args=(method, path), kwargs=given) for method, (path, given) in asked.items()]
        for thread in threads:
            thread.start()
        try:
            for version in new:
                registry.promote("close_time", version)
                service.until(lambda version=version: all(seen[-1:] == [version] for seen in answered.values()))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    for seen in answered.values():
        assert None not in seen, "a request failed"
        assert [version for version, _ in itertools.groupby(seen)] == [new[-1], *new], "each in its turn, never back to the one before"
