"""What each route asks of a caller. The answer of one that asks nothing never leaves: see `AccessMiddleware`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from starlette.types import Scope

from predictkpi.core.access import Caller, Permission, roles_with
from predictkpi.service.problems import ForbiddenError, UnauthenticatedError

ASKED = "permission"
"""Where the request's state holds what its route has asked for."""


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
        caller_of(request)
        demand(request.scope, self.permission)


def demand(scope: Scope, permission: Permission | None) -> None:
    """Raise `ForbiddenError` unless the caller of this request has the permission; None lets whoever has said who they are pass."""
    scope["state"][ASKED] = permission
    caller: Caller = scope["state"]["caller"]
    if permission is None or caller.may(permission):
        return
    roles = ", ".join(role.value for role in roles_with(permission))
    if caller.rows is not None and caller.role in roles_with(permission):
        raise ForbiddenError(f"{caller.name} sees only the deals and customers of {caller.rows}, and this is about the whole company")
    raise ForbiddenError(f"{caller.name} has the role {caller.role.value}; this needs {roles}")


def allow(permission: Permission | None) -> Any:
    """For ``dependencies=[allow(Permission.NUMBERS)]`` of a route or router."""
    return Depends(Asks(permission))


def asked_by(dependant: Dependant) -> Iterator[Asks]:
    """What a route with these dependencies asks of its callers."""
    for inner in dependant.dependencies:
        if isinstance(inner.call, Asks):
            yield inner.call
        yield from asked_by(inner)
