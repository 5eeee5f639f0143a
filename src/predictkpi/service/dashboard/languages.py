"""The languages of the pages: which one a reader wants, and every text and number format in it.

English texts stand in the code and in the templates and are the keys; `locales/<language>/*.po` hold what they are in other languages. The
language is that of the context (`speaking`), so that what builds a page need not hand it on. A test holds the catalogues complete.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import resources

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

__all__ = ["LANGUAGES", "ask_for", "current", "gettext", "in_words", "marked", "ngettext", "speaking"]

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""By code, each in its own words; the first one is spoken where a reader asks for none of them."""
DEFAULT = "en"
_LOCALES = {"en": "en_GB", "de": "de_DE"}
SENTENCES = "sentences.po"
"""What comes from below the service: reasons, warnings, verdicts. Places for values stand in braces."""


@dataclass(frozen=True)
class Language:
    """One language: its texts, its locale, and the sentences that come with values in them as patterns."""

    code: str
    locale: Locale
    texts: NullTranslations
    sentences: tuple[tuple[re.Pattern[str], str], ...]


_current: ContextVar[str] = ContextVar("language", default=DEFAULT)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Texts and numbers within are in this language."""
    token = _current.set(code)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Language:
    """The language of the context."""
    return _language(_current.get())


def ask_for(*, wanted: str, kept: str, accepted: str) -> str:
    """A code of `LANGUAGES`: what the address asks for, else what the reader chose before, else the best of ``Accept-Language``."""
    for code in (wanted, kept):
        if code in LANGUAGES:
            return code
    preferred = sorted(_accepted(accepted), key=lambda found: -found[1])
    found = negotiate_locale([code for code, weight in preferred if weight > 0], list(LANGUAGES), sep="-")
    return found or DEFAULT


def gettext(text: str) -> str:
    """The text in the language of the context."""
    return str(current().texts.gettext(text))


def ngettext(one: str, many: str, count: float) -> str:
    """The text for a count in the language of the context."""
    return str(current().texts.ngettext(one, many, int(count)))


def marked(text: str) -> str:
    """The text itself: marks it for the catalogues where it is translated later."""
    return text


def in_words(titles: Mapping[str, str]) -> str:
    """A title that brings its own languages."""
    return titles.get(_current.get(), titles[DEFAULT])


def sentence(text: str) -> str:
    """A sentence from below the service, by the pattern it was made of; as it is where no pattern fits."""
    language = current()
    known = language.texts.gettext(text) if text else ""
    if known != text:
        return str(known)
    for pattern, words in language.sentences:
        found = pattern.fullmatch(text)
        if found:
            return words.format(**{name: sentence(value) for name, value in found.groupdict().items()})
    return text


@cache
def _language(code: str) -> Language:
    locale = Locale.parse(_LOCALES[code])
    if code == DEFAULT:
        return Language(code, locale, NullTranslations(), ())
    folder = resources.files("predictkpi.service.dashboard") / "locales" / code
    texts, sentences = Catalog(locale=locale), Catalog(locale=locale)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        catalogue = read_po(io.StringIO(entry.read_text(encoding="utf-8")), locale=locale, abort_invalid=True)
        for message in catalogue:
            if message.id:
                (sentences if entry.name == SENTENCES else texts).add(message.id, message.string)
    return Language(code, locale, _compiled(texts), tuple(sorted(_patterns(sentences), key=lambda pair: -len(pair[0].pattern))))


def _compiled(catalogue: Catalog) -> Translations:
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    buffer.seek(0)
    return Translations(buffer)


def _patterns(sentences: Catalog) -> Iterator[tuple[re.Pattern[str], str]]:
    """Sentences with their places as groups; a place that comes twice has to hold the same."""
    for message in sentences:
        if not message.id:
            continue
        seen: set[str] = set()
        parts = []
        for index, part in enumerate(re.split(r"\{(\w+)\}", str(message.id))):
            parts.append(re.escape(part) if index % 2 == 0 else f"(?P={part})" if part in seen else f"(?P<{part}>.+?)")
            if index % 2:
                seen.add(part)
        yield re.compile("".join(parts), re.DOTALL), str(message.string)


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    """Codes of ``Accept-Language`` with their weights; what is no weight counts as none."""
    for item in header.split(","):
        code, _, weight = item.strip().partition(";")
        try:
            yield code.strip().partition("-")[0].lower(), float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
