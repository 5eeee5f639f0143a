"""Templates to HTML, in the language of the context."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from predictkpi import __version__
from predictkpi.service.dashboard import formats
from predictkpi.service.dashboard.assets import Assets
from predictkpi.service.dashboard.charts import THEMES
from predictkpi.service.dashboard.languages import current, gettext, ngettext, sentence


def code_marks(text: str) -> Markup:
    """Text with `code` between backticks marked up as code; everything else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts))


def told(text: str) -> Markup:
    """A sentence from below the service in the reader's language, with its code marked."""
    return code_marks(sentence(text))


_templates = Environment(
    loader=PackageLoader("predictkpi.service.dashboard"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)
_templates.install_gettext_callables(gettext, ngettext)  # type: ignore[attr-defined]
_templates.filters |= {"code_marks": code_marks, "told": told}
_templates.globals |= {"f": formats, "themes": THEMES}
_templates.policies["json.dumps_kwargs"] = {"allow_nan": False}
_templates.policies["ext.i18n.trimmed"] = True


def assets_of(request: Request) -> Assets:
    """The assets that `create_app` loaded."""
    return request.app.state.assets  # type: ignore[no-any-return]


AppAssets = Annotated[Assets, Depends(assets_of)]


def render(template: str, assets: Assets, **context: Any) -> str:
    """A page."""
    language = current().code
    return _templates.get_template(template).render(asset=assets.address, version=__version__, language=language, **context)
