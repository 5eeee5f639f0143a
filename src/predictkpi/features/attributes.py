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
from predictkpi.core.arrays import Columns, Texts, concatenated, is_missing
from predictkpi.features.codes import Codes
from predictkpi.features.deal_asof import DAY, MISSING, Floats, Ints, NewestBefore, microseconds
from predictkpi.snapshot import Snapshot
from predictkpi.tables.attributes import ATTRIBUTES, as_floats

CELLS_AT_ONCE = 2_000_000
"""Values looked up at a time: bounds memory, changes nothing."""
OF_DEALS, OF_CUSTOMERS = "deal.", "customer."
"""What the columns of `DealAttributes.at` begin with, before the field's name."""


class AttributeHistory:
    """All versions of the own fields of one table (customers, deals or orders) of a snapshot, indexed for questions about the past.

    ``kinds``: category, number, date or flag by name, sorted by name. ``base`` is the history of ``snapshot.base``, where it has one; it
    is worked out where it is not given. Of a part of the facts, ``kinds`` says what all of them know the fields as.
    """

    def __init__(
        self, snapshot: Snapshot, table: str, *, base: AttributeHistory | None = None, kinds: Mapping[str, str] | None = None
    ) -> None:
        if base is None and snapshot.base is not None:
            base = AttributeHistory(snapshot.base, table)
        self.table = table
        self.kinds: dict[str, str]
        if base is None:
            facts = snapshot.history("attributes")
            facts = facts[facts[c.TABLE] == table]
            self.kinds = kinds_of(facts) if kinds is None else dict(kinds)
            deleted = facts[c.IS_DELETED].to_numpy(bool) if c.IS_DELETED in facts else np.zeros(len(facts), bool)
            self._layers = [_Versions(ATTRIBUTES.typed(facts), deleted, self.kinds)]
        else:
            self.kinds, self._layers = base.kinds, base._layers
            if self.kinds and "attributes" in snapshot.added:
                added = snapshot.added["attributes"]
                added = added.take(added[c.TABLE] == table)
                self._layers = [*base._layers, _Versions(added, np.zeros(len(added), bool), self.kinds)]
        self._texts = [name for name, kind in self.kinds.items() if kind == "category"]
        self._numbers = [name for name in self.kinds if name not in self._texts]

    def at(self, entity_ids: Texts, landmark: Ints) -> Columns:
        """Every field of each (id, landmark) pair as known strictly before its landmark (int64 microseconds): one row a pair.

        Columns: first the float ones (a number; a flag as 0 or 1; a date as days from the landmark, negative once past), then categories
        as text; missing where nothing was known, and everywhere for an id that is missing or has no field.
        """
        if not self.kinds:
            return Columns({}, len(landmark))
        step = max(CELLS_AT_ONCE // len(self.kinds), 1)
        starts = range(0, max(len(landmark), 1), step)
        return concatenated([self._at(entity_ids[low : low + step], landmark[low : low + step]) for low in starts])

    def _at(self, entity_ids: Texts, landmark: Ints) -> Columns:
        is_text, is_date = (np.array([kind == wanted for kind in self.kinds.values()], dtype=bool) for wanted in ("category", "date"))
        number = np.full((len(landmark), len(is_text)), np.nan)
        text: Texts = np.full((len(landmark), len(self._texts)), None, dtype=object)
        known = np.full(number.shape, MISSING)
        for layer in self._layers:
            row = layer.find(entity_ids, landmark)
            newer = (row >= 0) & (layer.known[row] >= known) if len(layer.known) else np.zeros(row.shape, bool)
            known[newer] = layer.known[row[newer]]
            number[newer] = layer.number[row[newer]]
            text[newer[:, is_text]] = layer.text[row[:, is_text][newer[:, is_text]]]
        number[:, is_date] = (number[:, is_date] - landmark[:, None]) / DAY
        columns = dict(zip(self._numbers, number[:, ~is_text].T, strict=True)) | dict(zip(self._texts, text.T, strict=True))
        return Columns(columns, len(landmark))


class DealAttributes:
    """Own fields of deals, and of the customers they are with."""

    of_deals: AttributeHistory
    of_customers: AttributeHistory

    def __init__(
        self, snapshot: Snapshot, *, base: DealAttributes | None = None, kinds: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        of = (kinds or {}).get
        self.of_deals = AttributeHistory(snapshot, "deals", base=base.of_deals if base else None, kinds=of("deals"))
        self.of_customers = AttributeHistory(snapshot, "customers", base=base.of_customers if base else None, kinds=of("customers"))

    @property
    def are_none(self) -> bool:
        """Whether the company has no field of its own."""
        return not self.of_deals.kinds and not self.of_customers.kinds

    def at(self, deal_ids: Texts, customer_ids: Texts, landmark: Ints) -> Columns:
        """`AttributeHistory.at` of deals and of customers, in columns ``deal.<name>`` and ``customer.<name>``."""
        parts = (OF_DEALS, self.of_deals.at(deal_ids, landmark)), (OF_CUSTOMERS, self.of_customers.at(customer_ids, landmark))
        return Columns({prefix + name: part[name] for prefix, part in parts for name in part}, len(landmark))


class _Versions:
    """Versions of values: ``number`` (dates in microseconds), ``text`` of categories, and when each was ``known``."""

    def __init__(self, rows: Columns, is_deleted: npt.NDArray[np.bool_], kinds: Mapping[str, str]) -> None:
        names = {name: place for place, name in enumerate(kinds)}
        name = np.array([names.get(name, -1) for name in rows[c.NAME]], dtype=np.int64)
        rows, is_deleted, name = rows.take(name >= 0), is_deleted[name >= 0], name[name >= 0]
        self._n_names = len(names)
        self._entities = Codes(rows[c.ENTITY_ID])
        self.known = microseconds(rows[c.KNOWN_AT])
        self._newest = NewestBefore(self._entities.codes[0] * self._n_names + name, self.known)
        self.number: Floats = np.full(len(rows), np.nan)
        self.text: Texts = np.full(len(rows), None, dtype=object)
        held = ~is_deleted & ~is_missing(rows[c.VALUE])
        for kind in set(kinds.values()):
            of_kind = np.array([kinds[key] == kind for key in kinds], dtype=bool)
            at = np.flatnonzero(held & (rows[c.KIND] == kind) & of_kind[name])
            if kind == "category":
                self.text[at] = rows[c.VALUE][at]
            else:
                values = Codes(rows[c.VALUE][at])
                self.number[at] = as_floats(values.values.tolist(), kind)[values.codes[0]]

    def find(self, entity_ids: Texts, landmark: Ints) -> Ints:
        """Row of the newest version of every field, ``(len(landmark), n_fields)``; -1 where there was none."""
        entity = self._entities.of(entity_ids.tolist())
        code = np.where(entity[:, None] >= 0, entity[:, None] * self._n_names + np.arange(self._n_names), -1)
        return self._newest.find(code.ravel(), np.repeat(landmark, self._n_names)).reshape(code.shape)


def kinds_of(attributes: pd.DataFrame) -> dict[str, str]:
    """Kind of each field, sorted by name, that was learnt last; ``attributes`` are versions of one table's fields, oldest first."""
    newest = attributes.drop_duplicates(c.NAME, keep="last").sort_values(c.NAME)
    return {str(name): str(kind) for name, kind in zip(newest[c.NAME], newest[c.KIND], strict=True)}
