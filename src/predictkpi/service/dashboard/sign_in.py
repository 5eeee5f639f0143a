"""Sign in to the dashboard with an API key, and out again."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from predictkpi.core.access import ANYBODY_HERE, Caller
from predictkpi.service.access.keyring import Access
from predictkpi.service.access.sessions import COOKIE, SESSION_SECONDS
from predictkpi.service.dashboard.forms import Fields
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.dashboard.site import show_plain
from predictkpi.service.problems import UnauthenticatedError

router = APIRouter(include_in_schema=False)

_NO_STORE = {"Cache-Control": "no-store"}


@router.get("/sign-in")
def sign_in_page(request: Request, next_: Annotated[str, Query(alias="next")] = "/") -> HTMLResponse:
    """Where a person gives their key, or ends the session they have."""
    return _page(request, next_=_own_path(next_))


@router.post("/sign-in")
async def sign_in(request: Request, form: Fields) -> Response:
    """A session for whoever has a key; the page again, with the reason, for who has not."""
    next_ = _own_path(form.get("next", "/"))
    access: Access = request.app.state.access
    try:
        caller = access.of_key(form.get("key", "").strip())
    except UnauthenticatedError as error:
        return _page(request, next_=next_, refusal=str(error), status=401, address=f"/sign-in?{urlencode({'next': next_})}")
    answer = RedirectResponse(next_, status_code=303, headers=_NO_STORE)
    is_secure = request.url.scheme == "https"
    session = access.sessions.begin(caller.id, time.time())
    answer.set_cookie(COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=is_secure)
    return answer


@router.post("/sign-out")
async def sign_out() -> Response:
    """End the session of this browser."""
    answer = RedirectResponse("/sign-in", status_code=303, headers=_NO_STORE)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _page(request: Request, *, next_: str, refusal: str = "", status: int = 200, address: str = "") -> HTMLResponse:
    caller: Caller | None = request.scope["state"]["caller"]
    is_open = caller is ANYBODY_HERE
    who = caller.name if caller is not None and not is_open and not refusal else ""
    told = {"next": next_, "refusal": refusal, "who": who, "is_open": is_open}
    return show_plain(request, "sign_in.html", title=marked("Sign in"), status=status, headers=_NO_STORE, address=address, **told)


def _own_path(path: str) -> str:
    """A path of this service; the dashboard for anything that would lead elsewhere."""
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_own else "/"
