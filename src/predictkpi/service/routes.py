"""The API routes of an application, whichever way FastAPI holds the routers that it includes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from fastapi import FastAPI, routing
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    """Each route as it is served: with the prefix and the dependencies of the routers it came by.

    Newer versions of FastAPI keep included routers whole, and give a stand-in with the attributes of a route for each of their routes.
    """
    contexts = getattr(routing, "iter_route_contexts", None)
    for route in app.routes if contexts is None else contexts(app.routes):
        if isinstance(getattr(route, "dependant", None), Dependant):
            yield cast(APIRoute, route)
