"""The languages of the pages: which one a reader wants, and every text and number format in it.

English texts stand in the code and in the templates and are the keys; `locales/<language>/*.po` hold what they are in other languages. The
language is that of the context (`speaking`), so that what builds a page need not hand it on. A test holds the catalogues complete.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from predictkpi.service.dashboard.sentences import Sentences

__all__ = ["LANGUAGES", "ask_for", "current", "gettext", "in_words", "marked", "ngettext", "speaking"]

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""By code, each in its own words; the first one is spoken where a reader asks for none of them."""
DEFAULT = "en"
_LOCALES = {"en": "en_GB", "de": "de_DE"}
SENTENCES = "sentences.po"
"""What comes from below the service: reasons, warnings, verdicts, errors; see `sentences`."""
_MOST_KEPT = 8192
_LONGEST, _LONGEST_KEPT = 1000, 500
"""Letters of a sentence that is told, and of one that is kept: texts may repeat what a request says, at any length."""


@dataclass(frozen=True)
class Language:
    """One language: its texts, its locale, and the sentences from below the service; none where they are in this language already."""

    code: str
    locale: Locale
    texts: NullTranslations
    sentences: Sentences | None


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
    """A sentence from below the service in the language of the context; as it is where no pattern fits, or beyond `_LONGEST`."""
    if len(text) > _LONGEST:
        return text
    tell = _kept if len(text) <= _LONGEST_KEPT else _told
    return tell(_current.get(), text)


def _told(code: str, text: str) -> str:
    sentences = _language(code).sentences
    return text if sentences is None or not text else sentences.told(text)


_kept = lru_cache(maxsize=_MOST_KEPT)(_told)


@cache
def _language(code: str) -> Language:
    locale = Locale.parse(_LOCALES[code])
    if code == DEFAULT:
        return Language(code, locale, NullTranslations(), None)
    folder = resources.files("predictkpi.service.dashboard") / "locales" / code
    texts, sentences = Catalog(locale=locale), {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        catalogue = read_po(io.StringIO(entry.read_text(encoding="utf-8")), locale=locale, abort_invalid=True)
        for message in catalogue:
            if message.id and entry.name == SENTENCES:
                sentences[str(message.id)] = str(message.string)
            elif message.id:
                texts.add(message.id, message.string)
    compiled = _compiled(texts)
    return Language(code, locale, compiled, Sentences.of(sentences.items(), locale, compiled.gettext))


def _compiled(catalogue: Catalog) -> Translations:
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    buffer.seek(0)
    return Translations(buffer)


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    """Codes of ``Accept-Language`` with their weights; what is no weight counts as none."""
    for item in header.split(","):
        code, _, weight = item.strip().partition(";")
        try:
            yield code.strip().partition("-")[0].lower(), float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
