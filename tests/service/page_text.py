"""A page written out for a view of the test's own, without a server."""

from __future__ import annotations

from types import SimpleNamespace

from predictkpi.core.access import ANYBODY_HERE
from predictkpi.service.dashboard.assets import Assets
from predictkpi.service.dashboard.languages import speaking
from predictkpi.service.dashboard.overview import overview
from predictkpi.service.dashboard.render import render
from predictkpi.service.dashboard.site import frame_of

ASSETS = Assets()
"""Made once: the chart library among them takes seconds."""


def page_text(template, context, view, *, language="en", caller=ANYBODY_HERE, path="/"):
    """The HTML of a page whose context is known."""
    app = SimpleNamespace(state=SimpleNamespace(serving=SimpleNamespace(trouble=None)))
    scope = {"app": app, "state": {"caller": caller}, "path": path, "headers": [], "query_string": b"", "method": "GET", "scheme": "http"}
    with speaking(language):
        return render(template, ASSETS, frame=frame_of(scope, view), title="Page", page=context)


def overview_text(view):
    """The overview in English."""
    with speaking("en"):
        return page_text("overview.html", overview(view), view)
