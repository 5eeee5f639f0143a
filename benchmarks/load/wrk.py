"""A closed loop of requests: `wrk` (Debian: apt-get install wrk), or the same in Python where it is absent."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from load.servers import Server

_LUA = """
local requests, at = {{}}, 0
local get = {{["Authorization"] = "{sign}"}}
local post = {{["Authorization"] = "{sign}", ["Content-Type"] = "application/json"}}
for line in io.lines("{file}") do
  local path, body = line:match("^(%S+)\\t?(.*)$")
  if body ~= "" then requests[#requests + 1] = wrk.format("POST", path, post, body)
  else requests[#requests + 1] = wrk.format("GET", path, get) end
end
function request() at = at % #requests + 1; return requests[at] end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What came of it; ``cpu_us``: the server's CPU time a request, in microseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float


def name() -> str:
    """What generates the load."""
    return "wrk" if shutil.which("wrk") else "threads of Python (wrk is absent: the load generator takes more CPU than wrk would)"


def ask(server: Server, asked: Sequence[tuple[str, str]], *, connections: int, seconds: float, folder: Path) -> Load:
    """Requests (path, body; without a body a GET) in turn, over so many connections, for so long; a second of warm-up before."""
    file = folder / "requests.tsv"
    file.write_text("".join(f"{path}\t{body}\n" for path, body in asked), encoding="utf-8")
    generate = _with_wrk if shutil.which("wrk") else _with_threads
    sign = f"Bearer {server.key}"
    generate(server.url, file, connections, 1.0, sign)
    before = server.cpu_seconds()
    requests, took, p50, p99, errors = generate(server.url, file, connections, seconds, sign)
    return Load(requests / took, p50 / 1e3, p99 / 1e3, errors, (server.cpu_seconds() - before) / max(requests, 1) * 1e6)


def _with_wrk(url: str, file: Path, connections: int, seconds: float, sign: str) -> tuple[int, float, float, float, int]:
    script = file.with_suffix(".lua")
    script.write_text(_LUA.format(file=file, sign=sign), encoding="utf-8")
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(round(seconds), 1)}s", "-s", str(script), "--timeout", "30s", url]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", printed)
    if found is None:
        raise RuntimeError(f"wrk said nothing to read: {printed}")
    requests, duration, p50, p99, errors = map(int, found.groups())
    return requests, duration / 1e6, p50, p99, errors


def _with_threads(url: str, file: Path, connections: int, seconds: float, sign: str) -> tuple[int, float, float, float, int]:
    asked = [line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()]
    until, took, errors = time.perf_counter() + seconds, [], []

    def loop(start: int) -> None:
        connection, at = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30), start
        while time.perf_counter() < until:
            path, body = asked[at % len(asked)]
            begun = time.perf_counter()
            connection.request("POST" if body else "GET", path, body or None, {"Content-Type": "application/json", "Authorization": sign})
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - begun)
            errors.extend([1] if answer.status >= 400 else [])
            at += 1

    threads = [threading.Thread(target=loop, args=(number * 37,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ranked = sorted(took)
    p50, p99 = (ranked[int(len(ranked) * share)] * 1e6 for share in (0.5, 0.99))
    return len(took), seconds, p50, p99, len(errors)


def posts(path: str, bodies: Sequence[str]) -> list[tuple[str, str]]:
    """A POST of each body."""
    return [(path, body) for body in bodies]


def as_split(frame_json: str) -> str:
    """A row in MLflow's ``dataframe_split`` form."""
    return json.dumps({"dataframe_split": json.loads(frame_json)})
