"""What each route asks of a caller. A route without such a dependency keeps the application from starting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from predictkpi.core.access import Caller, Permission, roles_with
from predictkpi.service.problems import ForbiddenError, UnauthenticatedError

PUBLIC_PATHS = frozenset({"/health/live", "/health/ready", "/problems/{slug}", "/static/{name}", "/sign-in", "/sign-out"})
"""Routes that answer anybody: they hold nothing of the company."""


def caller_of(request: Request) -> Caller:
    """Who asks, as the middleware has found out; raises `UnauthenticatedError` on a public address where nobody has said so."""
    caller: Caller | None = request.scope["state"]["caller"]
    if caller is None:
        raise UnauthenticatedError("this is only for those who say who they are")
    return caller


CurrentCaller = Annotated[Caller, Depends(caller_of)]


class Asks:
    """A dependency that lets callers with a permission pass; ``permission`` None lets everybody pass who has said who they are."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> None:
        """Raise `ForbiddenError` for a caller who may not."""
        demand(caller_of(request), self.permission)


def demand(caller: Caller, permission: Permission | None) -> None:
    """Raise `ForbiddenError` unless the caller has the permission; None asks nothing."""
    if permission is None or caller.may(permission):
        return
    roles = ", ".join(role.value for role in roles_with(permission))
    if caller.rows is not None and caller.role in roles_with(permission):
        raise ForbiddenError(f"{caller.name} sees only the deals and customers of {caller.rows}, and this is about the whole company")
    raise ForbiddenError(f"{caller.name} has the role {caller.role.value}; this needs {roles}")


def allow(permission: Permission | None) -> Any:
    """For ``dependencies=[allow(Permission.NUMBERS)]`` of a route or router."""
    return Depends(Asks(permission))


def asked_by(route: APIRoute) -> list[Asks]:
    """What a route asks of its callers."""
    return [call for call in _calls(route.dependant) if isinstance(call, Asks)]


def check_routes(app: FastAPI) -> None:
    """Raise `RuntimeError` for a route that anybody could call because nobody has said who may."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path not in PUBLIC_PATHS and not asked_by(route):
            raise RuntimeError(f"{route.path} does not say who may use it: give it dependencies=[allow(...)]")


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)
