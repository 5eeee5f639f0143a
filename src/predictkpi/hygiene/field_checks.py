"""Checks of the fields that the mapping brings in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.hygiene.base import DETAIL, MONEY, Check, Result
from predictkpi.hygiene.books import DealBooks
from predictkpi.hygiene.filling import FEWEST_DEALS, LATE_IS_LEAK, probe_filling
from predictkpi.hygiene.leaks import LEAK, SUSPECT, UNKNOWN


class LeakingFields(Check):
    """Fields that tell the outcome because they are filled only when it is there."""

    name = "leaking_fields"
    title: ClassVar[dict[str, str]] = {"en": "Field that leaks the outcome", "de": "Feld verrät den Ausgang"}
    looks_at = f"fields of deals and their events that are filled in {FEWEST_DEALS} closed deals or more"
    at_stake = "none: it is the forecasts that suffer"
    way_out = "take the field out of the mapping, or load its history so that it is known from when it was filled"
    entity = "field"

    def run(self, books: DealBooks) -> Result:
        """Filled only at or after closing; see `filling.probe_filling`."""
        probed = probe_filling(books.snapshot)
        found = probed[probed["verdict"].isin([LEAK, SUSPECT])].set_index("field")
        detail = found["verdict"] + ": " + found["evidence"]
        rows = pd.DataFrame({c.NAME: pd.Series("", index=found.index, dtype="str"), MONEY: np.nan, DETAIL: detail}, index=found.index)
        threshold = f"{LATE_IS_LEAK:.0%} or more of the closed deals had no value before they closed"
        return self.result(rows, examined=int((probed["verdict"] != UNKNOWN).sum()), threshold=threshold)
