"""Take the pictures of the pages from a running service: ``python docs/screenshots.py [http://127.0.0.1:8000]``.

Needs Chromium; PREDICTKPI_CHROMIUM names its executable where it is not /usr/bin/chromium. A service with API keys is asked with the one in
PREDICTKPI_API_KEY.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
DRAWN = "[...document.querySelectorAll('figure[data-chart]')].every(figure => figure.dataset.drawn)"
DESK, PHONE = (1280, 1000), (390, 1300)
PICTURES = (
    ("dashboard", "/", DESK, "light", "en-GB"),
    ("forecast", "/forecast", DESK, "light", "en-GB"),
    ("pipeline", "/pipeline", DESK, "light", "en-GB"),
    ("deal", ("/pipeline", "/deals/"), DESK, "light", "en-GB"),
    ("customers", "/customers", DESK, "light", "en-GB"),
    ("kpi", "/kpis/revenue", DESK, "dark", "en-GB"),
    ("trust", "/trust", DESK, "light", "en-GB"),
    ("models", "/models", DESK, "light", "en-GB"),
    ("phone", "/", PHONE, "dark", "de-DE"),
)


def take(browser: Browser, address: str, name: str, path: str | tuple[str, str], size: tuple[int, int], scheme: str, locale: str) -> None:
    """One picture of the upper part of a page; of a pair, the page of the first such link in a list."""
    key = os.environ.get("PREDICTKPI_API_KEY")
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=locale,
        extra_http_headers={"Authorization": f"Bearer {key}"} if key else {},
    )
    page = context.new_page()
    page.goto(address + (path if isinstance(path, str) else path[0]))
    page.wait_for_selector("[data-again=page]", state="detached", timeout=300_000)
    if not isinstance(path, str):
        page.locator(f"main a[href^='{path[1]}']").first.click()
    page.wait_for_selector("[data-again=page]", state="detached", timeout=300_000)
    page.wait_for_function(DRAWN)
    page.screenshot(path=IMAGES / f"{name}.png")
    context.close()


def main() -> None:
    """Write every picture to docs/images."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("PREDICTKPI_CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        for name, path, size, scheme, locale in PICTURES:
            take(browser, address, name, path, size, scheme, locale)
        browser.close()


if __name__ == "__main__":
    main()
