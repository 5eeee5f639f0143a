"""The dashboard: server-rendered pages, their charts and their assets. No build step, no address outside this service at run time.

A page is a folder: its router and its context (what is shown, as dataclasses of finished texts). `templates` writes contexts out, `site` is
what all pages share, `languages` and `formats` say it in the reader's language.
"""

from __future__ import annotations

from predictkpi.service.dashboard import customer, customers, deal, forecast, models, overview, pipeline, reference, sign_in, trust

__all__ = ["ROUTERS"]

ROUTERS = (overview.router, forecast.router, pipeline.router, deal.router, customers.router, customer.router, trust.router, models.router, sign_in.router, reference.router)
"""What the app mounts; each route says itself whom it answers."""


def warm(view: View, serving: Serving) -> None:
    """Work out what the readers of a new view share before anybody asks for it."""
    overview.warm(view)
    pipeline.warm(view, serving)
