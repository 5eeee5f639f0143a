"""Text as integers, so that histories can be searched and summed by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np

from predictkpi.core.arrays import Texts
from predictkpi.features.deal_asof import Ints


class Codes:
    """Text values as integers in order of first appearance, after those already ``known``; -1 is missing."""

    def __init__(self, *columns: Texts, known: Codes | None = None) -> None:
        self._known = known
        first = len(known) if known else 0
        listed = [column.tolist() for column in columns]
        distinct = dict.fromkeys(chain.from_iterable(listed))
        distinct.pop(None, None)
        new = [value for value in distinct if known._code(value) < 0] if known else distinct
        self._own: dict[str | None, int] = {value: code for code, value in enumerate(new, first)}
        self._size = first + len(self._own)
        self.codes: list[Ints] = [self.of(values) for values in listed]

    def __len__(self) -> int:
        return self._size

    @cached_property
    def values(self) -> Texts:
        """The value of each code."""
        return self._text[:-1]

    @cached_property
    def _text(self) -> Texts:
        if self._known and not self._own:
            return self._known._text
        own = np.array([*self._own, None], dtype=object)
        return np.concatenate([self._known.values, own]) if self._known else own

    def _code(self, value: str | None) -> int:
        found = self._own.get(value, -1)
        return self._known._code(value) if found < 0 and self._known else found

    def of(self, values: Sequence[str | None]) -> Ints:
        """Codes of these values; -1 for one never seen."""
        code = {value: self._code(value) for value in dict.fromkeys(values)} if self._known else self._own
        return np.array([code.get(value, -1) for value in values], dtype=np.int64)

    def text(self, codes: Ints) -> Texts:
        """The values of these codes; missing for -1."""
        return self._text[codes]


def by_first_known(values: Texts, known: Ints) -> tuple[Codes, Ints]:
    """Codes of text in the order in which it was first known, at one instant in that of the text itself, and the code of each value.

    Exports often carry dates without a time of day: the order of the rows says nothing then, and differs from machine to machine.
    """
    found = Codes(values)
    code = found.codes[0]
    first = np.full(len(found) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, code, known)
    texts = found.values.tolist()
    order = sorted(range(len(texts)), key=lambda place: (first[place], texts[place]))
    if order == list(range(len(texts))):
        return found, code
    ordered = Codes(found.values[order])
    return ordered, ordered.of(values.tolist())
