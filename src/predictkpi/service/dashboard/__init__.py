"""The dashboard: server-rendered pages, their charts and their assets. No build step, no address outside this service at run time.

A page is a folder: its router and its context (what is shown, as dataclasses of finished texts). `templates` writes contexts out, `site` is
what all pages share, `languages` and `formats` say it in the reader's language.
"""

from __future__ import annotations

<<<<<<< HEAD
from predictkpi.service.dashboard import customer, customers, deal, forecast, models, overview, pipeline, reference, sign_in, trust
=======
from predictkpi.service.dashboard import forecast, overview, reference, sign_in
from predictkpi.service.view import View
>>>>>>> 5b5d28f (The plain forecast page is warmed with a new view; numbers are written ten times as fast)

__all__ = ["ROUTERS", "warm"]

ROUTERS = (overview.router, forecast.router, pipeline.router, deal.router, customers.router, customer.router, trust.router, models.router, sign_in.router, reference.router)
"""What the app mounts; each route says itself whom it answers."""


<<<<<<< HEAD
def warm(view: View, serving: Serving) -> None:
    """Work out what the readers of a new view share before anybody asks for it."""
    overview.warm(view)
    pipeline.warm(view, serving)
=======
def warm(view: View) -> None:
    """Build what is asked for first of a new view, before anybody asks."""
    overview.warm(view)
    forecast.warm(view)
>>>>>>> 5b5d28f (The plain forecast page is warmed with a new view; numbers are written ten times as fast)
