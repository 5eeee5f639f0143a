"""Pages that need no data: /docs (the API in words), /problems/{slug} (what each error means), and the assets of all pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from predictkpi.errors import UnknownNameError
from predictkpi.service.access.permissions import allow
from predictkpi.service.dashboard import api_guide
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.dashboard.render import AppAssets
from predictkpi.service.dashboard.site import show_plain
from predictkpi.service.problems import PROBLEM_TYPES

router = APIRouter(include_in_schema=False)


_IMMUTABLE = "public, max-age=31536000, immutable"


@router.get("/docs", dependencies=[allow(None)])
def api_reference(request: Request) -> HTMLResponse:
    """The OpenAPI document as a page, without a script from anywhere."""
    guide = api_guide.guide(request.app.openapi())
    return show_plain(request, "docs.html", title=marked("API"), guide=guide, problems=list(PROBLEM_TYPES.values()))


@router.get("/openapi.json", dependencies=[allow(None)])
def openapi_document(request: Request) -> JSONResponse:
    """The description of the API, for machines."""
    return JSONResponse(request.app.openapi())


@router.get("/problems/{slug}")
def problem_type_page(slug: str, request: Request) -> HTMLResponse:
    """What a problem type means and what to do about it."""
    if slug not in PROBLEM_TYPES:
        raise UnknownNameError.among("problem type", slug, known=PROBLEM_TYPES)
    kind = PROBLEM_TYPES[slug]
    return show_plain(request, "problem.html", title=kind.title, problem=kind)


@router.get("/static/{name}")
def static_file(
    name: str,
    assets: AppAssets,
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """An asset, compressed once. Its address carries its digest, so it may be kept for ever."""
    asset = assets.get(name)
    headers = {"Cache-Control": _IMMUTABLE, "ETag": f'"{asset.digest}"', "Vary": "Accept-Encoding"}
    if headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    if "gzip" in accept_encoding:
        return Response(asset.compressed, media_type=asset.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)
