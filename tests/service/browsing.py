"""A page in headless Chromium, with everything it asked for and complained about."""

from __future__ import annotations

import os
import time
from pathlib import Path

CHROMIUM = Path(os.environ.get("PREDICTKPI_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SERIOUS = ("serious", "critical")


class Visit:
    """One page. ``language`` is what the browser prefers."""

    def __init__(self, browser, url, *, width=1440, scheme="light", language="en-GB", headers=None):
        self.requests, self.complaints = [], []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language, extra_http_headers=headers or {}
        )
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.answer = self.page.goto(url)
        self.wait_until_painted()

    def wait_until_painted(self):
        """Until there is something to see: before it Chromium drops what is typed and clicked."""
        self.wait_until("performance.getEntriesByName('first-contentful-paint').length > 0")

    def wait_until(self, expression, seconds=30.0):
        """Until that is true in the page. Asked from here: the pages' policy forbids what Playwright would ask again and again in them."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"not true within {seconds:.0f} seconds: {expression}"
            self.page.wait_for_timeout(50)

    def wait_for_charts(self):
        """Until every chart of the page is drawn."""
        self.wait_until("[...document.querySelectorAll('figure[data-chart]')].every(f => f.dataset.drawn)")

    def hindrances(self):
        """What axe-core finds serious or critical, as ``rule: element``."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found if rule["impact"] in SERIOUS for node in rule["nodes"]]

    def scrolls_sideways(self):
        """Whether the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")

    def close(self):
        """Close the page."""
        self.context.close()
