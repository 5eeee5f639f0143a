"""The pages are quick on a company of ten times the sample's size: the server's time for each, and until a phone's browser shows something.

    python benchmarks/dashboard.py [--quick] [--folder FOLDER]

A sample company of 8,000 customers (800 with ``--quick``) is made, loaded and trained below ``--folder`` and kept there for another run; by
default the folder is a temporary one. Each page is asked for once after the start and, once it is worked out, nine times more over
loopback; the times are the client's, so they hold a little more than the server's part. First contentful paint is Chromium's own figure,
390 pixels wide, nothing kept from an earlier visit. The same application's /health/live stands beside them: what any answer costs on this
machine now.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from figures import Figure, Goal, raw_file, report
from load import company, servers
from predictkpi.pipelines.open_store import open_registry, open_store
from predictkpi.pipelines.outlook import learn_trust
from predictkpi.pipelines.score import score
from predictkpi.pipelines.train import train
from predictkpi.predictors import predictor_names
from predictkpi.synthetic import make_company

CHROMIUM = Path(os.environ.get("PREDICTKPI_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {False: 8000, True: 800}
TIMES = 9
LIVE = "/health/live"
WORKING, PAUSE_SECONDS = 'data-again="page"', 0.5
"""What a page says whose parts are still being worked out, and how long until it is asked again."""
PAGES = (
    "/",
    "/forecast",
    "/forecast?by=segment",
    "/forecast?win_rate=0.03",
    "/pipeline",
    "/pipeline?sort=slip",
    "/customers",
    "/customers?sort=silent",
    "/kpis",
    "/kpis/revenue",
    "/trust",
    "/models",
    "/models/clv",
)
PAINT_SECONDS = 30
NEW_SCENARIO = "a new scenario"
SCENARIOS = tuple(f"/forecast?win_rate={rate}" for rate in (0.05, -0.05, 0.1, -0.1, 0.15, -0.15, 0.2, -0.2))
"""Asked for once each, as by somebody who moves a slider."""
console = Console()


def make(folder: Path, customers: int) -> None:
    """The demo's company at this size, trained; nothing where it is there already."""
    if (folder / "trained").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    settings = company.settings_in(folder)
    settings.models_dir.mkdir(exist_ok=True)
    for file in (company.ROOT / "models").glob("*.yaml"):
        (settings.models_dir / file.name).write_bytes(file.read_bytes())
    sample = make_company(customers=customers, deals=5 * customers, orders=round(11.25 * customers))
    store, registry = open_store(settings), open_registry(settings)
    store.load(sample.tables, company=sample.company, now=sample.end)
    names = predictor_names()
    train(store, registry, predictors=names, as_of=None, models_dir=settings.models_dir, now=company.NOW)
    learn_trust(store, registry, as_of=None, models_dir=settings.models_dir, now=company.NOW)
    score(store, registry, predictors=names, as_of=None, now=company.NOW)
    (folder / "trained").touch()


@contextmanager
def served(folder: Path) -> Iterator[servers.Server]:
    """`predictkpi serve` over that folder."""
    port = servers.free_port()
    command = [str(Path(sys.executable).with_name("predictkpi")), "serve", "--port", str(port)]
    key = company.key_of(folder)
    env = company.environment(folder)
    with servers.running(command, port=port, ready="/health/ready", env=env, cwd=folder, log=folder / "serve.log", key=key) as server:
        yield server


def single_pages(client: httpx.Client) -> list[str]:
    """One deal's and one customer's page."""
    deal = client.get("/v1/deals", params={"limit": 1}).json()["items"][0]["deal_id"]
    customer = client.get("/v1/customers", params={"limit": 1}).json()["items"][0]["customer_id"]
    return [f"/deals/{deal}", f"/customers/{customer}"]


def asked(client: httpx.Client, path: str) -> dict[str, float]:
    """Seconds of the first answer, median and most of those once the page is worked out, and kilobytes on the way."""

    def seconds() -> tuple[float, int]:
        before = time.perf_counter()
        with client.stream("GET", path) as answer:
            size = sum(len(part) for part in answer.iter_raw())
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: HTTP {answer.status_code}")
        return time.perf_counter() - before, size

    first, _ = seconds()
    while WORKING in client.get(path).text:
        time.sleep(PAUSE_SECONDS)
    size = seconds()[1]
    others = [seconds()[0] for _ in range(TIMES)]
    return {"first": first, "median": statistics.median(others), "most": max(others), "kilobytes": size / 1000}


def of_scenarios(client: httpx.Client) -> dict[str, object]:
    """The same of scenarios that nobody has asked for yet, on a page that is worked out."""
    times = [asked(client, path)["first"] for path in SCENARIOS]
    return {"page": NEW_SCENARIO, "first": times[0], "median": statistics.median(times), "most": max(times), "kilobytes": 0}


def painted(url: str, key: str, paths: list[str]) -> dict[str, float]:
    """Seconds until a phone's browser shows the first text or picture of each page."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        for path in paths:
            context = browser.new_context(viewport={"width": 390, "height": 844}, extra_http_headers={"Authorization": f"Bearer {key}"})
            page = context.new_page()
            page.goto(url + path)
            paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            deadline = time.monotonic() + PAINT_SECONDS
            while (milliseconds := page.evaluate(paint)) is None:  # asked from outside: the pages' own policy forbids to wait inside
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{path}: nothing is painted within {PAINT_SECONDS} s")
                page.wait_for_timeout(20)
            found[path] = float(milliseconds) / 1000
            context.close()
        browser.close()
    return found


def measured(folder: Path) -> list[dict[str, object]]:
    """A row a page."""
    with served(folder) as server, httpx.Client(base_url=server.url, headers=_headers(server.key), timeout=60) as client:
        paths = [*PAGES, *single_pages(client)]
        rows: list[dict[str, object]] = [{"page": path, **asked(client, path)} for path in [LIVE, *paths]]
        rows.append(of_scenarios(client))
        if CHROMIUM.exists():
            seen = painted(server.url, server.key, paths)
            rows = [row | {"painted": seen.get(str(row["page"]))} for row in rows]
        else:
            console.print(f"no Chromium at {CHROMIUM}: first contentful paint is left out")
    return rows


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": "text/html", "Accept-Encoding": "gzip"}


def show(rows: list[dict[str, object]], customers: int) -> None:
    """Print the table."""
    table = Table("page", "first, ms", "median, ms", "most, ms", "kB", "first paint, s", title=f"{customers:,} customers")
    for row in rows:
        paint = row.get("painted")
        times = [f"{float(str(row[name])) * 1000:.0f}" for name in ("first", "median", "most")]
        table.add_row(str(row["page"]), *times, f"{row['kilobytes']:.0f}", "" if paint is None else f"{paint:.2f}")
    console.print(table)


def headline(rows: list[dict[str, object]], customers: int) -> Iterator[Figure]:
    """The median of every page; the slowest first answer and first paint of all."""
    by_page = {str(row["page"]): row for row in rows}
    at = {"area": "Pages", "better": "lower", "unit": "ms", "digits": 0}
    live = 1000 * float(str(by_page.pop(LIVE)["median"]))
    yield Figure(name="dashboard.live", what=f"{LIVE} of the same server, median: what any answer costs", ours=live, **at)
    size = f"{customers:,} customers"
    slowest = float(str(by_page.pop(NEW_SCENARIO)["most"]))
    what = f"slowest answer to a scenario that nobody had asked for, of {len(SCENARIOS)}, {size}"
    yield Figure(name="dashboard.new_scenario", what=what, ours=slowest, goal=Goal(most=1.0), **at | {"unit": "s", "digits": 2})
    for page, row in by_page.items():
        kind = re.sub(r"/(deals|customers)/.+", r"/\1/one", page)
        name = re.sub(r"\W+", "_", kind).strip("_") or "overview"
        median = 1000 * float(str(row["median"]))
        what = f"median answer of a page after its first, {kind}, {size}"
        yield Figure(name=f"dashboard.{name}", what=what, ours=median, goal=Goal(most=150), **at)
    first = max(by_page.values(), key=lambda row: float(str(row["first"])))
    yield Figure(
        name="dashboard.slowest_first_answer",
        what=f"slowest first answer of a page right after the start ({first['page']}), {size}",
        ours=float(str(first["first"])),
        **at | {"unit": "s", "digits": 1},
    )
    painted_at = [float(str(row["painted"])) for row in by_page.values() if row.get("painted") is not None]
    if painted_at:
        yield Figure(
            name="dashboard.slowest_first_paint",
            what=f"slowest first contentful paint of a page, 390 pixels wide, {size}",
            ours=max(painted_at),
            goal=Goal(most=1.0),
            **at | {"unit": "s", "digits": 2},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the sample company's own size")
    parser.add_argument("--folder", type=Path, help="where the trained company is kept; a temporary folder by default")
    options = parser.parse_args()
    customers = SIZES[options.quick]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        with console.status("training"):
            make(folder, customers)
        with console.status("asking"):
            rows = measured(folder)
        show(rows, customers)
    raw_file(__file__, quick=options.quick).write_text(json.dumps({"customers": customers, "pages": rows}, indent=1), encoding="utf-8")
    report(__file__, headline(rows, customers), quick=options.quick)


if __name__ == "__main__":
    main()
