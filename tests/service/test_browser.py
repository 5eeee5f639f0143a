"""The dashboard in a real browser: headless Chromium, wide and narrow, light and dark."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_dashboard__draws_its_charts_and_does_not_complain(visit, width, scheme):
    seen = visit(width=width, scheme=scheme)
    seen.wait_for_charts()
    page = seen.page
    assert seen.complaints == []
    assert {urlsplit(url).hostname for url in seen.requests} == {"127.0.0.1"}
    assert page.locator("figure[data-chart=forecast] svg .mark-line path").count() >= 2
    assert page.locator("figure[data-chart=forecast] svg .mark-area path").count() >= 2
    assert page.locator("figure[data-chart=forecast]").get_attribute("data-drawn") == scheme
    page.wait_for_selector("figure[data-chart=moved][data-drawn] svg .mark-text text")
    assert page.locator("figure[data-chart=moved] svg .mark-rect path").count() >= 2
    assert page.locator("figure[data-chart=moved] svg").first.bounding_box()["width"] <= width
    assert page.locator(".goal .stack i").count() == 6
    assert page.locator("svg.spark .spark-line").count() == 4
    assert page.locator("#deals tbody tr a").count() == 5
    assert page.locator("#customers tbody tr a").count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("figure[data-chart=forecast] svg").first.bounding_box()["width"] <= width


def test_dashboard__shows_a_month_s_numbers_under_the_pointer(visit):
    seen = visit(width=1440)
    seen.wait_for_charts()
    chart = seen.page.locator("figure[data-chart=forecast] svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    for share, names in ((0.3, ["Revenue", "Target"]), (0.85, ["Expected", "80 % range", "95 % range", "Target"])):
        seen.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.4)
        tooltip = seen.page.locator("#vg-tooltip-element.visible", has_text=names[0])
        tooltip.wait_for(timeout=5000)
        told = tooltip.inner_text()
        assert all(name in told for name in ["Month", *names])
        assert "undefined" not in told
    assert seen.complaints == []


def test_dashboard__can_be_read_by_a_screen_reader(visit):
    page = visit(width=1440).page
    assert page.locator("h1").count() == 1
    assert page.locator("main, header.bar, footer").count() == 3
    assert page.locator("table:not(:has(caption))").count() == 0
    unnamed = "[...document.querySelectorAll('svg[role=img], figure, [role=region], [role=img], section, article')]"
    unnamed += ".filter(e => !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.closest('.vega-embed')).length"
    assert page.evaluate(unnamed) == 0
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("th:not([scope])").count() == 0


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("path", ["/docs", "/problems/no-champion"])
def test_other_pages__do_not_complain_or_scroll_sideways(visit, path, width):
    seen = visit(path, width=width)
    seen.page.wait_for_load_state("networkidle")
    assert seen.answer.status == 200
    assert seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
