"""The pages in every language: no text is missing, none is left over, and a reader gets the language they ask for."""

from __future__ import annotations

import io
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from predictkpi.service import dashboard
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import LANGUAGES, SENTENCES, ask_for, gettext, ngettext, sentence, speaking
from predictkpi.service.problems import PROBLEM_TYPES

FOLDER = Path(dashboard.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}
OTHERS = [code for code in LANGUAGES if code != "en"]


def texts_of_the_pages() -> set[object]:
    found = extract_from_dir(
        FOLDER,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        options_map={"templates/**.html": {"trimmed": "true", "silent": "false"}},
        keywords=KEYWORDS,
        comment_tags=(),
    )
    return {message for _, _, message, _, _ in found} | {kind.title for kind in PROBLEM_TYPES.values()}


def catalogues(code: str) -> dict[str, Catalog]:
    folder = FOLDER / "locales" / code
    return {path.name: read_po(io.BytesIO(path.read_bytes()), abort_invalid=True) for path in sorted(folder.glob("*.po"))}


def entries(code: str, *, of_sentences: bool) -> list[tuple[object, object, bool]]:
    return [
        (message.id, message.string, message.fuzzy)
        for name, catalogue in catalogues(code).items()
        if (name == SENTENCES) == of_sentences
        for message in catalogue
        if message.id
    ]


def places(text: object) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(str(text)) if name is not None}


@pytest.mark.parametrize("code", OTHERS)
def test_catalogues__hold_every_text_of_the_pages_and_no_other(code):
    known = {message for message, words, is_fuzzy in entries(code, of_sentences=False) if words and not is_fuzzy}
    assert texts_of_the_pages() - known == set(), "texts without a translation"
    assert known - texts_of_the_pages() == set(), "translations of texts that no page has"


@pytest.mark.parametrize("code", OTHERS)
def test_catalogues__say_a_text_in_one_way_and_keep_its_places(code):
    said = {}
    for message, words, _ in entries(code, of_sentences=False) + entries(code, of_sentences=True):
        assert said.setdefault(message, words) == words
        originals = message if isinstance(message, tuple) else (message,)
        translations = words if isinstance(words, tuple) else (words,)
        for text in translations:
            assert places(text) == places(originals[-1]), text


@pytest.mark.parametrize(
    ("wanted", "kept", "accepted", "spoken"),
    [
        ("", "", "", "en"),
        ("", "", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "", "fr,en;q=0.3,de;q=0.5", "de"),
        ("", "", "fr", "en"),
        ("", "", "de;q=0, en;q=0.1", "en"),
        ("", "", "de;q=nonsense,*", "en"),
        ("", "de", "en", "de"),
        ("en", "de", "de", "en"),
        ("xx", "yy", "de", "de"),
    ],
)
def test_language__is_the_one_asked_for_or_chosen_before_or_preferred(wanted, kept, accepted, spoken):
    assert ask_for(wanted=wanted, kept=kept, accepted=accepted) == spoken


def test_language__is_kept_for_the_next_page(served):
    import httpx

    with httpx.Client(base_url=served.url, headers={"Accept": "text/html", "Accept-Language": "en"}) as reader:
        assert '<html lang="en">' in reader.get("/").text
        chosen = reader.get("/", params={"lang": "de"})
        assert '<html lang="de">' in chosen.text
        assert "Cookie" in chosen.headers["vary"]
        assert '<html lang="de">' in reader.get("/").text
        assert '<html lang="de">' in reader.get("/sign-in").text
        assert '<html lang="en">' in reader.get("/", params={"lang": "en"}).text


def test_numbers_and_dates__are_written_as_the_language_does():
    import pandas as pd

    day = pd.Timestamp("2026-02-03 14:05")
    with speaking("en"):
        assert (f.number(1234.5, 1), f.percent(0.271), f.date(day), f.month(day)) == ("1,234.5", "27%", "3 Feb 2026", "February 2026")
        assert f.money(45_600, "EUR") == "45.6\u202fk EUR"
    with speaking("de"):
        assert (f.number(1234.5, 1), f.percent(0.271), f.date(day), f.month(day)) == ("1.234,5", "27\u202f%", "03.02.2026", "Februar 2026")
        assert f.money(1_234_567, "EUR") == "1,23\u202fMio. EUR"
        assert f.days(1) == "1 Tag"
    assert gettext("Overview") == "Overview"
    assert ngettext("{count} day", "{count} days", 2) == "{count} days"


def test_sentences__are_known_by_their_pattern():
    with speaking("de"):
        assert sentence("nothing of the kind has ever been said") == "nothing of the kind has ever been said"
        assert sentence("") == ""
