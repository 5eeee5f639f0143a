"""What all pages have in common, in a real browser: wide and narrow, light and dark, in every language."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from predictkpi.service.dashboard.languages import LANGUAGES
from predictkpi.service.dashboard.site import PLACES

pytestmark = pytest.mark.browser

PATHS = [place.path for place in PLACES]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("width", "scheme", "code"), [(1440, "light", "en"), (390, "dark", "de"), (1440, "dark", "de"), (390, "light", "en")]
)
def test_page__draws_its_charts_and_does_not_complain(visit, path, width, scheme, code):
    seen = visit(path, width=width, scheme=scheme, language={"en": "en-GB", "de": "de-DE"}[code])
    assert seen.answer.status == 200
    seen.wait_for_charts()
    assert seen.complaints == []
    assert {urlsplit(url).hostname for url in seen.requests} == {"127.0.0.1"}
    assert not seen.scrolls_sideways()
    assert seen.page.get_attribute("html", "lang") == code
    assert seen.page.locator("h1").count() == 1
    assert seen.page.locator("nav.places a[aria-current=page]").get_attribute("href") == path
    assert seen.hindrances() == []


@pytest.mark.parametrize("path", PATHS)
def test_page__can_be_read_by_a_screen_reader(visit, path):
    page = visit(path).page
    assert page.locator("main, header.bar, footer").count() == 3
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    unnamed = "[...document.querySelectorAll('svg[role=img], figure, [role=region], [role=img], section, article')]"
    unnamed += ".filter(e => !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.closest('.vega-embed')).length"
    assert page.evaluate(unnamed) == 0


def test_languages__are_switched_on_the_page_and_keep_its_address(visit):
    assert list(LANGUAGES) == ["en", "de"]
    page = visit("/kpis?freq=Q").page
    page.locator("nav.languages a[hreflang=de]").click()
    assert page.get_attribute("html", "lang") == "de"
    assert page.url.endswith("/kpis?freq=Q&lang=de")


def test_first_tab__skips_to_the_content(visit):
    page = visit("/").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", [PATHS[0], PATHS[-1]])
def test_place_one_is_at__is_in_sight_on_a_phone(visit, path):
    page = visit(path, width=390).page
    box = page.locator("nav.places a[aria-current=page]").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
