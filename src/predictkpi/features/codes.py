"""Text as integers, so that histories can be searched and summed by NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from predictkpi.features.deal_asof import Ints


class Codes:
    """Text values as integers in order of first appearance, after those already ``known``; -1 is missing."""

    def __init__(self, *columns: pd.Series, known: Codes | None = None) -> None:
        joined = columns[0] if len(columns) == 1 else pd.concat(columns, ignore_index=True)
        codes, values = pd.factorize(joined)
        self.values = pd.Index(values)
        if known is not None:
            codes, self.values = known._continued(codes, self.values)
        self._text = np.append(np.asarray(self.values, dtype=object), np.nan)
        cuts = np.cumsum([len(column) for column in columns])[:-1]
        self.codes: list[Ints] = [np.asarray(part, np.int64) for part in np.split(codes, cuts)]

    def _continued(self, codes: Ints, values: pd.Index) -> tuple[Ints, pd.Index]:
        own = np.append(self.of(values), -1)
        new = np.flatnonzero(own[:-1] < 0)
        own[new] = len(self.values) + np.arange(len(new))
        return own[codes], self.values.append(values[new]) if len(new) else self.values

    def of(self, values: Iterable[str]) -> Ints:
        """Codes of these values; -1 for one never seen."""
        return np.asarray(self.values.get_indexer(pd.Index(values)), np.int64)

    def text(self, codes: Ints) -> pd.Series:
        """The values of these codes; missing for -1."""
        return pd.Series(self._text[codes], dtype="str")
