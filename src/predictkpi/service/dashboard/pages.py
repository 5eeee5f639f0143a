"""The pages: / (dashboard), /docs (the API in words), /problems/{slug} (what each error means), and their assets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from predictkpi import __version__
from predictkpi.core.access import Permission
from predictkpi.errors import UnknownNameError
from predictkpi.service.access.permissions import allow
from predictkpi.service.dashboard import api_guide
from predictkpi.service.dashboard.assets import CHART_LIBRARY, Assets
from predictkpi.service.dashboard.charts import THEMES
from predictkpi.service.dashboard.contexts import overview
from predictkpi.service.dependencies import ServingState
from predictkpi.service.problems import PROBLEM_TYPES, NotReadyError
from predictkpi.service.view import View

router = APIRouter(include_in_schema=False)


def code_marks(text: str) -> Markup:
    """Text with `code` between backticks marked up as code; everything else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts))


_IMMUTABLE = "public, max-age=31536000, immutable"
_templates = Environment(
    loader=PackageLoader("predictkpi.service.dashboard"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["code_marks"] = code_marks
_templates.policies["json.dumps_kwargs"] = {"allow_nan": False}


def assets_of(request: Request) -> Assets:
    """The assets that `create_app` loaded."""
    return request.app.state.assets  # type: ignore[no-any-return]


AppAssets = Annotated[Assets, Depends(assets_of)]


def warm(view: View, assets: Assets) -> None:
    """Render the dashboard of a new view before anybody asks for it."""
    view.page("dashboard", lambda view: _dashboard(view, assets))


@router.get("/", dependencies=[allow(Permission.NUMBERS)])
def dashboard(serving: ServingState, assets: AppAssets) -> HTMLResponse:
    """The dashboard, rendered once per view; before there is data or while it is being read, what to do."""
    try:
        view = serving.view
    except NotReadyError as waiting:
        is_warming = waiting.slug == "not-ready"
        page = render("waiting.html", assets, title="Getting ready" if is_warming else "Welcome", waiting=waiting, is_warming=is_warming)
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})
    page = str(view.page("dashboard", lambda view: _dashboard(view, assets)))
    return HTMLResponse(page, headers={"Cache-Control": "no-cache"})


@router.get("/docs", dependencies=[allow(None)])
def api_reference(request: Request, assets: AppAssets) -> HTMLResponse:
    """The OpenAPI document as a page, without a script from anywhere."""
    guide = api_guide.guide(request.app.openapi())
    return HTMLResponse(render("docs.html", assets, title="API", guide=guide, problems=list(PROBLEM_TYPES.values())))


@router.get("/openapi.json", dependencies=[allow(None)])
def openapi_document(request: Request) -> JSONResponse:
    """The description of the API, for machines."""
    return JSONResponse(request.app.openapi())


@router.get("/problems/{slug}")
def problem_page(slug: str, assets: AppAssets) -> HTMLResponse:
    """What a problem type means and what to do about it."""
    if slug not in PROBLEM_TYPES:
        raise UnknownNameError.among("problem type", slug, known=PROBLEM_TYPES)
    kind = PROBLEM_TYPES[slug]
    return HTMLResponse(render("problem.html", assets, title=kind.title, problem=kind))


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


def _dashboard(view: View, assets: Assets) -> str:
    page = overview(view)
    return render("dashboard.html", assets, title=page.company, page=page, themes=THEMES, chart_library=CHART_LIBRARY)


def render(template: str, assets: Assets, **context: Any) -> str:
    """A page."""
    return _templates.get_template(template).render(asset=assets.address, version=__version__, **context)
