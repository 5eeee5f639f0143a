"""Take the README's pictures from a running service: ``python docs/screenshots.py [http://127.0.0.1:8000]``.

Needs Chromium; PREDICTKPI_CHROMIUM names its executable where it is not /usr/bin/chromium.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]


def main() -> None:
    """Write images/dashboard.png: the upper part of the dashboard at a desktop's width."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("PREDICTKPI_CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400}, color_scheme="light")
        page.goto(address)
        page.wait_for_selector("svg.marks")
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / "dashboard.png")
        browser.close()


if __name__ == "__main__":
    main()
