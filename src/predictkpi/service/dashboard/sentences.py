"""Sentences from below the service (reasons, verdicts, warnings, errors) in another language, known by the patterns they were made of.

A pattern is the English sentence with a place in braces for each value:

- ``{name}`` stays as it is: an id, a name, a version, words of a person or of another program;
- ``{count:n}`` is a number, amount or percentage and is written as the language writes it;
- ``{day:d}`` is a day, a moment or a month as in 2025-03-31, and likewise;
- ``{reason:t}`` is told in turn.

Sentences come one by one or joined by full stops and semicolons; a full stop at the end belongs to no pattern.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.numbers import get_decimal_symbol, get_group_symbol

_JOINTS = (". ", "; ")
_OPENING = 4
"""So many first letters are looked up; patterns that begin with a place are tried on every sentence."""
_DEEPEST = 4
"""So many places of words are told within one another: no sentence has more, and what a request says could go on and on."""
_WHATEVER = ".+?"
_SHAPES = {
    "": _WHATEVER,
    "t": _WHATEVER,
    "n": r"[+-]?(?:[\d,]*\d(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf)\s?%?",
    "d": r"\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)?",
}


@dataclass(frozen=True)
class Pattern:
    """One sentence with places: what fits it, the words in the other language, and the kind of each place."""

    opening: str
    literal: str
    """The longest of its fixed parts: whatever fits the pattern contains it, which is cheap to ask."""
    size: int
    fits: re.Pattern[str]
    words: str
    kinds: Mapping[str, str]


@dataclass(frozen=True)
class Sentences:
    """All sentences of one language. ``other`` finds texts that the pages themselves have, and gives back what it does not know."""

    locale: Locale
    fixed: Mapping[str, str]
    by_opening: Mapping[str, tuple[Pattern, ...]]
    """Those that a text of these first letters may fit, the one that leaves least to its places first."""
    other: Callable[[str], str]

    @classmethod
    def of(cls, texts: Iterable[tuple[str, str]], locale: Locale, other: Callable[[str], str]) -> Sentences:
        """From pairs of an English sentence, with its places, and its words in the language of the locale; their order does not matter."""
        fixed, patterns = {}, []
        for text, words in texts:
            if "{" in text:
                patterns.append(_pattern(_bare(text), _bare(words)))
            else:
                fixed[_bare(text)] = _bare(words)
        ordered = sorted(patterns, key=lambda pattern: (-pattern.size, pattern.fits.pattern))
        heads = {pattern.opening for pattern in ordered}
        by_opening = {head: tuple(pattern for pattern in ordered if pattern.opening in ("", head)) for head in heads | {""}}
        return cls(locale, fixed, by_opening, other)

    def told(self, text: str, depth: int = 0) -> str:
        """The text in the language, as far as it is known; ``depth`` counts the places that it stands in."""
        known = self.known(text, depth)
        if known is not None:
            return known
        joint = next((joint for joint in _JOINTS if joint in text), None)
        return joint.join(self.told(part, depth) for part in text.split(joint)) if joint else text

    def known(self, text: str, depth: int = 0) -> str | None:
        """The text in the language; None if a part of it is not known."""
        found = self._whole(text)
        bare = text.rstrip(".")
        if found is None and bare != text:
            found = self.known(bare, depth)
            return None if found is None else f"{found}{text[len(bare) :]}"
        if found is not None:
            return found
        for joint in _JOINTS:
            if joint in text:
                parts = [self.known(part, depth) for part in text.split(joint)]
                told = [part for part in parts if part is not None]
                if len(told) == len(parts):
                    return joint.join(told)
        return self._by_pattern(text, depth)

    def _whole(self, text: str) -> str | None:
        if text in self.fixed:
            return self.fixed[text]
        other = self.other(text) if text else text
        return other if other != text else None

    def _by_pattern(self, text: str, depth: int) -> str | None:
        for pattern in self.by_opening.get(text[:_OPENING], self.by_opening[""]):
            if pattern.literal in text:
                found = pattern.fits.fullmatch(text)
                if found:
                    values = found.groupdict()
                    return pattern.words.format(**{name: self._written(values[name], kind, depth) for name, kind in pattern.kinds.items()})
        return None

    def _written(self, value: str, kind: str, depth: int) -> str:
        if kind == "t":
            return self.told(value, depth + 1) if depth < _DEEPEST else value
        if kind == "n":
            return _number(value, self.locale)
        return _day(value, self.locale) if kind == "d" else value


def _bare(text: str) -> str:
    return text.removesuffix(".")


def _pattern(text: str, words: str) -> Pattern:
    parts: list[str] = []
    fixed: list[str] = []
    kinds: dict[str, str] = {}
    for literal, name, kind, _ in string.Formatter().parse(text):
        fixed.append(literal)
        parts.append(re.escape(literal))
        if name is None:
            continue
        # a place that comes twice holds the same twice
        parts.append(f"(?P={name})" if name in kinds else f"(?P<{name}>{_SHAPES[kind or '']})")
        kinds.setdefault(name, kind or "")
    opening = fixed[0][:_OPENING] if len(fixed[0]) >= _OPENING else ""
    size = sum(map(len, fixed))
    return Pattern(opening, max(fixed, key=len), size, re.compile("".join(parts), re.DOTALL), words, kinds)


def _number(value: str, locale: Locale) -> str:
    """The same digits with the marks of the language; what is no number is a dash."""
    digits = value.removesuffix("%").rstrip()
    if not digits.lstrip("+-")[:1].isdigit():
        return "–"
    written = digits.translate(str.maketrans(",.-", f"{get_group_symbol(locale)}{get_decimal_symbol(locale)}\u2212"))
    return f"{written}\u202f%" if value.endswith("%") else written


def _day(value: str, locale: Locale) -> str:
    when = pd.Timestamp(value)
    if value.count("-") == 1:
        return str(format_skeleton("yMMMM", when, locale=locale))
    day = str(format_date(when, "medium", locale=locale))
    return day if when == when.normalize() else f"{day}, {when:%H:%M}"
