"""A company's own fields (attributes) at any instant: one typed column a field, each value as it was known then.

A correction holds from when it became known, and so does a deletion. A field has the kind that was learnt last in the snapshot; values
of another kind, left over from an earlier mapping, are missing. Names and kinds come from the facts alone: rows that a caller added to
a snapshot (`Snapshot.with_rows`) speak only of their own records, and of fields that the facts know.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.features.deal_asof import DAY, MISSING, Floats, Ints, NewestBefore, microseconds
from predictkpi.snapshot import Snapshot
from predictkpi.tables.attributes import from_text

CELLS_AT_ONCE = 2_000_000
"""Values looked up at a time: bounds memory, changes nothing."""
OF_DEALS, OF_CUSTOMERS = "deal.", "customer."
"""What the columns of `DealAttributes.at` begin with, before the field's name."""


class AttributeHistory:
    """All versions of the own fields of one table (customers, deals or orders) of a snapshot, indexed for questions about the past.

    ``kinds``: category, number, date or flag by name, sorted by name. ``base`` is the history of ``snapshot.base``, where it has one; it
    is worked out where it is not given.
    """

    def __init__(self, snapshot: Snapshot, table: str, *, base: AttributeHistory | None = None) -> None:
        if base is None and snapshot.base is not None:
            base = AttributeHistory(snapshot.base, table)
        self.table = table
        self.kinds: dict[str, str]
        if base is None:
            rows = _rows_of(snapshot.history("attributes"), table)
            self.kinds = kinds_of(rows)
            self._layers = [_Versions(rows, self.kinds)]
        else:
            self.kinds, self._layers = base.kinds, base._layers
            if self.kinds and "attributes" in snapshot.added:
                self._layers = [*base._layers, _Versions(_rows_of(snapshot.added["attributes"], table), self.kinds)]
        self._texts = [name for name, kind in self.kinds.items() if kind == "category"]
        self._numbers = [name for name in self.kinds if name not in self._texts]

    def at(self, entity_ids: pd.Series, landmark: Ints) -> pd.DataFrame:
        """Every field of each (id, landmark) pair as known strictly before its landmark (int64 microseconds): one row a pair.

        Columns: first the float ones (a number; a flag as 0 or 1; a date as days from the landmark, negative once past), then categories
        as text; missing where nothing was known, and everywhere for an id that is missing or has no field.
        """
        if not self.kinds:
            return pd.DataFrame(index=pd.RangeIndex(len(landmark)))
        step = max(CELLS_AT_ONCE // len(self.kinds), 1)
        parts = [self._at(entity_ids.iloc[low : low + step], landmark[low : low + step]) for low in range(0, max(len(landmark), 1), step)]
        return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)

    def _at(self, entity_ids: pd.Series, landmark: Ints) -> pd.DataFrame:
        is_text, is_date = (np.array([kind == wanted for kind in self.kinds.values()], dtype=bool) for wanted in ("category", "date"))
        number = np.full((len(landmark), len(is_text)), np.nan)
        text = np.full((len(landmark), len(self._texts)), np.nan, dtype=object)
        known = np.full(number.shape, MISSING)
        for layer in self._layers:
            row = layer.find(entity_ids, landmark)
            newer = (row >= 0) & (layer.known[row] >= known) if len(layer.known) else np.zeros(row.shape, bool)
            known[newer] = layer.known[row[newer]]
            number[newer] = layer.number[row[newer]]
            text[newer[:, is_text]] = layer.text[row[:, is_text][newer[:, is_text]]]
        number[:, is_date] = (number[:, is_date] - landmark[:, None]) / DAY
        numbers = pd.DataFrame(number[:, ~is_text], columns=self._numbers)
        return pd.concat([numbers, pd.DataFrame(text, columns=self._texts, dtype="str")], axis=1) if self._texts else numbers


class DealAttributes:
    """Own fields of deals, and of the customers they are with."""

    of_deals: AttributeHistory
    of_customers: AttributeHistory

    def __init__(self, snapshot: Snapshot, *, base: DealAttributes | None = None) -> None:
        self.of_deals = AttributeHistory(snapshot, "deals", base=base.of_deals if base else None)
        self.of_customers = AttributeHistory(snapshot, "customers", base=base.of_customers if base else None)

    def at(self, deal_ids: pd.Series, customer_ids: pd.Series, landmark: Ints) -> pd.DataFrame:
        """`AttributeHistory.at` of deals and of customers, in columns ``deal.<name>`` and ``customer.<name>``."""
        own = self.of_deals.at(deal_ids, landmark).add_prefix(OF_DEALS)
        return pd.concat([own, self.of_customers.at(customer_ids, landmark).add_prefix(OF_CUSTOMERS)], axis=1)


class _Versions:
    """Versions of values: ``number`` (dates in microseconds), ``text`` of categories, and when each was ``known``."""

    def __init__(self, rows: pd.DataFrame, kinds: Mapping[str, str]) -> None:
        self._names = pd.Index(list(kinds), dtype="str")
        rows = rows[rows[c.NAME].isin(self._names)]
        self._entities = pd.Index(rows[c.ENTITY_ID].unique())
        self.known = microseconds(rows[c.KNOWN_AT])
        name = self._names.get_indexer(pd.Index(rows[c.NAME]))
        self._newest = NewestBefore(self._entities.get_indexer(pd.Index(rows[c.ENTITY_ID])) * len(self._names) + name, self.known)
        self.number: Floats = np.full(len(rows), np.nan)
        self.text: npt.NDArray[np.object_] = np.full(len(rows), np.nan, dtype=object)
        holds = rows[c.VALUE].notna().to_numpy()
        if c.IS_DELETED in rows:
            holds = holds & ~rows[c.IS_DELETED].to_numpy(bool)
        for kind in set(kinds.values()):
            of_kind = [kinds[key] == kind for key in self._names]
            at = np.flatnonzero(holds & (rows[c.KIND] == kind).to_numpy() & np.asarray(of_kind, bool)[name])
            codes, values = pd.factorize(rows[c.VALUE].iloc[at])
            if kind == "category":
                self.text[at] = np.asarray(values, dtype=object)[codes]
            else:
                self.number[at] = _as_numbers(pd.Series(values, dtype="str"), kind)[codes]

    def find(self, entity_ids: pd.Series, landmark: Ints) -> Ints:
        """Row of the newest version of every field, ``(len(landmark), n_fields)``; -1 where there was none."""
        entity = self._entities.get_indexer(pd.Index(entity_ids))
        code = np.where(entity[:, None] >= 0, entity[:, None] * len(self._names) + np.arange(len(self._names)), -1)
        return self._newest.find(code.ravel(), np.repeat(landmark, len(self._names))).reshape(code.shape)


def kinds_of(attributes: pd.DataFrame) -> dict[str, str]:
    """Kind of each field, sorted by name, that was learnt last; ``attributes`` are versions of one table's fields, oldest first."""
    newest = attributes.drop_duplicates(c.NAME, keep="last").sort_values(c.NAME)
    return {str(name): str(kind) for name, kind in zip(newest[c.NAME], newest[c.KIND], strict=True)}


def _rows_of(attributes: pd.DataFrame, table: str) -> pd.DataFrame:
    return attributes[attributes[c.TABLE] == table]


def _as_numbers(text: pd.Series, kind: str) -> Floats:
    values = from_text(text, kind)
    if kind == "date":
        instants = microseconds(values)
        return np.where(instants == MISSING, np.nan, instants.astype(float))
    return values.to_numpy(float, na_value=np.nan)
